package compute_test

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestDefinitions has servers made by definitions that the image, the flavor or the
// server itself names, and what cannot be refused.
func TestDefinitions(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	put := func(name string, version int, body string) {
		b.Must(b.Store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.OSDefinitions.Insert(cloud.OSDefinition{Name: name, Version: version, Body: body, CreatedAt: b.Clock.Now()})
		}))
	}
	overlay := func(id, project string, seen cloud.Visibility, version string) {
		i := cloud.Image{ID: id, Name: "site", ProjectID: project, Visibility: seen, Status: cloud.ImageActive, Digest: "sha512:" + id, Hidden: true, Made: &cloud.MadeDisk{Digest: "sha512:made"}, Properties: map[string]string{cloud.PropertyOverlay: version}}
		b.Must(b.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Images.Insert(i) }))
	}
	overlay("o1", "elsewhere", cloud.VisibilityPublic, "1")
	overlay("o2", "elsewhere", cloud.VisibilityPublic, "2")
	overlay("o9", "elsewhere", cloud.VisibilityCommunity, "9") // anybody may make such
	put("web", 1, `{"name":"web","version":1,"settings":{"SWAP":"no"}}`)
	for _, c := range []struct {
		name string
		meta map[string]string
		want string // of the definition, or the error after a "!"
	}{
		{"none", nil, ""},
		{"by its name", map[string]string{"hearth:os_definition": "web", "hearth:os:FILESYSTEM": "ext4"}, "web@1"},
		{"by its version", map[string]string{"hearth:os_definition": "web@1"}, "web@1"},
		{"one that is not there", map[string]string{"hearth:os_definition": "wep"}, "!there are: web"},
		{"a version that is not there", map[string]string{"hearth:os_definition": "web@2"}, "!web@2 could not be found"},
		{"no version", map[string]string{"hearth:os_definition": "web@x"}, "!could not be found"},
		{"a wrong setting", map[string]string{"hearth:os_definition": "web", "hearth:os:SWAP": "perhaps"}, "!SWAP is"},
		{"swap larger than the disk", map[string]string{"hearth:os_definition": "web", "hearth:os:SWAP": "yes", "hearth:os:SWAP_SIZE": "20480"}, "!20480 MB of swap"},
		{"settings alone", map[string]string{"hearth:os:SWAP": "no"}, "default@0"},
		{"the newest overlay", map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "site"}, "web@1 sha512:o2"},
		{"one overlay", map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "site@1"}, "web@1 sha512:o1"},
		{"an overlay that is not there", map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "sight"}, "!the overlay sight is not among the images"},
		{"a version of it that is not there", map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "site@3"}, "!there are: site@1, site@2"},
		{"an overlay of the node", map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "/etc"}, "!the overlay /etc is not among the images"},
		{"a file of the node", map[string]string{"hearth:os_definition": "web", "hearth:os:CUSTOMIZE_DIR": "/root"}, "!CUSTOMIZE_DIR is for 'hearth deploy'"},
	} {
		r := computetest.Request()
		r.Metadata = c.meta
		made, err := b.Compute.Create(t.Context(), a, r)
		if why, refused := strings.CutPrefix(c.want, "!"); refused {
			if !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, by := "", b.Server(made.Servers[0].ID).Deploy
		if by != nil {
			got = cloud.OSDefinition{Name: by.Name, Version: by.Version}.Ref()
			if by.Overlay != nil {
				got += " " + by.Overlay.Digest
			}
			if v, ok := by.Over["CUSTOMIZE_DIR"]; !ok || v != "" {
				t.Errorf("%s: hooks of the node run: %v", c.name, by.Over)
			}
		}
		if got != c.want {
			t.Errorf("%s: by %q", c.name, got)
		}
	}
	put("web", 2, `{"name":"web","version":2,"settings":{"SWAP":"no","KERNEL_ARGS":"quiet"}}`)
	r := computetest.Request()
	r.ImageID, r.Metadata = computetest.AMIID, map[string]string{"hearth:os_definition": "web", "hearth:os:KERNEL_ARGS": "quiet root=/dev/vda"}
	made, err := b.Compute.Create(t.Context(), a, r)
	b.Must(err)
	if s := b.Server(made.Servers[0].ID); s.Deploy.Version != 2 || s.KernelArgs != "root=/dev/vda quiet" {
		t.Errorf("the next server is by version %d, its kernel has %q", s.Deploy.Version, s.KernelArgs)
	}
	id := made.Servers[0].ID
	put("web", 3, `{"name":"web","version":3,"settings":{"SWAP":"no"}}`)
	overlay("o3", a.Caller.ProjectID, cloud.VisibilityPrivate, "1")
	b.Run(id)
	_, err = b.Compute.Rebuild(t.Context(), a, id, compute.RebuildRequest{ImageID: computetest.ImageID, Metadata: map[string]string{"hearth:os_definition": "web", "hearth:os:OVERLAY": "site"}})
	b.Must(err)
	if by := b.Server(id).Deploy; by == nil || by.Version != 3 || by.Overlay.Digest != "sha512:o3" {
		t.Errorf("it is made anew by %+v", by)
	}
}
