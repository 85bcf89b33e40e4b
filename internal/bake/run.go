package bake

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hearth/internal/bake/installer"
	"hearth/internal/bake/layer"
	"hearth/internal/bake/recipe"
	"hearth/internal/bake/sbom"
	"hearth/internal/disk/bootdisk"
)

// RunOptions says how a recipe is baked.
type RunOptions struct {
	Recipe    *recipe.Recipe
	OutDir    string          // made if it lacks
	CacheDir  string          // layers and packages; "": hearth/bake in the user's cache folder (XDG)
	CacheSize int64           // bytes of all layers; 0: layer.DefaultMax
	Locked    bool            // refuse what is not as the lock file has it
	Refresh   bool            // make all layers anew: mirrors have moved on
	Fetch     installer.Fetch // gets installers from the web; nil: nothing does
	Progress  func(Step)
	Log       func(string)      // is given what scripts and package managers say
	Layer     func(LayerReport) // is told of each layer when it is there
}

// LayerReport says where a layer came from.
type LayerReport struct {
	Name   string        `json:"name"`
	Key    string        `json:"key"`
	Status string        `json:"status"` // built or cached
	Size   int64         `json:"size"`   // packed, bytes
	Took   time.Duration `json:"took"`   // nanoseconds
}

// Words of LayerReport.Status.
const (
	Built  = "built"
	Cached = "cached"
)

// RunResult names what was baked.
type RunResult struct {
	Result
	Archive string        `json:",omitempty"` // the output tar
	SBOM    string        // SPDX 2.3, JSON
	Sources string        // source packages, a line each
	Licence string        // licence report
	Lock    string        // the lock file
	Layers  []LayerReport // from the lowest
}

// kitchen is one run of a recipe.
type kitchen struct {
	*oven
	recipe  *recipe.Recipe
	store   *layer.Store
	opt     RunOptions
	lock    *lock // what the run finds
	pinned  *lock // of the file; nil if there is none
	chain   []*layer.Layer
	reports []LayerReport
	tree    *rootfs // the layers unpacked; nil until it is wanted
	applied int     // so many of chain are in tree
}

// Run bakes a recipe. It runs as any user; what installs packages wants ids in
// /etc/subuid of a user that is not root.
func Run(ctx context.Context, opt RunOptions) (*RunResult, error) {
	k, err := newKitchen(opt)
	if err != nil {
		return nil, err
	}
	defer k.close()
	res, err := k.bake(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("bake %s: interrupted; no image was made, and the layers that were are kept for the next time", opt.Recipe.Name)
	}
	return res, err
}

// bake makes the layers and cuts the images from them.
func (k *kitchen) bake(ctx context.Context) (*RunResult, error) {
	if err := k.inputs(); err != nil {
		return nil, err
	}
	for _, part := range k.parts() {
		if err := k.layer(ctx, part); err != nil {
			return nil, fmt.Errorf("bake %s: %s: %w", k.recipe.Name, part.name, err)
		}
	}
	res, err := k.finishOrTake(ctx)
	if err != nil {
		return nil, fmt.Errorf("bake %s: %w", k.recipe.Name, err)
	}
	if res.Lock = lockFile(k.recipe); !k.opt.Locked {
		err = k.lock.write(res.Lock)
	}
	return res, err
}

func newKitchen(opt RunOptions) (*kitchen, error) {
	r := opt.Recipe
	size, err := recipe.ParseSize(r.Disk.Size)
	if err != nil {
		return nil, err
	}
	o, err := newOven(Options{Recipe: r.Name, OutDir: opt.OutDir, CacheDir: opt.CacheDir, Size: size, Suite: r.Base.Suite, Raw: r.Wants("raw"), Loader: r.Boot.Loader, Firmware: r.Firmware, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	o.wants, o.log = r.Wants, opt.Log
	k := &kitchen{oven: o, recipe: r, opt: opt, lock: newLock(), store: &layer.Store{Dir: filepath.Join(o.CacheDir, "layers"), Max: opt.CacheSize}}
	if k.pinned, err = readLock(lockFile(r)); err != nil {
		k.close()
		return nil, err
	}
	switch {
	case k.pinned != nil:
	case opt.Locked:
		err = fmt.Errorf("%s is not there: bake once without --locked to make it", lockFile(r))
	default:
		err = writable(r)
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *kitchen) close() {
	if k.tree != nil {
		k.tree.root.Close()
	}
	k.scratch.Close()
}

// part is a layer to be had.
type part struct {
	name  string
	input func(context.Context) (any, error)
	make  func(ctx context.Context, l layer.Layer) (*layer.Layer, error)
}

// parts lists the layers of the recipe from the lowest.
func (k *kitchen) parts() []part {
	list := []part{k.base()}
	if k.recipe.Base.Bootstrap == "ember" { // it is whole
		return append(list, k.ownParts()...)
	}
	if len(k.recipe.Packages.Install) > 0 {
		list = append(list, k.packagesPart())
	}
	list = append(list, k.kernelPart(), k.systemPart())
	return append(list, k.ownParts()...)
}

// ownParts are the operator's own: overlays and scripts.
func (k *kitchen) ownParts() (list []part) {
	if len(k.recipe.Overlay) > 0 {
		list = append(list, k.overlayPart())
	}
	for i := range k.recipe.Scripts {
		list = append(list, k.scriptPart(i))
	}
	return list
}

// top is the key of the highest layer so far.
func (k *kitchen) top() string {
	if len(k.chain) == 0 {
		return ""
	}
	return k.chain[len(k.chain)-1].Key
}

// layer finds a layer or makes it.
func (k *kitchen) layer(ctx context.Context, p part) error {
	start := k.steps.now()
	in, err := p.input(ctx)
	if err != nil {
		return err
	}
	key, err := layer.Key(k.top(), p.name, in)
	if err != nil {
		return err
	}
	status := Cached
	l, err := k.store.Get(key)
	if err != nil {
		return err
	}
	if l == nil || k.opt.Refresh {
		status = Built
		if l, err = p.make(ctx, layer.Layer{Name: p.name, Key: key}); err != nil {
			return err
		}
	}
	k.chain = append(k.chain, l)
	k.report(l, status, start)
	return nil
}

// put stores a layer; those of this run stay.
func (k *kitchen) put(l layer.Layer, write func(*tar.Writer) error) (*layer.Layer, error) {
	var keep []string
	for _, below := range k.chain {
		keep = append(keep, below.Key)
	}
	return k.store.Put(l, keep, write)
}

// note is the last that a layer noted under a name.
func (k *kitchen) note(name string) string {
	for i := len(k.chain) - 1; i >= 0; i-- {
		if v, ok := k.chain[i].Notes[name]; ok {
			return v
		}
	}
	return ""
}

// finishOrTake has the images made, but for those that an earlier bake made.
func (k *kitchen) finishOrTake(ctx context.Context) (*RunResult, error) {
	if !k.keeps() {
		return k.finish(ctx)
	}
	key, err := k.imagesKey()
	if err != nil {
		return nil, err
	}
	if res, err := k.earlier(key); res != nil || err != nil {
		return res, err
	}
	res, err := k.finish(ctx)
	if err != nil {
		return nil, err
	}
	return res, k.keepImages(ctx, key, res)
}

// finish cuts the images from the layers.
func (k *kitchen) finish(ctx context.Context) (*RunResult, error) {
	r, err := k.materialise()
	if err != nil {
		return nil, err
	}
	status, err := r.read("/var/lib/dpkg/status")
	if err != nil {
		return nil, err
	}
	if k.packages = installed(status); k.note("packages") != "" {
		k.packages = append(k.packages, strings.Fields(k.note("packages"))...)
	}
	if err := k.holdLock(); err != nil {
		return nil, err
	}
	sys, err := k.system(r)
	if err != nil {
		return nil, err
	}
	list := sbom.Read(r.root.FS(), k.recipe.Name, time.Now())
	if err := k.unpacked(ctx, list); err != nil {
		return nil, err
	}
	res := &RunResult{Layers: k.reports}
	if res.Result, err = k.images(ctx, sys); err != nil {
		return nil, err
	}
	if k.recipe.Wants("tar") {
		if err := k.archive(r, res); err != nil {
			return nil, err
		}
	}
	res.SBOM, res.Sources, res.Licence, err = list.Write(filepath.Join(k.OutDir, k.recipe.Name))
	return res, err
}

// system is what the images are cut from.
func (k *kitchen) system(r *rootfs) (*system, error) {
	kernel, err := r.follow(k.note("kernel"))
	if err != nil {
		return nil, fmt.Errorf("the kernel: %w", err)
	}
	ramdisk, err := r.follow(k.note("ramdisk"))
	if err != nil {
		return nil, fmt.Errorf("the initial ramdisk: %w", err)
	}
	uuid := k.note("uuid")
	params := "root=UUID=" + uuid + " ro " + console
	if k.recipe.Agent != "cloud-init" {
		params = "root=UUID=" + uuid + " ro net.ifnames=0 " + console
	}
	if k.recipe.Boot.Arguments != "" {
		params += " " + k.recipe.Boot.Arguments
	}
	title := orElse(k.recipe.Boot.Title, k.recipe.Name+" (Hearth)")
	menu := bootdisk.Menu{Title: title, Kernel: k.note("kernel"), Ramdisk: k.note("ramdisk"), Params: params, Wait: time.Duration(k.recipe.Boot.Wait) * time.Second}
	if err := k.efi(r, uuid); err != nil {
		return nil, err
	}
	swap, err := k.swap(r, uuid)
	if err != nil {
		return nil, err
	}
	return &system{kernel: kernel, ramdisk: ramdisk, root: r.staged, label: volumeLabel(k.recipe.Name), uuid: uuid, params: params, minSize: roomFor(r.staged) + (swap+swap/32)/(16<<20)*(16<<20), swap: swap, // inodes for its room, too
		user: k.loginUser().LoginName(), menu: menu}, nil
}

// volumeLabel cuts a name to what ext4 takes.
func volumeLabel(name string) string { return strings.TrimRight(name[:min(len(name), 16)], "-.") }

// archive writes the output tar.
func (k *kitchen) archive(r *rootfs, res *RunResult) error {
	res.Archive = filepath.Join(k.OutDir, k.recipe.Name+".tar")
	temp := filepath.Join(k.work, "tree.tar")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	done := k.steps.begin("write the archive", r.bytes)
	w := tar.NewWriter(f)
	err = r.writeAll(w)
	if err == nil {
		err = w.Close()
	}
	if done.end(err) != nil {
		return err
	}
	return os.Rename(temp, res.Archive)
}
