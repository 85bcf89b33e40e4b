package schedule

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func TestWhatAPoolLacks(t *testing.T) {
	p := cloud.PoolStatus{Name: "fast", Protocol: "lvm", Thin: true}
	for spec, want := range map[string]string{
		"volume_backend_name=fast": "", "capabilities:volume_backend_name=fast": "", "volume_backend_name=file": "volume_backend_name file",
		"storage_protocol=<or> lvm <or> nfs": "", "thin_provisioning_support=<is> True": "", "hw:word=x": "", "colour=red": "colour red", "multiattach=<is> True": "",
	} {
		name, value, _ := strings.Cut(spec, "=")
		if got := Lacks(p, map[string]string{name: value}); got != want {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
}
