package cloud

import "testing"

func TestNamesOfPoolsAndDisks(t *testing.T) {
	for name, want := range map[string][2]string{"n@fast#fast": {"n", "fast"}, "n@fast": {"n", "fast"}, "n": {"n", ""}, "n@file#file": {"n", "file"}} {
		if node, pool := ParseVolumeHost(name); node != want[0] || pool != want[1] {
			t.Errorf("%s: %s, %s", name, node, pool)
		}
	}
	for pool, want := range map[string]string{"": "volume-x", "file": "volume-x", "fast": "volume-x@fast"} {
		v := Volume{ID: "x", Pool: pool}
		if v.Disk() != want {
			t.Errorf("%q: %s", pool, v.Disk())
		}
		if name, _ := DiskPool(v.Disk()); name != "volume-x" {
			t.Errorf("%q: %s", pool, name)
		}
	}
	if got := VolumeHost("n", ""); got != "n@file#file" {
		t.Error(got)
	}
}
