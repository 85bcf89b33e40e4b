// Package pools keeps the disks of volumes and snapshots in pools beside the host's
// own storage: a volume group, a share, a directory. To those above it is one
// driver. The name of a disk says where it is: cloud.DiskIn.
//
// A pool is opened when it is first needed, and again when that failed: one that
// is broken, or not mounted yet, keeps no guest and no other pool from working.
package pools

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Pool is a place for volumes.
type Pool struct {
	Name, Protocol string
	Thin           bool // volumes take what was written to them, unless the driver says otherwise
	Open           func(ctx context.Context) (storage.Driver, error)
	// Ready is asked before every use; nil for a pool that is as it was when it was
	// opened.
	Ready func() error
}

// Driver is the host's storage and the pools beside it.
type Driver struct {
	storage.Driver // of the host: for all that is not said below
	pools          []*pool
	own            bool // volumes may be made in the host's storage too
}

type pool struct {
	Pool
	mu     sync.Mutex
	opened storage.Driver
	asked  chan struct{} // holds a token while somebody asks for the usage
}

var (
	_ storage.Driver = (*Driver)(nil)
	_ storage.Keeper = (*Driver)(nil)
)

// New makes a driver. own says whether the host's own storage is told as a pool too.
func New(host storage.Driver, own bool, list ...Pool) *Driver {
	d := &Driver{Driver: host, own: own}
	for _, p := range list {
		d.pools = append(d.pools, &pool{Pool: p, asked: make(chan struct{}, 1)})
	}
	return d
}

// KeepIf implements storage.Keeper for the host's storage, whose cache it is.
func (d *Driver) KeepIf(ask func(ctx context.Context, bytes int64) (done func(), ok bool)) {
	if k, ok := d.Driver.(storage.Keeper); ok {
		k.KeepIf(ask)
	}
}

// driver opens the pool, unless it is open.
func (p *pool) driver(ctx context.Context) (storage.Driver, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Ready != nil {
		if err := p.Ready(); err != nil {
			return nil, err
		}
	}
	if p.opened != nil {
		return p.opened, nil
	}
	var err error
	p.opened, err = p.Open(ctx)
	if err != nil {
		p.opened = nil
	}
	return p.opened, err
}

// of gives the driver that a disk is in, and its name there.
func (d *Driver) of(ctx context.Context, id string) (at storage.Driver, name, in string, err error) {
	name, in = cloud.DiskPool(id)
	if in == "" {
		return d.Driver, name, in, nil
	}
	i := slices.IndexFunc(d.pools, func(p *pool) bool { return p.Name == in })
	if i < 0 {
		return nil, name, in, cloud.E("storage.Pool", cloud.Unavailable, "the configuration of this node has no backend %s any more, where %s is: put it back", in, name)
	}
	at, err = d.pools[i].driver(ctx)
	return at, name, in, err
}

// with calls a driver for a disk, and gives what it gives back its whole name.
func (d *Driver) with(ctx context.Context, id string, call func(at storage.Driver, name string) (storage.Disk, error)) (storage.Disk, error) {
	at, name, in, err := d.of(ctx, id)
	if err != nil {
		return storage.Disk{}, err
	}
	disk, err := call(at, name)
	if err == nil {
		disk.ID = cloud.DiskIn(disk.ID, in)
	}
	return disk, err
}

// CloneDisk implements storage.Driver. The host's cache has the image raw, and
// checked already.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		if at == d.Driver {
			return at.CloneDisk(ctx, name, image, size)
		}
		have, err := d.Driver.Images(ctx)
		if err != nil {
			return storage.Disk{}, err
		}
		if !slices.ContainsFunc(have, func(i storage.Image) bool { return i.Digest == image.Digest }) {
			return storage.Disk{}, cloud.E("storage.CloneDisk", cloud.Unavailable, "image %s is no longer in the node's cache; it is fetched again at the next try", image.Digest)
		}
		ref := cloud.ImageRef{ID: image.Digest, Digest: image.Digest, Format: "raw", Size: image.VirtualSize, VirtualSize: image.VirtualSize}
		there, err := at.EnsureImage(ctx, ref, image.Path, nil)
		if err != nil {
			return storage.Disk{}, err
		}
		return at.CloneDisk(ctx, name, there, size)
	})
}

// BlankDisk implements storage.Driver.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		return at.BlankDisk(ctx, name, size, label)
	})
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		return at.ConfigDrive(ctx, name, files)
	})
}

// CopyDisk implements storage.Driver: byte by byte where the two are not in one
// place.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.copy(ctx, "storage.CopyDisk", id, from, size, storage.Driver.CopyDisk)
}

// CopyRoot implements storage.Driver.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.copy(ctx, "storage.CopyRoot", id, from, size, storage.Driver.CopyRoot)
}

type copier func(at storage.Driver, ctx context.Context, id, from string, size int64) (storage.Disk, error)

func (d *Driver) copy(ctx context.Context, op, id, from string, size int64, within copier) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		there, source, _, err := d.of(ctx, from)
		if err != nil {
			return storage.Disk{}, err
		}
		if there == at {
			return within(at, ctx, name, source, size)
		}
		if disk, err := at.Disk(ctx, name); !cloud.Is(err, cloud.NotFound) {
			return disk, err
		}
		disk, err := there.Disk(ctx, source)
		if err != nil {
			return storage.Disk{}, err
		}
		size = cmp.Or(size, disk.Size)
		if size < disk.Size {
			return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, disk.Size)
		}
		return pour(ctx, at, name, there, source, size)
	})
}

// pour writes what a disk of one driver holds to one of another.
func pour(ctx context.Context, at storage.Driver, name string, there storage.Driver, source string, size int64) (storage.Disk, error) {
	src, err := there.ReadDisk(ctx, source)
	if err != nil {
		return storage.Disk{}, err
	}
	defer src.Close()
	return at.WriteDisk(ctx, name, size, src)
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		there, source, _, err := d.of(ctx, from)
		if err != nil {
			return storage.Disk{}, err
		}
		if there == at {
			return at.RevertDisk(ctx, name, source)
		}
		disk, err := there.Disk(ctx, source)
		if err != nil {
			return storage.Disk{}, err
		}
		return pour(ctx, at, name, there, source, disk.Size)
	})
}

// AdoptDisk implements storage.Driver: within one place. Invalid.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		there, source, _, err := d.of(ctx, from)
		if err == nil && there != at {
			err = cloud.E("storage.AdoptDisk", cloud.Invalid, "%s and %s are not in one pool", id, from)
		}
		if err != nil {
			return storage.Disk{}, err
		}
		return at.AdoptDisk(ctx, name, source)
	})
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		return at.WriteDisk(ctx, name, size, src)
	})
}

// GrowDisk implements storage.Driver.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) {
		return at.GrowDisk(ctx, name, size)
	})
}

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	return d.with(ctx, id, func(at storage.Driver, name string) (storage.Disk, error) { return at.Disk(ctx, name) })
}

// ReadDisk implements storage.Driver.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	at, name, _, err := d.of(ctx, id)
	if err != nil {
		return nil, err
	}
	return at.ReadDisk(ctx, name)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	at, name, _, err := d.of(ctx, id)
	if err != nil {
		return err
	}
	return at.RemoveDisk(ctx, name)
}

// Disks implements storage.Driver: those of the host, and of the pools that can be
// used at present.
func (d *Driver) Disks(ctx context.Context) ([]storage.Disk, error) {
	out, err := d.Driver.Disks(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range d.pools {
		at, err := p.driver(ctx)
		if err != nil {
			continue
		}
		disks, err := at.Disks(ctx)
		if err != nil {
			continue
		}
		for _, disk := range disks {
			disk.ID = cloud.DiskIn(disk.ID, p.Name)
			out = append(out, disk)
		}
	}
	slices.SortFunc(out, storage.ByID)
	return out, nil
}

// RemoveImage implements storage.Driver: from the pools that can be used too, unless
// one of them needs it.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	for _, p := range d.pools {
		at, err := p.driver(ctx)
		if err != nil {
			continue // what it has of the image it keeps
		}
		if err := at.RemoveImage(ctx, digest); err != nil {
			return err
		}
	}
	return d.Driver.RemoveImage(ctx, digest)
}

// patience is how long a pool may take to tell its usage. A share whose server is
// away answers never.
const patience = 10 * time.Second

// Pools tells how the pools are.
func (d *Driver) Pools(ctx context.Context) (out []cloud.PoolStatus) {
	if d.own || len(d.pools) == 0 {
		own := &pool{Pool: Pool{Name: cloud.VolumePool, Protocol: "file", Thin: true}, opened: d.Driver, asked: make(chan struct{}, 1)}
		out = append(out, own.status(ctx))
	}
	for _, p := range d.pools {
		out = append(out, p.status(ctx))
	}
	return out
}

// status is what a pool tells of itself within the time that it has.
func (p *pool) status(ctx context.Context) cloud.PoolStatus {
	st := cloud.PoolStatus{Name: p.Name, Protocol: p.Protocol, Thin: p.Thin}
	const silent = "it does not answer"
	select {
	case p.asked <- struct{}{}:
	default: // the last question is still open
		st.Fault = silent
		return st
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	told := make(chan cloud.PoolStatus, 1)
	go func() {
		defer func() { <-p.asked }()
		defer cancel()
		told <- p.ask(ctx, st)
	}()
	select {
	case st = <-told:
	case <-ctx.Done():
		select {
		case st = <-told: // both have come
		default:
			st.Fault = silent
		}
	}
	return st
}

func (p *pool) ask(ctx context.Context, st cloud.PoolStatus) cloud.PoolStatus {
	at, err := p.driver(ctx)
	var total, free int64
	if err == nil {
		total, free, err = at.Usage(ctx)
	}
	if err != nil {
		st.Fault = cloud.Message(err)
		return st
	}
	if said, ok := at.(interface{ Thin() bool }); ok {
		st.Thin = said.Thin()
	}
	st.TotalGB, st.FreeGB = int(total>>30), int(free>>30)
	return st
}
