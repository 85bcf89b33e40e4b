// Package zfs keeps disks as volumes (zvols) in a ZFS dataset that an operator gave, by the
// commands zfs and zpool.
//
//	d-<id>   hearth:kind=disk    a disk
//	i-<…>    hearth:kind=image   a cached image; hearth:digest and hearth:size say which
//	p-<…>    either of them      what is to become one of these; or to be read and forgotten
//
// Of what is in the dataset, volumes that have the property hearth:kind of their own are
// Hearth's, and no other is ever changed, but for one that an operator asks to have adopted.
// The dataset itself and its pool are never changed.
//
// A volume is made under a passing name and becomes a disk by 'zfs rename', when all is on it.
// Copies are clones of a snapshot that is marked to go with the last of them ('zfs destroy -d').
// What has clones when it is removed gives its snapshots to one of them first ('zfs promote'),
// so that each lives on without the others. What is in the making when a process dies is swept
// by New.
package zfs

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/namelock"
)

// Config is what a Driver is made of.
type Config struct {
	Dataset   string // the file system of ZFS in which the volumes are, such as tank/hearth; it is there
	BlockSize string // volblocksize of new volumes: 512 to 128k, a power of two; "" is 16k
	Owner     string // who names what is in the making, and sweeps it: letters, digits and -
	Tmp       string // a folder for what is converted; it is made
	Kitchen   file.Kitchen
}

// Driver keeps disks in a dataset. It is safe for concurrent use.
type Driver struct {
	Config
	host  host
	block int64 // bytes
	locks namelock.Locks
}

var _ storage.Driver = (*Driver)(nil)

// The properties of Hearth's volumes and snapshots; see zfsprops(7), User Properties.
const (
	propKind   = "hearth:kind"
	propOwner  = "hearth:owner"
	propTo     = "hearth:to" // what a part that is whole is to be called
	propDigest = "hearth:digest"
	propSize   = "hearth:size" // of an image, in bytes: its volume may be larger
)

// The kinds. A copy is a snapshot that copies were made of, and nothing else needs.
const (
	kindDisk  = "disk"
	kindImage = "image"
	kindCopy  = "copy"
)

// defaultBlock is volblocksize where none is named: OpenZFS's own from 2.2 on. Guests write 4 KiB
// and more; smaller blocks pay with metadata and, on raidz, with padding, larger ones with reading
// what surrounds each write.
const defaultBlock = 16 << 10

// datasetForm is narrower than what ZFS takes: no spaces, no colons. The length leaves room for
// the longest name of a disk and of a snapshot in ZFS's 255.
var (
	datasetForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)
	ownerForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	blockForm   = regexp.MustCompile(`^([0-9]{1,6})([kK]?)$`)
)

const longestDataset = 80

// New makes a driver over a dataset that is there, and sweeps what a crash left. Invalid,
// Unavailable, Unsupported.
func New(ctx context.Context, cfg Config) (*Driver, error) { return open(ctx, cfg, linux{}) }

func open(ctx context.Context, cfg Config, h host) (*Driver, error) {
	const op = "storage.New"
	block, ok := blockSize(cfg.BlockSize)
	switch {
	case !datasetForm.MatchString(cfg.Dataset) || len(cfg.Dataset) > longestDataset:
		return nil, cloud.E(op, cloud.Invalid, "%q is no name of a dataset that Hearth can use: write POOL/NAME of letters, digits, '.', '_' and '-', %d characters at the most", cfg.Dataset, longestDataset)
	case !ok:
		return nil, cloud.E(op, cloud.Invalid, "%q is no volblocksize: a power of two from 512 to 128k is one", cfg.BlockSize)
	case !ownerForm.MatchString(cfg.Owner):
		return nil, cloud.E(op, cloud.Invalid, "%q cannot own what is in the making", cfg.Owner)
	}
	d := &Driver{Config: cfg, host: h, block: block}
	s, err := d.writable(ctx)
	if err != nil {
		return nil, err
	}
	if s.mode != "dev" { // volumes inherit it, and have it from their first moment then
		return nil, cloud.E(op, cloud.Conflict, "this host's kernel would read the partition tables that guests write to volumes in %s: 'zfs set volmode=dev %s'", cfg.Dataset, cfg.Dataset)
	}
	if err := os.MkdirAll(cfg.Tmp, 0o700); err != nil {
		return nil, hostError(err)
	}
	return d, d.sweep(ctx)
}

// blockSize reads a volblocksize.
func blockSize(text string) (int64, bool) {
	if text == "" {
		return defaultBlock, true
	}
	m := blockForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if m[2] != "" {
		n <<= 10
	}
	return n, err == nil && n >= 512 && n <= 128<<10 && n&(n-1) == 0
}

// sweep finishes what has all its bytes and only lacks its name, and removes the rest of what
// this owner had in the making. What others have taken snapshots of meanwhile is left.
func (d *Driver) sweep(ctx context.Context) error {
	all, err := d.list(ctx)
	if err != nil {
		return err
	}
	for name, v := range all {
		for _, s := range v.Snaps {
			if s.Kind == kindCopy && s.Owner == d.Owner && !s.Deferred {
				if err := d.zfs(ctx, "destroy", "-d", d.at(name)+"@"+s.Name); err != nil {
					return err
				}
			}
		}
		if !v.own() || !strings.HasPrefix(name, "p-") || v.Owner != d.Owner {
			continue
		}
		if _, there := all[v.To]; v.To != "" && !there {
			err = d.zfs(ctx, "rename", d.at(name), d.at(v.To))
		} else {
			err = d.drop(ctx, name)
		}
		if err != nil && !cloud.Is(err, cloud.Conflict) {
			return err
		}
	}
	return nil
}

// at is a volume of the dataset as the commands name it.
func (d *Driver) at(name string) string { return d.Dataset + "/" + name }

// state is what is told of the dataset.
type state struct {
	used, available int64  // bytes
	mode            string // volmode, which the volumes inherit
}

// full is when a dataset, in percent, gets no more volumes: one that is full fails the writes of
// all guests.
const full = 97

// room is NoCapacity for a dataset that is as good as full.
func (d *Driver) room(s state) error {
	if total := s.used + s.available; total > 0 && s.available < total/100*(100-full) {
		return cloud.E("storage.zfs", cloud.NoCapacity, "the dataset %s is full: %d MiB are free of %d; add disks to its pool, raise its quota, or remove volumes", d.Dataset, s.available>>20, total>>20)
	}
	return nil
}

// state asks for the dataset; Unavailable where it cannot be used.
func (d *Driver) state(ctx context.Context) (s state, err error) {
	const op = "storage.zfs"
	out, err := d.host.run(ctx, "zfs", "get", "-Hp", "-o", "property,value", "type,used,available,keystatus,volmode", d.Dataset)
	if cloud.Is(err, cloud.NotFound) {
		err = d.missing()
	}
	if err != nil {
		return s, err
	}
	is := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		is[name] = value
	}
	s.used, s.available = number(is["used"]), number(is["available"])
	s.mode = is["volmode"]
	switch {
	case is["type"] != "filesystem":
		return s, cloud.E(op, cloud.Unavailable, "the dataset %s is a %s; volumes are kept in a file system: 'zfs create -o canmount=off -o volmode=dev %s' makes one", d.Dataset, is["type"], d.Dataset)
	case is["keystatus"] == "unavailable":
		return s, cloud.E(op, cloud.Unavailable, "the key of the encrypted dataset %s is not loaded: 'zfs load-key -r %s'", d.Dataset, d.Dataset)
	}
	return s, nil
}

// missing is what is said where the dataset is not there. It may come back: a disk that cannot be
// seen is no disk that is gone.
func (d *Driver) missing() error {
	pool, _, _ := strings.Cut(d.Dataset, "/")
	return cloud.E("storage.zfs", cloud.Unavailable, "there is no dataset %s: 'zpool import %s' if its pool is not imported, 'zfs create -o canmount=off -o volmode=dev %s' if it was never made", d.Dataset, pool, d.Dataset)
}

// writable is state for those who will change something: a pool that takes no writes would let
// them wait for good.
func (d *Driver) writable(ctx context.Context) (state, error) {
	const op = "storage.zfs"
	pool, _, _ := strings.Cut(d.Dataset, "/")
	out, err := d.host.run(ctx, "zpool", "list", "-H", "-o", "health,readonly", pool)
	if cloud.Is(err, cloud.NotFound) {
		err = d.missing()
	}
	if err != nil {
		return state{}, err
	}
	health, readonly, _ := strings.Cut(strings.TrimSpace(out), "\t")
	switch {
	case health != "ONLINE" && health != "DEGRADED":
		return state{}, cloud.E(op, cloud.Unavailable, "the pool %s is %s: 'zpool status %s' says why; 'zpool clear %s' once its disks are back", pool, health, pool, pool)
	case readonly == "on":
		return state{}, cloud.E(op, cloud.Unavailable, "the pool %s is imported read-only: export it, and import it for writing", pool)
	}
	return d.state(ctx)
}

// ready is writable, with room.
func (d *Driver) ready(ctx context.Context) error {
	s, err := d.writable(ctx)
	return errors.Join(err, d.room(s))
}

// Usage implements storage.Driver: of the dataset, quotas and other datasets of its pool counted.
func (d *Driver) Usage(ctx context.Context) (total, free int64, err error) {
	s, err := d.state(ctx)
	return s.used + s.available, s.available, err
}
