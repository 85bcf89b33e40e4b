package instance

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// step is a part of a start. do and undo find out by themselves what is there
// already: each may be called again after a crash in its middle.
type step struct {
	name     string
	do, undo func(ctx context.Context) error
	slots    slots
	lasts    bool // what it makes is there for the instance's life: not done at later starts
	fleeting bool // what it makes ends with the agent or the guest: done again after either
	patient  bool // its failures pass, unless the request itself is wrong
}

type steps []step

func (s steps) reversed() steps {
	out := slices.Clone(s)
	slices.Reverse(out)
	return out
}

// Names of an instance's disks, behind its id and a dash.
const (
	rootDisk      = "root"
	ephemeralDisk = "ephemeral" // and a number
	swapDisk      = "swap"
	configDisk    = "config"
	rescuedDisk   = "rescued" // what a rescued guest sees its own root disk as
	rescueDisk    = "rescue"  // what it is rescued by, when that disk comes last
)

// rootName is the name of the root disk of a turn.
func rootName(turn int64) string {
	return strings.TrimPrefix(cloud.ServerRootDisk("", turn), "-")
}

// ephemeralName is the name of the i-th ephemeral disk.
func ephemeralName(i int) string { return ephemeralDisk + strconv.Itoa(i) }

// maxEphemeral is how many ephemeral disks an instance has at the most: the service
// allows fewer.
const maxEphemeral = 8

// diskID is the storage driver's id of an instance's disk.
func diskID(instance, disk string) string { return instance + "-" + disk }

// DiskOwner is the id of the instance that a disk belongs to; "" if it is none
// of an instance's.
func DiskOwner(disk string) string {
	if id, turn, ok := strings.Cut(disk, "-"+rootDisk+"."); ok {
		if _, err := strconv.ParseUint(turn, 10, 63); err == nil {
			return id
		}
	}
	if id, _, ok := strings.Cut(disk, "-snap."); ok {
		return id
	}
	suffixes := []string{rootDisk, swapDisk, configDisk}
	for i := range maxEphemeral {
		suffixes = append(suffixes, ephemeralName(i))
	}
	for _, suffix := range suffixes {
		if id, ok := strings.CutSuffix(disk, "-"+suffix); ok {
			return id
		}
	}
	return ""
}

const (
	gib = 1 << 30
	mib = 1 << 20
)

// steps are what starts an instance, in order. All have an undo even when this
// spec has no need of them: an undo of what never was is nothing.
func (w *worker) steps(spec cloud.InstanceSpec) steps {
	st := w.m.Storage
	id := spec.ID
	drop := func(disk string) func(context.Context) error {
		return func(ctx context.Context) error { return st.RemoveDisk(ctx, diskID(id, disk)) }
	}
	all := steps{
		{name: "image", slots: w.m.fetches, do: func(ctx context.Context) error { return w.fetch(ctx, spec) }},
		{name: "clear", lasts: true, do: func(ctx context.Context) error { return w.clear(ctx, spec) }},
		{name: "disk", slots: w.m.heavy, lasts: true, undo: func(ctx context.Context) error { return w.dropRoots(ctx, spec) },
			do: func(ctx context.Context) error { return w.makeRoot(ctx, spec) }},
		{name: "ephemeral", slots: w.m.heavy, lasts: true, undo: func(ctx context.Context) error { return w.dropEphemeral(ctx, id) },
			do: func(ctx context.Context) error { return w.makeEphemeral(ctx, spec) }},
		{name: "swap", slots: w.m.heavy, lasts: true, undo: drop(swapDisk), do: blank(st, diskID(id, swapDisk), int64(spec.SwapMB)*mib, "swap")},
		{name: configStep, lasts: true, undo: drop(configDisk), do: func(ctx context.Context) error { return w.makeConfigDrive(ctx, spec) }},
		{name: "volumes", slots: w.m.heavy, do: func(ctx context.Context) error { return w.swapOffline(ctx, spec) }},
		{name: "boot-volume", slots: w.m.heavy, lasts: true, do: func(ctx context.Context) error { return w.reimage(ctx, spec) }},
		{name: "host-keys", slots: w.m.heavy, lasts: true, undo: w.undoVolumeKeys, do: func(ctx context.Context) error { return w.renewHostKeys(ctx, spec) }},
		{name: "ports", fleeting: true, patient: true, undo: w.unplug, do: func(ctx context.Context) error { return w.plug(ctx, spec) }},
		{name: "guest", slots: w.m.heavy, fleeting: true, undo: w.destroyGuest, do: func(ctx context.Context) error { return w.startGuest(ctx, spec) }},
	}
	all = slices.DeleteFunc(all, func(s step) bool {
		switch s.name {
		case "clear":
			return spec.Intent.Disk.Last == 0
		case "volumes": // that take the place of others
			return !slices.ContainsFunc(spec.Volumes, func(v cloud.InstanceVolume) bool { return v.Swaps != "" })
		case "host-keys":
			return w.m.HostKeys == nil || !ownsHostKeys(spec) && !w.volumeKeysPending()
		case "boot-volume":
			return spec.BootVolume() == nil || spec.BootVolume().Image == nil
		}
		return false
	})
	for i := range all {
		if !needed(spec, all[i].name) {
			all[i].do = func(context.Context) error { return nil }
		}
	}
	return all
}

// needed tells whether a spec asks for what a step makes.
func needed(spec cloud.InstanceSpec, step string) bool {
	switch step {
	case "disk":
		return spec.BootVolume() == nil
	case "ephemeral":
		return spec.EphemeralGB > 0
	case "swap":
		return spec.SwapMB > 0
	case configStep:
		return spec.ConfigDrive
	}
	return true
}

func blank(st storage.Driver, id string, size int64, label string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := st.BlankDisk(ctx, id, size, label)
		return err
	}
}

// makeEphemeral makes the empty disks that go with the instance.
func (w *worker) makeEphemeral(ctx context.Context, spec cloud.InstanceSpec) error {
	for i, gb := range spec.Ephemerals() {
		name := ephemeralName(i)
		if _, err := w.m.Storage.BlankDisk(ctx, diskID(spec.ID, name), int64(gb)*gib, name); err != nil {
			return err
		}
	}
	return nil
}

// dropEphemeral removes them.
func (w *worker) dropEphemeral(ctx context.Context, id string) error {
	for i := range maxEphemeral {
		if err := w.m.Storage.RemoveDisk(ctx, diskID(id, ephemeralName(i))); err != nil {
			return err
		}
	}
	return nil
}

// fromImage tells whether a later root disk is made of the image of the spec.
func fromImage(why cloud.DiskReason) bool {
	return why == cloud.DiskRebuild || why == cloud.DiskRescue || why == cloud.DiskReplace
}

// fetch brings the images that this start reads into the node's cache.
func (w *worker) fetch(ctx context.Context, spec cloud.InstanceSpec) error {
	refs := []*cloud.ImageRef{spec.Kernel, spec.Ramdisk}
	for i := range spec.CDs {
		refs = append(refs, &spec.CDs[i].Image)
	}
	if d := spec.Intent.Disk; spec.Deploy == nil && spec.BootVolume() == nil && (!w.rec.Built || w.rec.Turn != d.Turn && fromImage(d.Why)) {
		refs = append(refs, &spec.Image)
	}
	if v := spec.BootVolume(); v != nil && w.rec.Turn != spec.Intent.Disk.Turn {
		refs = append(refs, v.Image)
	}
	for _, ref := range refs {
		if ref == nil {
			continue
		}
		if _, err := w.image(ctx, *ref); err != nil {
			return err
		}
		if w.m.Used != nil {
			w.m.Used(ref.Digest)
		}
	}
	return nil
}

// image gives a cached image, brought here if need be.
func (w *worker) image(ctx context.Context, ref cloud.ImageRef) (storage.Image, error) {
	path := ""
	if local, ok := w.m.Images.(localImages); ok {
		if p, err := local.Path(ref.Digest); err == nil {
			path = p
		}
	}
	return w.m.Storage.EnsureImage(ctx, ref, path, func() (io.ReadCloser, error) { return w.m.Images.Open(ctx, ref.Digest) })
}

// clear removes what is made anew with another root disk: the config drive, and
// when the server is rebuilt all disks else.
func (w *worker) clear(ctx context.Context, spec cloud.InstanceSpec) error {
	names := []string{configDisk}
	if spec.Intent.Disk.Why == cloud.DiskRebuild {
		names = append(names, swapDisk)
		if err := w.dropEphemeral(ctx, spec.ID); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := w.m.Storage.RemoveDisk(ctx, diskID(spec.ID, name)); err != nil {
			return err
		}
	}
	return nil
}

// makeRoot makes the root disk of the turn: a copy of the one that is kept, or a
// new one of the image. One that is there stays as it is.
func (w *worker) makeRoot(ctx context.Context, spec cloud.InstanceSpec) error {
	d, size := spec.Intent.Disk, int64(spec.RootGB)*gib
	id := diskID(spec.ID, rootName(d.Turn))
	if _, err := w.m.Storage.Disk(ctx, id); !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if d.Why == cloud.DiskResize {
		return w.copyRoot(ctx, id, diskID(spec.ID, rootName(d.Kept)), size)
	}
	if spec.Deploy != nil {
		return w.deployRoot(ctx, spec, id, size)
	}
	img, err := w.image(ctx, spec.Image)
	if err == nil {
		_, err = w.m.Storage.CloneDisk(ctx, id, img, size)
	}
	return err
}

// copyRoot copies a root disk that no guest has open, and has its file system fill
// the copy; it does not shrink.
func (w *worker) copyRoot(ctx context.Context, id, from string, size int64) error {
	old, err := w.m.Storage.Disk(ctx, from)
	if err != nil {
		return err
	}
	_, err = w.m.Storage.CopyRoot(ctx, id, from, max(size, old.Size))
	return err
}

// dropRoots removes the root disks of all turns, and their copies.
func (w *worker) dropRoots(ctx context.Context, spec cloud.InstanceSpec) error {
	for _, id := range slices.Concat(w.rec.Snapshots, spec.Snapshots) {
		if err := w.m.Storage.RemoveDisk(ctx, cloud.ServerSnapshotDisk(spec.ID, id)); err != nil {
			return err
		}
	}
	for turn := range spec.Intent.Disk.Last + 1 {
		if err := w.m.Storage.RemoveDisk(ctx, diskID(spec.ID, rootName(turn))); err != nil {
			return err
		}
	}
	if w.rec.Made == "" {
		return nil
	}
	err := w.m.Storage.RemoveImage(ctx, w.rec.Made)
	if cloud.Is(err, cloud.Conflict) || cloud.Is(err, cloud.NotFound) { // another's disk is the very same
		err = nil
	}
	return err
}

// configStep is the step that makes the config drive.
const configStep = "config-drive"

// names are what a config drive tells that its owner may change.
func names(spec cloud.InstanceSpec) string { return spec.Name + "\n" + spec.Hostname }

// renamed tells whether the config drive tells other names than the instance's.
func (w *worker) renamed() bool {
	spec := w.wanted()
	return spec.ConfigDrive && w.rec.Built && w.rec.Drive != "" && w.rec.Drive != names(spec)
}

// makeConfigDrive makes the drive, anew if it tells other names.
func (w *worker) makeConfigDrive(ctx context.Context, spec cloud.InstanceSpec) error {
	if w.renamed() {
		if err := w.m.Storage.RemoveDisk(ctx, diskID(spec.ID, configDisk)); err != nil {
			return err
		}
	}
	files, err := w.m.ConfigDrive(spec)
	if err != nil {
		return err
	}
	if _, err = w.m.Storage.ConfigDrive(ctx, diskID(spec.ID, configDisk), files); err == nil {
		w.rec.Drive, w.dirty = names(spec), true
	}
	return err
}

// plug opens the taps that the guest is started with.
func (w *worker) plug(ctx context.Context, spec cloud.InstanceSpec) error {
	w.closeTaps()
	for _, p := range spec.Ports {
		if err := w.openTap(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// unplug removes the taps of all ports of the instance, and of those that were.
func (w *worker) unplug(ctx context.Context) error {
	w.closeTaps()
	taps := slices.Clone(w.rec.Taps)
	for _, p := range w.wanted().Ports {
		if t := (tap{p.ID, p.NetworkID}); !slices.Contains(taps, t) {
			taps = append(taps, t)
		}
	}
	var errs error
	for _, t := range taps {
		errs = errors.Join(errs, w.closeTap(ctx, t))
	}
	return errs
}

func (w *worker) closeTaps() {
	for _, tap := range w.taps {
		if tap != nil {
			_ = tap.Close()
		}
	}
	w.taps = nil
}

// removeGuestDir takes away the hypervisor's folder of the guest.
func (w *worker) removeGuestDir() error {
	return hostError("instance.guest", os.RemoveAll(w.m.GuestDir(w.id)))
}
