package metadata

import (
	"encoding/json"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func TestVolumesThatAreMounted(t *testing.T) {
	spec := example()
	spec.Volumes = []cloud.InstanceVolume{
		{VolumeID: "0d2f8a9c-0000-4000-8000-000000000001", Boot: true},
		{VolumeID: "0d2f8a9c-0000-4000-8000-000000000002", Label: "data", Mount: "/data"},
	}
	h, _ := newHandler(spec)
	for _, version := range []string{"2018-08-27", "latest"} {
		w := do(h, "GET", "/openstack/"+version+"/vendor_data.json")
		var got struct {
			CloudInit string `json:"cloud-init"`
			Hearth    struct{ Mounts []mount }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		if len(got.Hearth.Mounts) != 1 || got.Hearth.Mounts[0] != (mount{"0d2f8a9c-0000-4000-8000-000000000002", "data", "/data"}) {
			t.Errorf("mounts: %+v", got.Hearth.Mounts)
		}
		if want := "#cloud-config\nmounts:\n- [ LABEL=data, /data, auto, \"defaults,nofail,"; !strings.HasPrefix(got.CloudInit, want) {
			t.Errorf("for cloud-init: %q", got.CloudInit)
		}
	}
	if files := ConfigDriveFiles(spec); !strings.Contains(string(files["openstack/latest/vendor_data.json"]), "LABEL=data") {
		t.Errorf("the config drive has %s", files["openstack/latest/vendor_data.json"])
	}
}
