package bake

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/bake/layer"
	"hearth/internal/bake/recipe"
	tarfile "hearth/internal/disk/tarball"
)

// layerVersion goes into every base's key: a hearth that makes layers otherwise
// does not take those of one before.
const layerVersion = 1

// base is the lowest layer.
func (k *kitchen) base() part {
	b := k.recipe.Base
	p := part{name: "base"}
	switch {
	case b.Bootstrap == "ember":
		p.input, p.make = k.emberInput, k.emberBase
	case b.Installer != "":
		p.input, p.make = k.installerInput, k.installerBase
	case b.Bootstrap != "":
		p.input = func(context.Context) (any, error) {
			in := map[string]any{"version": layerVersion, "bootstrap": b.Bootstrap, "suite": orElse(b.Suite, debianSuite), "mirror": b.Mirror, "components": b.Components}
			if b.Keyring != "" {
				in["keyring"] = k.lock.Inputs[filepath.Base(b.Keyring)]
			}
			if more := besides(b); more != nil {
				in["packages"] = more
			}
			return in, nil
		}
		p.make = k.bootstrapBase
	default:
		file, kind := k.recipe.Path(b.Tarball), "tarball"
		if b.Image != "" {
			file, kind = k.recipe.Path(b.Image), "image"
		}
		p.input = func(context.Context) (any, error) {
			return map[string]any{"version": layerVersion, kind: k.lock.Inputs[filepath.Base(file)]}, nil
		}
		p.make = func(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
			if kind == "image" {
				return k.imageBase(ctx, file, l)
			}
			return k.archiveBase(file, l)
		}
	}
	return p
}

func (k *kitchen) bootstrapBase(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
	b := k.recipe.Base
	k.mirror = nil
	if b.Mirror != "" {
		k.mirror = []string{b.Mirror}
	}
	var options []string
	if len(b.Components) > 0 {
		options = []string{"--components=" + strings.Join(b.Components, ",")}
	}
	more, err := trust(b, k.recipe.Path(b.Keyring))
	if err != nil {
		return nil, err
	}
	options = append(options, more...)
	archive := filepath.Join(k.work, "base.tar")
	defer os.Remove(archive)
	if err := k.bootstrap(ctx, archive, besides(b), options...); err != nil {
		return nil, err
	}
	return k.archiveBase(archive, l)
}

// Where Debian's package ubuntu-keyring has the keys of Ubuntu's archive, and a hook for mmdebstrap
// that makes /bin and its like the links that they are in each Ubuntu since 20.04, before
// any package makes folders of them. (mmdebstrap's own hook for it stumbles over the
// base-files of 24.04, which has the links itself.)
const (
	ubuntuKeys = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
	mergedUsr  = `--setup-hook=for d in bin lib lib64 sbin; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done`
)

// besides are the packages that the smallest system of a distribution lacks and that
// are needed to install others. Debian's has them.
func besides(b recipe.Base) []string {
	if b.Bootstrap == "ubuntu" {
		return []string{"apt", "ubuntu-keyring"}
	}
	return nil
}

// trust gives mmdebstrap's options for the keys of a mirror, and for what else a
// distribution other than Debian wants.
func trust(b recipe.Base, keyring string) (options []string, err error) {
	if b.Bootstrap == "ubuntu" && keyring == "" {
		if _, err := os.Stat(ubuntuKeys); err != nil {
			return nil, fmt.Errorf("the signatures of Ubuntu's archive cannot be checked: install the package ubuntu-keyring (%s), or name a file with the keys as base.keyring", ubuntuKeys)
		}
		keyring = ubuntuKeys
	}
	if keyring != "" {
		options = append(options, "--keyring="+keyring)
	}
	if b.Bootstrap == "ubuntu" {
		options = append(options, mergedUsr)
	}
	return options, nil
}

func (k *kitchen) emberInput(ctx context.Context) (any, error) {
	agent, err := guest.Agent()
	if err != nil {
		return nil, err
	}
	kernel, err := kernelPackage(ctx)
	return map[string]any{"version": layerVersion, "bootstrap": "ember", "form": 2, "agent": sum(agent), "init": sum(initScript), "kernel": kernel, "user": k.loginUser()}, err
}

// emberBase makes the layer of the whole ember, with its kernel and ramdisk.
func (k *kitchen) emberBase(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
	k.User = k.loginUser().LoginName()
	sys, err := ember(ctx, k.oven)
	if err != nil {
		return nil, err
	}
	r, err := openRootfs(sys.root)
	if err != nil {
		return nil, err
	}
	defer r.root.Close()
	for _, f := range sys.boot {
		if path.Base(f.Path) != "grub.cfg" {
			if err := r.put(entry{path: f.Path, mode: f.Mode, data: f.Data}); err != nil {
				return nil, err
			}
		}
	}
	if err := r.user(k.loginUser(), true); err != nil {
		return nil, err
	}
	l.Notes = map[string]string{"kernel": "/boot/vmlinuz", "ramdisk": "/boot/initrd", "uuid": uuidOf(l.Key), "packages": strings.Join(k.packages, " ")}
	return k.put(l, r.writeAll)
}

// archiveBase makes the layer of an archive: its files without devices and without
// what makes a system itself.
func (k *kitchen) archiveBase(archive string, l layer.Layer) (*layer.Layer, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in, err := tarfile.Unpack(f)
	if err != nil {
		return nil, err
	}
	done := k.steps.begin("read "+filepath.Base(archive), fileLength(archive))
	made, err := k.put(l, func(w *tar.Writer) error {
		return layer.EachFile(in, func(h *tar.Header, r io.Reader) error {
			if pos, err := f.Seek(0, io.SeekCurrent); err == nil {
				done.at(pos)
			}
			name := layer.Clean(h.Name)
			if name == "" || !layer.Kept(h) || dropped("/"+name) {
				return nil
			}
			out := &tar.Header{Typeflag: h.Typeflag, Name: name, Linkname: h.Linkname, Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid, Size: h.Size, ModTime: h.ModTime}
			if h.Typeflag == tar.TypeLink {
				out.Linkname = layer.Clean(h.Linkname)
			}
			attributes, err := tarfile.Xattrs(h)
			if err != nil {
				return err
			}
			if out.PAXRecords, err = tarfile.Records(attributes); err != nil {
				return err
			}
			if err := w.WriteHeader(out); err != nil {
				return err
			}
			_, err = io.Copy(w, r)
			return err
		})
	})
	return made, done.end(err)
}

// packagesPart installs packages.
func (k *kitchen) packagesPart() part {
	names := slices.Clone(k.recipe.Packages.Install)
	slices.Sort(names)
	names = slices.Compact(names)
	if k.opt.Locked {
		for i, n := range names {
			if v := k.pinned.version(n); v != "" && !strings.Contains(n, "=") {
				names[i] = n + "=" + v
			}
		}
	}
	return part{name: "packages",
		input: func(context.Context) (any, error) { return names, nil },
		make: func(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
			done := k.steps.begin(fmt.Sprintf("install %d packages", len(names)), 0)
			made, err := k.installMissing(ctx, l, names)
			return made, done.end(err)
		}}
}

// installMissing makes an empty layer if the base has all the packages.
func (k *kitchen) installMissing(ctx context.Context, l layer.Layer, names []string) (*layer.Layer, error) {
	r, err := k.materialise()
	if err != nil {
		return nil, err
	}
	status, err := r.read("/var/lib/dpkg/status")
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, p := range installed(status) {
		name, version, _ := strings.Cut(p, "_")
		there[name], there[name+"="+version] = true, true
	}
	for _, n := range names {
		if !there[n] {
			return k.aptLayer(ctx, l, "", names)
		}
	}
	return k.put(l, func(*tar.Writer) error { return nil })
}

// aptLayer installs packages by apt inside the tree, after a script.
func (k *kitchen) aptLayer(ctx context.Context, l layer.Layer, before string, names []string) (*layer.Layer, error) {
	r, err := k.materialise()
	if err != nil {
		return nil, err
	}
	if !r.has("/usr/bin/apt-get") {
		for _, m := range []string{"dnf", "zypper", "pacman", "apk", "emerge"} {
			if r.first("/usr/bin/"+m, "/sbin/"+m) != "" {
				return nil, fmt.Errorf("packages by %s are not available here: put them into the tarball", m)
			}
		}
		return nil, errors.New("the base has no apt-get, and packages of other managers are not available here: put them into the tarball")
	}
	cache := filepath.Join(k.CacheDir, orElse(k.recipe.Base.Suite, debianSuite))
	j := job{network: true, apt: true, drops: droppedByPackages,
		mounts: [][2]string{{cache, "/var/cache/apt/archives"}, {filepath.Join(k.CacheDir, "lists", l.Name+"-"+k.chain[0].Key[:16]), "/var/lib/apt/lists"}},
		script: before + `
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
apt="apt-get -q -y -o APT::Sandbox::User=root -o APT::Keep-Downloaded-Packages=true -o DPkg::Options::=--force-unsafe-io -o DPkg::Options::=--force-confold"
$apt update
$apt --no-install-recommends install ` + strings.Join(names, " ") + `
rm /usr/sbin/policy-rc.d
`}
	over, err := k.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer over()
	return k.insideLayer(ctx, l, j)
}

// droppedByPackages are files that installing leaves and an image must not have.
func droppedByPackages(name string) bool {
	for _, dir := range []string{"/var/cache/apt/", "/var/lib/apt/lists/", "/usr/sbin/policy-rc.d"} {
		if strings.HasPrefix(name+"/", dir) && name+"/" != dir {
			return true
		}
	}
	return dropped(name)
}

// insideLayer makes a layer of what a job changes.
func (k *kitchen) insideLayer(ctx context.Context, l layer.Layer, j job) (*layer.Layer, error) {
	var made *layer.Layer
	err := k.inside(ctx, k.chain, j, func(removed []string, write func(*tar.Writer) error) (err error) {
		l.Removed = removed
		made, err = k.put(l, write)
		return err
	})
	return made, err
}

// kernelPart gives the system its kernel and ramdisk.
func (k *kitchen) kernelPart() part {
	spec := k.recipe.Kernel
	if spec.From == "distribution" {
		return k.distributionKernel(orElse(spec.Package, map[string]string{"": "linux-image-cloud-amd64", "debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}[k.recipe.Base.Bootstrap]))
	}
	return part{name: "kernel",
		input: func(ctx context.Context) (any, error) {
			in := map[string]any{"from": spec.From, "init": sum(initScript), "modules": bootModules, "foreign": foreignModules}
			if spec.Tarball != "" {
				in["tarball"] = k.lock.Inputs[filepath.Base(spec.Tarball)]
			}
			return in, nil
		},
		make: func(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
			l.Notes = map[string]string{}
			return k.change(l, func(r *rootfs) error { return k.addKernel(ctx, r, l.Notes) })
		}}
}

// distributionKernel installs one with its own ramdisk, which an upgrade in the
// guest makes anew.
func (k *kitchen) distributionKernel(name string) part {
	before := `mkdir -p /etc/initramfs-tools/conf.d /usr/share/initramfs-tools/modules.d
printf 'MODULES=list\nCOMPRESS=zstd\n' >/etc/initramfs-tools/conf.d/hearth
printf '` + debianModules + `' >/usr/share/initramfs-tools/modules.d/hearth
`
	names := []string{name, "initramfs-tools", "zstd"}
	return part{name: "kernel",
		input: func(context.Context) (any, error) { return []string{"distribution", before, name}, nil },
		make: func(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
			done := k.steps.begin("install "+name, 0)
			l.Notes = map[string]string{"kernel": "/vmlinuz", "ramdisk": "/initrd.img"}
			if k.recipe.Base.Bootstrap == "ubuntu" {
				l.Notes = map[string]string{"kernel": "/boot/vmlinuz", "ramdisk": "/boot/initrd.img"}
			}
			made, err := k.aptLayer(ctx, l, before, names)
			return made, done.end(err)
		}}
}

// addKernel finds or adds a kernel, and makes a ramdisk unless there is one with it.
func (k *kitchen) addKernel(ctx context.Context, r *rootfs, notes map[string]string) error {
	const kernel, ramdisk = "/boot/hearth/vmlinuz", "/boot/hearth/initrd"
	if k.recipe.Kernel.From == "tarball" {
		if err := r.overTar(k.recipe.Path(k.recipe.Kernel.Tarball), "/"); err != nil {
			return err
		}
	}
	own, err := r.oneOf("boot/vmlinuz*", "boot/kernel-*", "boot/bzImage*")
	if err != nil {
		return err
	}
	var image []byte
	switch from := k.recipe.Kernel.From; {
	case own == "" && (from == "base" || from == "tarball"):
		return fmt.Errorf("there is no boot/vmlinuz* in the %s", from)
	case own != "" && from != "hearth":
		notes["kernel"] = own
		image, err = r.follow(own)
	default:
		notes["kernel"] = kernel
		if image, err = k.addDebianKernel(ctx, r); err == nil {
			err = r.put(entry{path: kernel, mode: 0o644, data: image})
		}
	}
	if err != nil {
		return err
	}
	if k.recipe.Kernel.From == "tarball" {
		if notes["ramdisk"], err = r.oneOf("boot/initramfs*", "boot/initrd*"); err != nil || notes["ramdisk"] != "" {
			return err
		}
	}
	notes["ramdisk"] = ramdisk
	mods, err := r.bootModules(kernelVersion(image))
	if err != nil {
		return err
	}
	busybox, err := k.busybox(ctx)
	if err != nil {
		return err
	}
	made, err := k.initialRamdisk(ctx, busybox, mods, [3][]string{slices.Collect(mods.names())})
	if err != nil {
		return err
	}
	return r.put(entry{path: ramdisk, mode: 0o644, data: made})
}

// oneOf finds the one file of these patterns; "" if there is none.
func (r *rootfs) oneOf(patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		more, err := fs.Glob(r.root.FS(), p)
		if err != nil {
			return "", err
		}
		found = append(found, more...)
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return "/" + found[0], nil
	}
	return "", fmt.Errorf("there are %d of one kind: %s; leave one", len(found), strings.Join(found, ", "))
}

// scriptPart runs a script of the recipe.
func (k *kitchen) scriptPart(i int) part {
	s := k.recipe.Scripts[i]
	name := orElse(s.Name, orElse(filepath.Base(s.File), "script"))
	if name == "." {
		name = fmt.Sprintf("script %d", i+1)
	}
	text := s.Run
	return part{name: name,
		input: func(context.Context) (any, error) {
			if s.File != "" {
				b, err := os.ReadFile(k.recipe.Path(s.File))
				if err != nil {
					return nil, err
				}
				text = string(b)
			}
			return map[string]any{"text": text, "prelude": s.Prelude, "network": s.Network}, nil
		},
		make: func(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
			done := k.steps.begin("run "+name, 0)
			made, err := k.insideLayer(ctx, l, job{script: text, files: s.Prelude, network: s.Network})
			return made, done.end(err)
		}}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// systemPart puts in the agent, users, services, network, console and fstab.
func (k *kitchen) systemPart() part {
	return part{name: "system",
		input: func(context.Context) (any, error) {
			in := map[string]any{"users": k.recipe.Users, "services": k.recipe.Services, "hostname": k.recipe.Hostname, "agent": k.recipe.Agent, "name": k.recipe.Name, "form": 2}
			if k.agent() == "hearth" {
				files, err := guest.Install(guest.Systemd, "x")
				if err != nil {
					return nil, err
				}
				in["agent-sum"] = sum(files[0].Data)
			}
			return in, nil
		},
		make: func(_ context.Context, l layer.Layer) (*layer.Layer, error) {
			// The same recipe gives the same file system id: whoever bakes twice gets the same image.
			l.Notes = map[string]string{"uuid": uuidOf(l.Key)}
			return k.change(l, func(r *rootfs) error { return k.settle(r, l.Notes["uuid"]) })
		}}
}

func (k *kitchen) agent() string { return orElse(k.recipe.Agent, "hearth") }

// uuidOf makes a UUID of version 8, which is what one likes, of a key.
func uuidOf(key string) string {
	return fmt.Sprintf("%s-%s-8%s-8%s-%s", key[:8], key[8:12], key[13:16], key[17:20], key[20:32])
}

// loginUser is who gets the cloud's keys.
func (k *kitchen) loginUser() recipe.User {
	if len(k.recipe.Users) > 0 {
		return k.recipe.Users[0]
	}
	if k.recipe.Base.Bootstrap != "" {
		return recipe.User{Name: k.recipe.Base.Bootstrap}
	}
	return recipe.User{Preset: amazonUser}
}
