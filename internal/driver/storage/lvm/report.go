package lvm

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// group is a volume group as it is now.
type group struct {
	Name, UUID, Attr string
	Size, Free       int64
	PVs              []pv
	LVs              []lv
}

// pv is a physical volume of a group.
type pv struct{ Device, UUID string }

// lv is a logical volume. Attr is lv_attr of lvs(8).
type lv struct {
	Name, Attr, Path      string
	Tags                  []string
	Size                  int64
	DataPercent, Metadata float64 // of a thin pool: how full it is
}

func (v lv) has(tag string) bool { return slices.Contains(v.Tags, tag) }

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

// at is a letter of an attribute, '-' where there is none.
func at(attr string, i int) byte {
	if i < len(attr) {
		return attr[i]
	}
	return '-'
}

func (v lv) active() bool { return at(v.Attr, 4) == 'a' }
func (v lv) open() bool   { return at(v.Attr, 5) == 'o' }
func (v lv) pool() bool   { return at(v.Attr, 0) == 't' }

// plain tells whether a volume is a thick or thin one, no pool, snapshot, mirror or
// part of one.
func (v lv) plain() bool { return at(v.Attr, 0) == '-' || at(v.Attr, 0) == 'V' }

// find gives a volume of the group by its name.
func (g group) find(name string) (lv, bool) {
	i := slices.IndexFunc(g.LVs, func(v lv) bool { return v.Name == name })
	if i < 0 {
		return lv{}, false
	}
	return g.LVs[i], true
}

// reportFields are what 'lvm fullreport' is asked for. Its segments are of no use
// here but cannot be left out.
var reportFields = []string{
	"--configreport", "vg", "-o", "vg_name,vg_uuid,vg_attr,vg_size,vg_free",
	"--configreport", "pv", "-o", "pv_name,pv_uuid",
	"--configreport", "lv", "-o", "lv_name,lv_attr,lv_path,lv_tags,lv_size,data_percent,metadata_percent",
	"--configreport", "pvseg", "-o", "pvseg_start", "--configreport", "seg", "-o", "seg_start",
}

// parseReport reads what 'lvm fullreport --reportformat json' prints.
func parseReport(text []byte) ([]group, error) {
	var in struct {
		Report []struct {
			VG, PV, LV []map[string]string
		}
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, cloud.E("storage.lvm", cloud.Internal, "lvm reports what cannot be read: %w", err)
	}
	var all []group
	for _, r := range in.Report {
		if len(r.VG) != 1 || r.VG[0]["vg_uuid"] == "" { // physical volumes of no group
			continue
		}
		m := r.VG[0]
		g := group{Name: m["vg_name"], UUID: m["vg_uuid"], Attr: m["vg_attr"], Size: number(m["vg_size"]), Free: number(m["vg_free"])}
		for _, m := range r.PV {
			g.PVs = append(g.PVs, pv{m["pv_name"], m["pv_uuid"]})
		}
		for _, m := range r.LV {
			v := lv{Name: m["lv_name"], Attr: m["lv_attr"], Path: m["lv_path"], Size: number(m["lv_size"]), DataPercent: percent(m["data_percent"]), Metadata: percent(m["metadata_percent"])}
			if m["lv_tags"] != "" {
				v.Tags = strings.Split(m["lv_tags"], ",")
			}
			g.LVs = append(g.LVs, v)
		}
		all = append(all, g)
	}
	return all, nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func percent(s string) float64 {
	p, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return p
}

// twice is a warning of LVM's that a physical volume is on two devices.
var twice = regexp.MustCompile(`Not using device (\S+) for PV ([0-9A-Za-z-]+)`)

// choose finds the group of a UUID among those of the host. What LVM warned of
// tells of devices that are copies of others. NotFound; Conflict where it cannot be
// told which one is meant.
func choose(all []group, warned, uuid string) (g group, err error) {
	const op = "storage.lvm"
	i := slices.IndexFunc(all, func(g group) bool { return g.UUID == uuid })
	if i < 0 {
		return g, cloud.E(op, cloud.NotFound, "there is no volume group with the UUID %s on this host: plug its disks in, or name another; 'vgs -o vg_name,vg_uuid' prints those there are", uuid)
	}
	g = all[i]
	for _, other := range all {
		if other.Name == g.Name && other.UUID != uuid {
			return g, cloud.E(op, cloud.Conflict, "two volume groups of this host have the name %s, %s and %s: rename one of them with 'vgrename UUID NAME', for LVM's tools go by the name", g.Name, uuid, other.UUID)
		}
	}
	for _, m := range twice.FindAllStringSubmatch(warned, -1) {
		if p := slices.IndexFunc(g.PVs, func(p pv) bool { return p.UUID == m[2] }); p >= 0 {
			return g, cloud.E(op, cloud.Conflict, "the physical volume %s of the volume group %s is on two devices, %s and %s: one is a copy of the other; take it away, or give it an identity of its own with vgimportclone", m[2], g.Name, g.PVs[p].Device, m[1])
		}
	}
	return g, nil
}

// changeable refuses a group whose state lets nobody change it; see vg_attr of
// vgs(8).
func (g group) changeable() error {
	const op = "storage.lvm"
	switch {
	case at(g.Attr, 0) == 'r':
		return cloud.E(op, cloud.Unavailable, "the volume group %s is read-only: some of what is in it is unknown to this host's LVM, or its disks take no writes", g.Name)
	case at(g.Attr, 2) == 'x':
		return cloud.E(op, cloud.Unavailable, "the volume group %s is exported: if it belongs here, 'vgimport %s'", g.Name, g.Name)
	case at(g.Attr, 3) == 'p':
		return cloud.E(op, cloud.Unavailable, "a disk of the volume group %s is missing: plug it in; nothing is changed in the group before", g.Name)
	}
	return nil
}
