package lvm

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
)

// report is what 'lvm fullreport' 2.03.16 prints of a host with a group that has a
// thin pool, and a disk of no group.
const report = `{"report": [
 {"vg": [{"vg_name":"ops", "vg_uuid":"BwtWUV-MO99-w2eJ-vsml-wjO3-Za48-2HUZar", "vg_attr":"wz--n-", "vg_size":"1072693248", "vg_free":"638582784"}],
  "pv": [{"pv_name":"/dev/vda", "pv_uuid":"wbsyE5-EScd-LO1f-PLTw-Glp3-ehGV-gJlnP2"}],
  "lv": [{"lv_name":"pool", "lv_attr":"twi-aotz--", "lv_path":"", "lv_tags":"", "lv_size":"419430400", "data_percent":"12.50", "metadata_percent":"11.91"},
         {"lv_name":"h-volume-a", "lv_attr":"Vwi-aotz--", "lv_path":"/dev/ops/h-volume-a", "lv_tags":"hearth.disk,hearth.was=512", "lv_size":"1024", "data_percent":"0.00", "metadata_percent":""}],
  "pvseg": [{"pvseg_start":"0"}], "seg": [{"seg_start":"0"}]},
 {"vg": [{"vg_name":"", "vg_uuid":"", "vg_attr":"r-----", "vg_size":"0", "vg_free":"0"}], "pv": [{"pv_name":"/dev/vdb", "pv_uuid":"x"}], "lv": []}
]}`

const uuid = "BwtWUV-MO99-w2eJ-vsml-wjO3-Za48-2HUZar"

func TestReport(t *testing.T) {
	all, err := parseReport([]byte(report))
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	g, err := choose(all, "", uuid)
	if err != nil || g.Name != "ops" || g.Free != 638582784 || g.changeable() != nil {
		t.Fatalf("%+v, %v", g, err)
	}
	if v, there := g.find("pool"); !there || !v.pool() || v.plain() || v.DataPercent != 12.5 || v.Metadata != 11.91 {
		t.Errorf("%+v", v)
	}
	v, err := g.disk("test", "volume-a")
	if err != nil || !v.open() || !v.active() || !v.plain() || !v.own() || diskOf(v).Size != 512 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := g.disk("test", "volume-b"); !cloud.Is(err, cloud.NotFound) {
		t.Error(err)
	}
}

func TestGroupsThatAreRefused(t *testing.T) {
	ours := group{Name: "ops", UUID: uuid, Attr: "wz--n-", PVs: []pv{{"/dev/vda", "wbsyE5"}}}
	for name, c := range map[string]struct {
		all    []group
		warned string
		kind   cloud.Kind
		want   string
	}{
		"it is not there":         {[]group{{Name: "ops", UUID: "another"}}, "", cloud.NotFound, "no volume group with the UUID"},
		"another of its name":     {[]group{ours, {Name: "ops", UUID: "another"}}, "", cloud.Conflict, "rename one of them"},
		"its disk is there twice": {[]group{ours}, "  WARNING: Not using device /dev/vdb for PV wbsyE5.", cloud.Conflict, "/dev/vda and /dev/vdb"},
	} {
		if _, err := choose(c.all, c.warned, uuid); !cloud.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := choose([]group{ours}, "  WARNING: Not using device /dev/vdd for PV others.", uuid); err != nil {
		t.Errorf("copies of others' disks: %v", err)
	}
	for attr, want := range map[string]string{"wz--n-": "", "rz--n-": "read-only", "wzx-n-": "vgimport", "wz-pn-": "missing", "": ""} {
		ours.Attr = attr
		if err := ours.changeable(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", attr, err)
		}
	}
}

func TestPoolsThatAreFull(t *testing.T) {
	d := &Driver{Config: Config{Pool: "pool"}}
	for _, c := range []struct {
		data, metadata float64
		full           bool
	}{{10, 10, false}, {97.2, 10, true}, {10, 99, true}} {
		err := d.room(group{LVs: []lv{{Name: "pool", DataPercent: c.data, Metadata: c.metadata}}})
		if c.full != cloud.Is(err, cloud.NoCapacity) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// FuzzReport has LVM say anything: nothing of it may be taken for a group that can
// be used without a name and the UUID.
func FuzzReport(f *testing.F) {
	f.Add([]byte(report))
	f.Add([]byte(`{"report":[{"vg":[{"vg_uuid":"x"}]}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseReport(text)
		if err != nil {
			return
		}
		g, err := choose(all, string(text), uuid)
		if err == nil && g.UUID != uuid {
			t.Errorf("%+v", g)
		}
		for _, v := range g.LVs {
			_, _, _, _ = v.own(), v.plain(), v.open(), diskOf(v)
		}
	})
}
