package bake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/bake/installer"
	"hearth/internal/bake/sbom"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/inspect"
	"hearth/internal/disk/sysprep"
)

// installSize is the disk that an installer gets unless told otherwise, bytes.
const installSize = 4 << 30

// InstallOptions says what an installer puts on a disk.
type InstallOptions struct {
	Name     string // of the image
	Source   string // the installer: an ISO or a folder, here or on the web
	Kind     string // of the answers, one of installer.Kinds
	Answers  []byte
	OutDir   string
	CacheDir string // ISOs of the web are kept there
	Size     int64  // of the disk, bytes; 0: 4 GiB
	Accel    string // "auto" or "", "kvm", "tcg"
	Fetch    installer.Fetch
	Progress func(Step)
	Say      func(string) // is told what the installer says
}

// InstallResult names what came of it. The image boots as the installer left it, without what
// made it one guest's.
type InstallResult struct {
	Disk     string // qcow2
	Manifest string
	Console  string // all that the installer said
	SBOM     string
	Sources  string
	Licence  string
	System   string // what was installed, for people
	Took     time.Duration
}

// Install has an installer make a disk, takes out of it what others must not share, and
// packs it. It runs as any user.
func Install(ctx context.Context, opt InstallOptions) (*InstallResult, error) {
	o, err := newOven(Options{Recipe: opt.Name, OutDir: opt.OutDir, CacheDir: opt.CacheDir, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	defer o.scratch.Close()
	o.log = opt.Say
	target, ran, err := o.install(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", opt.Name, err)
	}
	res, err := o.installed(ctx, opt.Name, target, ran)
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", opt.Name, err)
	}
	return res, nil
}

// install runs the installer and gives the disk that it wrote. What it said is kept beside the
// image even when it stopped.
func (o *oven) install(ctx context.Context, opt InstallOptions) (string, *installer.Result, error) {
	media, err := installer.Open(ctx, opt.Source, opt.Kind, o.CacheDir, opt.Fetch)
	if err != nil {
		return "", nil, err
	}
	size := opt.Size
	if size == 0 {
		size = installSize
	}
	target := filepath.Join(o.work, "installed.raw")
	if err := empty(target, size); err != nil {
		return "", nil, err
	}
	done := o.steps.begin("install ("+opt.Kind+")", 0)
	ran, err := installer.Run(ctx, installer.Options{Media: media, Kind: opt.Kind, Answers: opt.Answers, Disk: target, Work: o.work, Accel: opt.Accel,
		Say: opt.Say, Wrote: done.at})
	if ran != nil {
		err = errors.Join(err, os.WriteFile(filepath.Join(o.OutDir, o.Recipe+".install.log"), []byte(ran.Console), 0o644))
	}
	return target, ran, done.end(err)
}

// empty makes a disk that has nothing.
func empty(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// installed makes of a disk that an installer wrote an image.
func (o *oven) installed(ctx context.Context, name, target string, ran *installer.Result) (*InstallResult, error) {
	layer := disk.Layer{Path: target, Format: disk.Raw}
	report, err := inspect.Image(ctx, &o.run, target)
	if err != nil {
		return nil, err
	}
	if report.System == nil {
		return nil, errors.New("the installer ended, but left no system on the disk: " + filepath.Join(o.OutDir, name+".install.log") + " has what it said")
	}
	done := o.steps.begin("take out what is one guest's own (sysprep)", 0)
	if _, err = sysprep.Image(ctx, &o.run, layer, sysprep.Options{}); done.end(err) != nil {
		return nil, err
	}
	res := &InstallResult{Console: filepath.Join(o.OutDir, name+".install.log"), System: report.System.Name, Took: ran.Took}
	list, err := o.materials(ctx, layer, name)
	if err != nil {
		return nil, err
	}
	for _, p := range list.Packages {
		o.packages = append(o.packages, p.Name+"_"+p.Version)
	}
	packed := filepath.Join(o.work, "packed.qcow2")
	done = o.steps.begin("write the qcow2 image", 0)
	if err = o.run.Convert(ctx, layer, disk.Target{Path: packed, Format: disk.QCOW2, Compress: true}, nil); done.end(err) != nil {
		return nil, err
	}
	if res.SBOM, res.Sources, res.Licence, err = list.Write(filepath.Join(o.OutDir, name)); err != nil {
		return nil, err
	}
	baked := Result{}
	o.machine, o.distro = ran.Machine, list.Distro
	err = o.publish(&baked, []move{{packed, ".qcow2", &baked.Disk}})
	res.Disk, res.Manifest = baked.Disk, baked.Manifest
	return res, err
}

// materials reads the bill of materials of the system in a disk.
func (o *oven) materials(ctx context.Context, layer disk.Layer, name string) (*sbom.List, error) {
	d, err := guestfs.Open(ctx, &o.run, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	t, err := d.Tree()
	if err != nil {
		return nil, err
	}
	return sbom.Read(treeFS{t}, name, time.Now()), nil
}
