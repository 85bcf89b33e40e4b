package bake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/disk/appliance"
)

// Appliance gives the parts of the guest that works on file systems of some kinds, which it
// makes once of Debian's cloud kernel and Hearth's guest agent, and keeps in CacheDir: apt is
// asked at the first use only. For f2fs there is another one beside it, of Debian's ordinary
// kernel, whose package is larger. It runs as any user.
func Appliance(ctx context.Context, opt Options, kinds []string) (appliance.Parts, error) {
	program, err := guest.Agent()
	if err != nil {
		return appliance.Parts{}, err
	}
	return applianceOf(ctx, opt, kinds, program)
}

// ordinary tells whether one of the kinds is a file system of which Debian's cloud kernel
// has no module.
func ordinary(kinds []string) bool { return slices.Contains(kinds, "f2fs") }

func applianceOf(ctx context.Context, opt Options, kinds []string, program []byte) (appliance.Parts, error) {
	if opt.CacheDir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return appliance.Parts{}, fmt.Errorf("say where it is kept (XDG_CACHE_HOME): %w", err)
		}
		opt.CacheDir = filepath.Join(home, "hearth", "bake")
	}
	sum := sha256.Sum256(program)
	name, kernelOf := "appliance-", cloudKernel
	if ordinary(kinds) {
		name, kernelOf = "appliance-ordinary-", ordinaryKernel
	}
	dir := filepath.Join(opt.CacheDir, name+hex.EncodeToString(sum[:6]))
	p := appliance.PartsIn(dir)
	if _, err := os.Stat(p.Ramdisk); err == nil {
		return p, nil
	}
	if err := os.MkdirAll(opt.CacheDir, 0o755); err != nil {
		return p, fmt.Errorf("a folder to keep it in (XDG_CACHE_HOME says where): %w", err)
	}
	opt.OutDir = opt.CacheDir
	o, err := newOven(opt)
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(o.work)
	kernel, list, err := o.applianceKernel(ctx, kernelOf)
	if err != nil {
		return p, err
	}
	return p, appliance.Make(dir, kernel, list, program)
}

// applianceFolders have all modules of an appliance, and a tenth of an ordinary kernel's.
var applianceFolders = []string{"arch/", "block/", "crypto/", "drivers/block/", "drivers/virtio/", "fs/", "lib/"}

// inAppliance tells whether an appliance may need a file of a kernel's package.
func inAppliance(name string) bool {
	_, in, _ := strings.Cut(name, "/kernel/")
	return strings.HasPrefix(name, "boot/vmlinuz-") ||
		strings.HasSuffix(name, ".ko") && slices.ContainsFunc(applianceFolders, func(dir string) bool { return strings.HasPrefix(in, dir) })
}

// applianceKernel takes the kernel, and the modules of an appliance, out of the package
// that Debian's package depends on.
func (o *oven) applianceKernel(ctx context.Context, depends string) (kernel []byte, list []appliance.Module, err error) {
	name, err := kernelPackageOf(ctx, depends)
	if err != nil {
		return nil, nil, err
	}
	debs, err := o.fetch(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	files, err := unpack(ctx, debs[name], inAppliance)
	if err != nil {
		return nil, nil, err
	}
	for n, b := range files {
		if strings.HasPrefix(n, "boot/") {
			kernel = b
		}
	}
	mods := newModules(files)
	var there []string
	for _, m := range appliance.Modules {
		if mods[moduleName(m)] != nil {
			there = append(there, m)
		}
	}
	order, err := mods.order(there...)
	for _, m := range order {
		list = append(list, appliance.Module{Name: m, Data: mods[m]})
	}
	if kernel == nil {
		err = errors.Join(err, fmt.Errorf("the package %s has no kernel", name))
	}
	return kernel, list, err
}
