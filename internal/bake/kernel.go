package bake

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	tarfile "hearth/internal/disk/tarball"
)

// kernelParts are what starts a system, and its initial ramdisk.
type kernelParts struct{ image, ramdisk []byte }

// kernelFor finds a kernel for a system: the operator's, else the system's own,
// else Debian's for clouds, whose modules then go into the system. The ramdisk
// is Hearth's: it loads all of bootModules that the kernel has as modules.
func (o *oven) kernelFor(ctx context.Context, r *rootfs) (*kernelParts, error) {
	var image []byte
	var err error
	own, _ := fs.Glob(r.root.FS(), "boot/vmlinuz-*")
	gentoos, _ := fs.Glob(r.root.FS(), "boot/kernel-*")
	switch own = append(own, gentoos...); {
	case o.Kernel != "":
		if image, err = os.ReadFile(o.Kernel); err == nil && o.Modules != "" {
			err = o.addModules(r)
		}
	case len(own) == 1:
		image, err = r.root.ReadFile(own[0])
	case len(own) > 1:
		err = fmt.Errorf("the system has %d kernels (%s): name one file with --kernel", len(own), strings.Join(own, ", "))
	default:
		image, err = o.addDebianKernel(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	mods, err := r.bootModules(kernelVersion(image))
	if err != nil {
		return nil, err
	}
	busybox, err := o.busybox(ctx)
	if err != nil {
		return nil, err
	}
	ramdisk, err := o.initialRamdisk(ctx, busybox, mods, [3][]string{slices.Collect(mods.names())})
	return &kernelParts{image, ramdisk}, err
}

// addModules puts the operator's modules where the kernel looks for them: a
// folder lib/modules/VERSION or VERSION, or an archive of the first.
func (o *oven) addModules(r *rootfs) error {
	st, err := os.Stat(o.Modules)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return r.overTar(o.Modules, "/")
	}
	from := os.DirFS(o.Modules)
	if sub, err := fs.Sub(from, "lib/modules"); err == nil {
		if _, err := fs.Stat(sub, "."); err == nil {
			from = sub
		}
	}
	return fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return r.put(entry{path: path.Join("/lib/modules", name), mode: 0o644, data: b})
	})
}

// addDebianKernel gives Debian's cloud kernel and puts its modules into the
// system, with the list of what needs what, for modprobe.
func (o *oven) addDebianKernel(ctx context.Context, r *rootfs) ([]byte, error) {
	name, err := kernelPackage(ctx)
	if err != nil {
		return nil, err
	}
	debs, err := o.fetch(ctx, name)
	if err != nil {
		return nil, err
	}
	done := o.steps.begin("add Debian's kernel", debs[name].size)
	files, err := unpack(ctx, debs[name], func(n string) bool {
		return strings.HasPrefix(n, "boot/vmlinuz-") || strings.HasPrefix(n, "lib/modules/")
	})
	if err != nil {
		return nil, done.end(err)
	}
	var image []byte
	version := ""
	for n, b := range files {
		if v, ok := strings.CutPrefix(n, "boot/vmlinuz-"); ok {
			image, version = b, v
			continue
		}
		if err := r.put(entry{path: "/" + n, mode: 0o644, data: b}); err != nil {
			return nil, done.end(err)
		}
	}
	if image == nil {
		return nil, done.end(fmt.Errorf("the package %s has no kernel", name))
	}
	return image, done.end(o.listModules(ctx, r, version))
}

// listModules writes what modprobe reads. Without depmod on this host there is
// no list: the ramdisk has loaded what a virtual machine needs all the same.
func (o *oven) listModules(ctx context.Context, r *rootfs, version string) error {
	if _, err := exec.LookPath("depmod"); err != nil {
		return nil
	}
	if _, err := command(ctx, "/", nil, "depmod", "-b", r.dir, version); err != nil {
		return err
	}
	made, err := fs.Glob(r.root.FS(), "lib/modules/"+version+"/modules.*")
	for _, n := range made {
		b, rerr := r.root.ReadFile(n)
		err = errors.Join(err, rerr, r.put(entry{path: "/" + n, mode: 0o644, data: b}))
	}
	return err
}

// kernelVersion reads it from the header of a bzImage; "" if there is none.
// Source: Documentation/x86/boot.rst of Linux, field kernel_version.
func kernelVersion(image []byte) string {
	if len(image) < 0x210 || string(image[0x202:0x206]) != "HdrS" {
		return ""
	}
	at := int(binary.LittleEndian.Uint16(image[0x20e:])) + 0x200
	if at+256 > len(image) {
		return ""
	}
	text, _, _ := bytes.Cut(image[at:at+256], []byte{0})
	version, _, _ := strings.Cut(string(text), " ")
	if !fs.ValidPath(version) {
		return ""
	}
	return version
}

// bootModules reads those of the wanted modules, and of what they need, that
// the system has for this version. What is not there the kernel has built in,
// or lacks.
func (r *rootfs) bootModules(version string) (modules, error) {
	paths := map[string]string{}
	err := fs.WalkDir(r.root.FS(), path.Join("lib/modules", version), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		base := path.Base(name)
		if stem, _, ok := strings.Cut(base, ".ko"); ok && d.Type().IsRegular() {
			paths[moduleName(stem)] = name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := modules{}
	queue := slices.Concat(append([][]string{foreignModules}, bootModules[:]...)...)
	for len(queue) > 0 {
		name := moduleName(queue[0])
		queue = queue[1:]
		file, ok := paths[name]
		if _, had := found[name]; had || !ok {
			continue
		}
		b, err := r.module(file)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", file, err)
		}
		needs, err := dependsOn(b)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", file, err)
		}
		found[name] = b
		queue = append(queue, needs...)
	}
	return found, nil
}

// foreignModules are those that Debian's cloud kernel has built in and another
// may not.
var foreignModules = []string{"virtio", "virtio_mmio", "ext4", "crc32c_generic"}

// maxModule bounds what one unpacks to.
const maxModule = 64 << 20

// module reads a module, which may be packed.
func (r *rootfs) module(name string) ([]byte, error) {
	b, err := r.root.ReadFile(name)
	if err != nil {
		return nil, err
	}
	in, err := tarfile.Unpack(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	b, err = io.ReadAll(io.LimitReader(in, maxModule+1))
	if err == nil && len(b) > maxModule {
		err = errors.New("it is larger than any module")
	}
	return b, err
}
