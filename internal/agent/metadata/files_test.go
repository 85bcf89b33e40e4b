package metadata

import (
	"encoding/json"
	"testing"

	"hearth/internal/cloud"
)

// TestFiles holds where the files for a guest lie, and that meta_data.json of
// every version tells of them.
func TestFiles(t *testing.T) {
	spec := cloud.InstanceSpec{ID: "i", Meta: cloud.InstanceMeta{Files: []cloud.GuestFile{{Path: "/etc/motd", Contents: []byte("hi\n")}, {Path: "/b", Contents: []byte{0, 255}}}}}
	drive := ConfigDriveFiles(spec)
	h, _ := newHandler(spec)
	for _, version := range OpenStackVersions {
		var meta struct {
			Files []struct {
				Path    string
				Content string `json:"content_path"`
			}
		}
		if err := json.Unmarshal(drive["openstack/"+version+"/meta_data.json"], &meta); err != nil || len(meta.Files) != 2 {
			t.Fatalf("%s: %v, %+v", version, err, meta)
		}
		for i, f := range meta.Files {
			want := spec.Meta.Files[i]
			if got := drive["openstack"+f.Content]; f.Path != want.Path || string(got) != string(want.Contents) {
				t.Errorf("%s: on the drive %+v is %q", version, f, got)
			}
			if w := do(h, "GET", "/openstack"+f.Content); w.Code != 200 || w.Body.String() != string(want.Contents) {
				t.Errorf("asked for %+v: %d, %q", f, w.Code, w.Body)
			}
		}
	}
	for _, path := range []string{"/openstack/content", "/openstack/content/0002", "/openstack/content/0000/x"} {
		if w := do(h, "GET", path); w.Code != 404 {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}
