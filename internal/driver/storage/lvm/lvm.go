// Package lvm keeps disks as logical volumes of a volume group that an operator
// gave: thick ones, or thin ones of a thin pool in it, where clones and snapshots
// share what they have in common.
//
// The group is named by its UUID, for names change hands; it is never renamed,
// extended, wiped or made. Of the logical volumes in it, those with a tag of
// Hearth's are Hearth's, and no other is ever changed, but for one that an
// operator asks to have adopted.
//
//	h-<id>   tag hearth.disk    a disk
//	i-<…>    tag hearth.image   a cached image; hearth.digest=… and hearth.size=… say which
//	p-<…>    tag hearth.part    what is in the making; removed by New
//
// A volume becomes a disk by its name and its tag, when all is on it. Thick ones
// are zeroed before, so that nobody reads what others have left.
package lvm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/file"
)

// Config is what a Driver is made of.
type Config struct {
	Group   string // the UUID of the volume group
	Pool    string // the thin pool in it; "" for thick volumes
	Tmp     string // a folder for what is converted; it must be there
	Kitchen file.Kitchen
}

// Driver keeps disks in a volume group. It is safe for concurrent use.
type Driver struct {
	Config
	locks locks
}

// The tags of Hearth's volumes.
const (
	tagDisk   = "hearth.disk"
	tagImage  = "hearth.image"
	tagPart   = "hearth.part"
	tagDigest = "hearth.digest="
	tagSize   = "hearth.size="
	tagWas    = "hearth.was=" // the size, in bytes, before a growth that is under way
)

var (
	idForm     = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,100}$`)
	digestForm = regexp.MustCompile(`^sha512:[0-9a-f]{128}$`)
)

// New makes a driver over a volume group that is there, and removes what was in
// the making when the last process died. NotFound, Unsupported.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	const op = "storage.New"
	d := &Driver{Config: cfg}
	g, err := d.group(ctx)
	if err != nil {
		return nil, err
	}
	all, err := d.volumes(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	pool := cfg.Pool == ""
	for _, v := range all {
		pool = pool || v.Name == cfg.Pool && strings.HasPrefix(v.Attr, "t")
		if v.has(tagPart) {
			if err := d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+v.Name); err != nil {
				return nil, err
			}
		}
	}
	if !pool {
		return nil, cloud.E(op, cloud.NotFound, "the volume group %s has no thin pool %s: make one, or name another", g.Name, cfg.Pool)
	}
	return d, nil
}

// group is the volume group as it is now.
type group struct {
	Name       string
	Size, Free int64
	Extent     int64
	UUID       string
}

// lv is a logical volume.
type lv struct {
	Name, Attr, Path string
	Tags             []string
	Size             int64
	DataPercent      float64
}

func (v lv) has(tag string) bool {
	for _, t := range v.Tags {
		if t == tag {
			return true
		}
	}
	return false
}

// value gives what follows a tag that begins so; "" for none.
func (v lv) value(prefix string) string {
	for _, t := range v.Tags {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			return rest
		}
	}
	return ""
}

func (v lv) own() bool { return v.has(tagDisk) || v.has(tagImage) || v.has(tagPart) }

// command runs a tool of LVM's and gives what it printed.
func (d *Driver) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	const op = "storage.lvm"
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	switch said := strings.TrimSpace(errs.String()); {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", ctx.Err())
	case strings.Contains(said, "nsufficient free space") || strings.Contains(said, "not enough free space"):
		return nil, cloud.E(op, cloud.NoCapacity, "the volume group is full: %s", said)
	case cmd.ProcessState == nil:
		return nil, cloud.E(op, cloud.Unsupported, "%s cannot be run: %w; install the package lvm2", name, err)
	default:
		return nil, cloud.E(op, cloud.Internal, "%s: %w: %s", name, err, said)
	}
}

// lvm runs a tool for what it does.
func (d *Driver) lvm(ctx context.Context, name string, args ...string) error {
	_, err := d.command(ctx, name, append([]string{"--quiet"}, args...)...)
	return err
}

// report runs a tool that reports in JSON; rows are of the kind named.
func (d *Driver) report(ctx context.Context, kind, name string, args ...string) ([]map[string]string, error) {
	out, err := d.command(ctx, name, append([]string{"--reportformat", "json", "--units", "b", "--nosuffix"}, args...)...)
	if err != nil {
		return nil, err
	}
	var in struct {
		Report []map[string]json.RawMessage `json:"report"`
	}
	var rows []map[string]string
	if err := json.Unmarshal(out, &in); err == nil && len(in.Report) > 0 {
		err = json.Unmarshal(in.Report[0][kind], &rows)
		if err != nil {
			return nil, cloud.E("storage.lvm", cloud.Internal, "%s reports what cannot be read: %w", name, err)
		}
	}
	return rows, nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// group finds the volume group by its UUID, whatever its name is by now.
func (d *Driver) group(ctx context.Context) (group, error) {
	rows, err := d.report(ctx, "vg", "vgs", "-o", "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size")
	if err != nil {
		return group{}, err
	}
	for _, r := range rows {
		if r["vg_uuid"] == d.Group {
			return group{Name: r["vg_name"], UUID: d.Group, Size: number(r["vg_size"]), Free: number(r["vg_free"]), Extent: number(r["vg_extent_size"])}, nil
		}
	}
	return group{}, cloud.E("storage.lvm", cloud.NotFound, "there is no volume group with the UUID %s on this host: 'vgs -o vg_name,vg_uuid' prints those there are", d.Group)
}

// volumes lists the logical volumes of the group.
func (d *Driver) volumes(ctx context.Context, name string) ([]lv, error) {
	rows, err := d.report(ctx, "lv", "lvs", "-o", "lv_name,lv_attr,lv_path,lv_tags,lv_size,data_percent", name)
	if err != nil {
		return nil, err
	}
	var all []lv
	for _, r := range rows {
		v := lv{Name: r["lv_name"], Attr: r["lv_attr"], Path: r["lv_path"], Size: number(r["lv_size"])}
		if r["lv_tags"] != "" {
			v.Tags = strings.Split(r["lv_tags"], ",")
		}
		if p, err := strconv.ParseFloat(r["data_percent"], 64); err == nil {
			v.DataPercent = p
		}
		all = append(all, v)
	}
	return all, nil
}

// find gives the group and one of its volumes by name; found is false for none.
func (d *Driver) find(ctx context.Context, name string) (g group, v lv, found bool, err error) {
	if g, err = d.group(ctx); err != nil {
		return g, v, false, err
	}
	all, err := d.volumes(ctx, g.Name)
	for _, v := range all {
		if v.Name == name {
			return g, v, true, err
		}
	}
	return g, v, false, err
}

// bytesOf writes a size as LVM takes it.
func bytesOf(n int64) string { return fmt.Sprintf("%db", n) }
