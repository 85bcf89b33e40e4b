package cloud

import "testing"

func TestFulfils(t *testing.T) {
	for _, c := range []struct {
		have, want string
		ok         bool
	}{
		{"file", "file", true}, {"file", "lvm", false}, {"True", "<is> True", true}, {"False", "<is> True", false},
		{"file", "<or> lvm <or> file", true}, {"file", "<or> lvm", false}, {"file", "s== file", true}, {"file", "s!= file", false}, {"file", "<in> il", true},
	} {
		if fulfils(map[string]string{"k": c.have}, "k", c.want) != c.ok {
			t.Errorf("%q against %q is not %v", c.have, c.want, c.ok)
		}
	}
}

func TestWhatAPoolLacks(t *testing.T) {
	p := PoolStatus{Name: "fast", Protocol: "lvm", Thin: true}
	for spec, want := range map[string]string{
		"volume_backend_name=fast": "", "capabilities:volume_backend_name=fast": "", "volume_backend_name=file": "volume_backend_name file",
		"storage_protocol=<or> lvm <or> nfs": "", "thin_provisioning_support=<is> True": "", "hw:word=x": "", "colour=red": "colour red", "multiattach=<is> True": "",
	} {
		name, value, _ := cut(spec)
		if got := p.Lacks(map[string]string{name: value}); got != want {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
}

func cut(spec string) (name, value string, ok bool) {
	for i := range spec {
		if spec[i] == '=' {
			return spec[:i], spec[i+1:], true
		}
	}
	return spec, "", false
}

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
