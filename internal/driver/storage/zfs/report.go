package zfs

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// volume is a zvol of the dataset.
type volume struct {
	Name                    string // within the dataset
	Kind, Owner, To, Digest string // of its own; "" for none
	ImageSize               int64  // bytes; of an image
	Size, Block             int64  // bytes: volsize, volblocksize
	Snaps                   []snapshot
	zvol                    bool
}

// snapshot is one of a zvol.
type snapshot struct {
	Name        string // after the @
	Kind, Owner string // of its own; "" for none
	Made        int64  // the transaction group that it is of: one after another
	Deferred    bool   // it goes with its last clone
	Clones      []string
}

func (v *volume) own() bool { return v.Kind == kindDisk || v.Kind == kindImage }

// base is the snapshot of an image that disks are cloned from; false without one.
func (v *volume) base() (string, bool) {
	i := slices.IndexFunc(v.Snaps, func(s snapshot) bool { return s.Kind == kindImage && !s.Deferred })
	if i < 0 {
		return "", false
	}
	return v.Name + "@" + v.Snaps[i].Name, true
}

// round makes a size one that the volume can have.
func (v *volume) round(size int64) int64 { return rounded(size, v.Block) }

func rounded(size, block int64) int64 {
	block = max(block, 512)
	return (size + block - 1) / block * block
}

// asked are the properties that a listing asks for, all of 2.1's zfsprops(7).
const asked = "volsize,volblocksize,createtxg,defer_destroy,clones," + propKind + "," + propOwner + "," + propTo + "," + propDigest + "," + propSize

// list gives the volumes of the dataset by their names in it.
func (d *Driver) list(ctx context.Context) (map[string]*volume, error) {
	all, err := d.report(ctx, "2", d.Dataset)
	if cloud.Is(err, cloud.NotFound) {
		err = d.missing()
	}
	return all, err
}

// find gives one of them; nil for none.
func (d *Driver) find(ctx context.Context, name string) (*volume, error) {
	all, err := d.report(ctx, "1", d.at(name))
	if cloud.Is(err, cloud.NotFound) {
		_, err = d.state(ctx)
		return nil, err
	}
	return all[name], err
}

func (d *Driver) report(ctx context.Context, depth, of string) (map[string]*volume, error) {
	out, err := d.host.run(ctx, "zfs", "get", "-Hp", "-d", depth, "-t", "volume,snapshot", "-o", "name,property,value,source", asked, of)
	if err != nil {
		return nil, err
	}
	return parse(out, d.Dataset)
}

// parse reads what 'zfs get -Hp -o name,property,value,source' prints of a dataset: a line for
// each property of each volume and snapshot, the fields parted by tabs.
func parse(text, dataset string) (map[string]*volume, error) {
	all := map[string]*volume{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			return nil, cloud.E("storage.zfs", cloud.Internal, "zfs get prints what cannot be read: %q", line[:min(len(line), 200)])
		}
		name, within := strings.CutPrefix(f[0], dataset+"/")
		name, snap, isSnap := strings.Cut(name, "@")
		if !within || name == "" || strings.Contains(name, "/") {
			continue
		}
		v := all[name]
		if v == nil {
			v = &volume{Name: name}
			all[name] = v
		}
		if isSnap {
			v.snapshot(snap).set(f[1], f[2], f[3])
		} else {
			v.set(f[1], f[2], f[3])
		}
	}
	for name, v := range all {
		if !v.zvol { // snapshots of a file system
			delete(all, name)
		}
		slices.SortFunc(v.Snaps, func(a, b snapshot) int { return int(min(max(a.Made-b.Made, -1), 1)) })
	}
	return all, nil
}

// snapshot finds one of a volume, or adds it.
func (v *volume) snapshot(name string) *snapshot {
	if last := len(v.Snaps) - 1; last >= 0 && v.Snaps[last].Name == name { // they come one after another
		return &v.Snaps[last]
	}
	i := slices.IndexFunc(v.Snaps, func(s snapshot) bool { return s.Name == name })
	if i < 0 {
		i = len(v.Snaps)
		v.Snaps = append(v.Snaps, snapshot{Name: name})
	}
	return &v.Snaps[i]
}

// local is the value of a property that a dataset has of its own: what it inherits says nothing
// of it. That of a dataset that 'zfs receive' made is its own too.
func local(value, source string) string {
	if source == "local" || source == "received" {
		return value
	}
	return ""
}

func (v *volume) set(property, value, source string) {
	switch property {
	case "volsize":
		v.Size, v.zvol = number(value), number(value) > 0
	case "volblocksize":
		v.Block = number(value)
	case propKind:
		v.Kind = local(value, source)
	case propOwner:
		v.Owner = local(value, source)
	case propTo:
		v.To = local(value, source)
	case propDigest:
		v.Digest = local(value, source)
	case propSize:
		v.ImageSize = number(local(value, source))
	}
}

func (s *snapshot) set(property, value, source string) {
	switch property {
	case "createtxg":
		s.Made = number(value)
	case "defer_destroy":
		s.Deferred = value == "on"
	case "clones":
		s.Clones = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '-' && value == "-" })
	case propKind:
		s.Kind = local(value, source)
	case propOwner:
		s.Owner = local(value, source)
	}
}

// number reads a number of bytes or the like; 0 for what is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
