package bake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/bake/layer"
	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/bootloader"
	"hearth/internal/disk/workdir"
)

// Options says what to bake.
type Options struct {
	Recipe   string // one of Recipes
	OutDir   string // where the images go; made if it lacks
	CacheDir string // packages, kept for the next time; "": hearth/bake in the user's cache folder
	Size     int64  // bytes of the disk; 0: as small as the recipe allows
	User     string // who logs in with the ssh key; "": the recipe's own
	Suite    string // of Debian, for the recipe debian; "": bookworm
	// Init has debian made without cloud-init, with Hearth's guest agent and this
	// init system: systemd, openrc, sysv or runit. "": with cloud-init and systemd.
	Init     string
	Tarball  string // root file system that gentoo and tarball start from, packed or not
	Kernel   string // of a tarball; "": its own, or Debian's for clouds
	Modules  string // of Kernel: a folder or an archive
	Overlay  string // a folder or an archive that is put over a system with Hearth's agent
	Loader   string // that boots the disk: grub, extlinux or systemd-boot; "": grub, or systemd-boot for uefi
	Firmware string // that the disk boots under: bios, uefi or hybrid; "": the loader's first
	Raw      bool   // keep the bootable disk as raw too
	Progress func(Step)
}

// Result names what was baked. Paths are absolute.
type Result struct {
	Recipe   string
	Disk     string // bootable qcow2
	RawDisk  string // the same as sparse raw; "" unless asked for
	Kernel   string // aki
	Ramdisk  string // ari
	Root     string // ami: an ext4 file system without partition table
	Manifest string // JSON: sizes, SHA-256 sums, packages
	User     string
	// CommandLine is what the kernel of the triplet wants, for the image
	// property os_command_line.
	CommandLine string
	Packages    []string
}

// builtin fills a kitchen table with a system.
type builtin func(ctx context.Context, o *oven) (*system, error)

// system is what a recipe makes and the images are cut from.
type system struct {
	kernel  []byte
	ramdisk []byte
	root    *staged     // the root file system
	boot    []disk.File // what the bootable disk has besides it, but for the loader's own
	menu    bootdisk.Menu
	label   string // of the root file system
	uuid    string // of the root file system
	params  string // of the kernel
	minSize int64  // of the root file system, bytes
	swap    int64  // of its swap file, bytes; 0: there is none
	user    string
	small   bool // its qcow2 is packed as small as can be, however long that takes
}

// recipes is the list of all there are.
func recipes() map[string]builtin {
	return map[string]builtin{"ember": ember, "debian": debian, "gentoo": gentoo, "tarball": tarball}
}

// Recipes names all recipes.
func Recipes() []string { return slices.Sorted(maps.Keys(recipes())) }

// oven is one run of Bake.
type oven struct {
	Options
	run      disk.Runner
	work     string // path of scratch
	scratch  *workdir.Dir
	steps    steps
	packages []string
	mirror   []string          // that mmdebstrap asks; none: its own choice
	wants    func(string) bool // tells which forms are made; nil: all but raw
	distro   string            // ID of os-release; "": the recipe's name
	machine  string            // that the image was made and is tested on; "": the one of this Hearth's guests
	log      func(string)      // is given what programs say; nil: nobody
}

// Bake makes the images of a recipe in OutDir. Files of a former run are
// replaced only when all are done. It runs as any user.
func Bake(ctx context.Context, opt Options) (Result, error) {
	cook, ok := recipes()[opt.Recipe]
	if !ok {
		return Result{}, fmt.Errorf("bake: there is no recipe %q; there are %s", opt.Recipe, strings.Join(Recipes(), ", "))
	}
	if opt.User != "" && !plainName(opt.User) {
		return Result{}, fmt.Errorf("bake %s: %q is no name for a user: use lower case letters, digits, - and _", opt.Recipe, opt.User)
	}
	o, err := newOven(opt)
	if err != nil {
		return Result{}, err
	}
	defer o.scratch.Close()
	sys, err := cook(ctx, o)
	var res Result
	if err == nil {
		res, err = o.images(ctx, sys)
	}
	if err != nil && ctx.Err() != nil {
		return Result{}, fmt.Errorf("bake %s: interrupted; no image was made", opt.Recipe)
	}
	if err != nil {
		return Result{}, fmt.Errorf("bake %s: %w", opt.Recipe, err)
	}
	return res, nil
}

// newOven checks the options and makes the folders.
func newOven(opt Options) (*oven, error) {
	var err error
	if opt.Loader, opt.Firmware, err = bootloader.Settle(opt.Loader, opt.Firmware); err != nil {
		return nil, err
	}
	if opt.OutDir, err = filepath.Abs(opt.OutDir); err != nil {
		return nil, err
	}
	if opt.CacheDir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("say with --cache where packages and layers are kept: %w", err)
		}
		opt.CacheDir = filepath.Join(home, "hearth", "bake")
	}
	if opt.CacheDir, err = filepath.Abs(opt.CacheDir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opt.OutDir, 0o755); err != nil {
		return nil, fmt.Errorf("the folder for the images cannot be made: %w; name another one with --out", err)
	}
	if err := os.MkdirAll(opt.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("the folder where packages and layers are kept cannot be made: %w; name another one with --cache", err)
	}
	scratch, err := workdir.Make(opt.OutDir, ".bake-", discard)
	if err != nil {
		return nil, err
	}
	return &oven{Options: opt, work: scratch.Path, scratch: scratch, steps: steps{tell: opt.Progress, now: time.Now}}, nil
}

// images cuts the images from the system and moves them to their place.
func (o *oven) images(ctx context.Context, sys *system) (Result, error) {
	res := Result{Recipe: o.Recipe, User: sys.user, CommandLine: sys.params, Packages: o.packages}
	root := filepath.Join(o.work, "root")
	size := sys.minSize
	if o.Size > 0 {
		besides := o.disk(sys, root).Besides()
		if size = (o.Size - besides) / blockSize * blockSize; size < sys.minSize {
			return res, fmt.Errorf("a disk of %d bytes is too small: the recipe needs %d", o.Size, sys.minSize+besides)
		}
	}
	if err := o.fileSystem(ctx, sys.root, root, sys.label, sys.uuid, size); err != nil {
		return res, err
	}
	if sys.swap > 0 {
		if err := o.growSwap(ctx, root, sys.swap); err != nil {
			return res, err
		}
	}
	moves, err := o.disks(ctx, sys, &res, root, size)
	if err != nil {
		return res, err
	}
	if o.wants != nil && !o.wants("ami") {
		return res, o.publish(&res, moves)
	}
	kernel, ramdisk := filepath.Join(o.work, "kernel"), filepath.Join(o.work, "ramdisk")
	if err := os.WriteFile(kernel, sys.kernel, 0o644); err != nil {
		return res, err
	}
	if err := os.WriteFile(ramdisk, sys.ramdisk, 0o644); err != nil {
		return res, err
	}
	moves = append(moves, move{kernel, ".vmlinuz", &res.Kernel}, move{ramdisk, ".initrd", &res.Ramdisk}, move{root, ".ext4", &res.Root})
	return res, o.publish(&res, moves)
}

// disks makes those that boot: as qcow2, as raw, or none.
func (o *oven) disks(ctx context.Context, sys *system, res *Result, root string, size int64) (moves []move, err error) {
	qcow2 := o.wants == nil || o.wants("qcow2")
	if !qcow2 && !o.Raw {
		return nil, nil
	}
	raw, err := o.bootable(ctx, sys, root, size)
	if err != nil {
		return nil, err
	}
	if qcow2 {
		packed := filepath.Join(o.work, "packed")
		done := o.steps.begin("write the qcow2 image", size)
		err = o.pack(ctx, sys, raw, packed, fileLength(raw), func(part float64) { done.at(int64(part * float64(size))) })
		if done.end(err) != nil {
			return nil, err
		}
		moves = append(moves, move{packed, ".qcow2", &res.Disk})
	}
	if o.Raw {
		moves = append(moves, move{raw, ".raw", &res.RawDisk})
	}
	return moves, nil
}

// pack makes the qcow2 of a disk.
func (o *oven) pack(ctx context.Context, sys *system, raw, packed string, size int64, progress disk.Progress) error {
	if sys.small {
		return o.run.PackQCOW2(ctx, raw, packed, o.work, size, progress)
	}
	return o.run.Convert(ctx, disk.Layer{Path: raw, Format: disk.Raw}, disk.Target{Path: packed, Format: disk.QCOW2, Compress: true}, progress)
}

// move is one finished file and the name it gets.
type move struct {
	from, suffix string
	to           *string
}

// cpuBaseline is what the code of these images wants: Debian's amd64, busybox and all that is
// unpacked here run on every processor with 64 bits.
const cpuBaseline = "x86-64-v1"

// properties are those that an image should have in glance. Empty ones are left out.
func (o *oven) properties(res *Result) map[string]string {
	all := map[string]string{"hw_disk_bus": "virtio", "hw_vif_model": "virtio", "hw_machine_type": orElse(o.machine, "pc"), "hearth_cpu_baseline": cpuBaseline,
		"os_distro": orElse(o.distro, o.Recipe), "default_user": res.User, "os_command_line": res.CommandLine}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}

// publish writes the manifest and moves all files to OutDir.
func (o *oven) publish(res *Result, moves []move) error {
	done := o.steps.begin("check sums", 0)
	type entry struct {
		File   string `json:"file"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	}
	var entries []entry
	for _, m := range moves {
		sum, size, err := layer.Sum(m.from)
		if err != nil {
			return done.end(err)
		}
		*m.to = filepath.Join(o.OutDir, o.Recipe+m.suffix)
		entries = append(entries, entry{filepath.Base(*m.to), size, sum})
	}
	res.Manifest = filepath.Join(o.OutDir, o.Recipe+".json")
	b, err := json.MarshalIndent(map[string]any{"recipe": o.Recipe, "user": res.User, "files": entries, "packages": o.packages, "properties": o.properties(res)}, "", "  ")
	if err != nil {
		return done.end(err)
	}
	mode, err := disk.NewMode(filepath.Join(o.work, "mode"))
	if err != nil {
		return done.end(err)
	}
	for _, m := range moves {
		if err := os.Chmod(m.from, mode); err != nil {
			return done.end(err)
		}
		if err := os.Rename(m.from, *m.to); err != nil {
			return done.end(err)
		}
	}
	return done.end(os.WriteFile(res.Manifest, append(b, '\n'), 0o644))
}
