package bake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/disk/appliance"
)

// Appliance gives the parts of the guest that works on file systems, which it makes
// once of Debian's cloud kernel and Hearth's guest agent, and keeps in CacheDir: apt is
// asked at the first use only. It runs as any user.
func Appliance(ctx context.Context, opt Options) (appliance.Parts, error) {
	program, err := guest.Agent()
	if err != nil {
		return appliance.Parts{}, err
	}
	return applianceOf(ctx, opt, program)
}

func applianceOf(ctx context.Context, opt Options, program []byte) (appliance.Parts, error) {
	if opt.CacheDir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return appliance.Parts{}, fmt.Errorf("say where it is kept (XDG_CACHE_HOME): %w", err)
		}
		opt.CacheDir = filepath.Join(home, "hearth", "bake")
	}
	sum := sha256.Sum256(program)
	dir := filepath.Join(opt.CacheDir, "appliance-"+hex.EncodeToString(sum[:6]))
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
	kernel, list, err := o.applianceKernel(ctx)
	if err != nil {
		return p, err
	}
	return p, appliance.Make(dir, kernel, list, program)
}

// applianceKernel takes the kernel, and the modules of an appliance, out of Debian's
// package.
func (o *oven) applianceKernel(ctx context.Context) (kernel []byte, list []appliance.Module, err error) {
	name, err := kernelPackage(ctx)
	if err != nil {
		return nil, nil, err
	}
	debs, err := o.fetch(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	files, err := unpack(ctx, debs[name], func(n string) bool { return strings.HasPrefix(n, "boot/vmlinuz-") || strings.HasSuffix(n, ".ko") })
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
