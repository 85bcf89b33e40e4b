package compute_test

import (
	"encoding/json"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestForeignDefinitions has servers made by the scripts of others: of their archive,
// or with another image in their hands.
func TestForeignDefinitions(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	digests := []string{"", "sha512:" + strings.Repeat("1a", 64), "sha512:" + strings.Repeat("2b", 64), "sha512:" + strings.Repeat("3c", 64)}
	b.Must(b.Store.Update(t.Context(), func(tx *store.Tx) error {
		for version := 1; version <= 3; version++ {
			d := osdef.Definition{Name: "deb", Version: version, Foreign: &osdef.Foreign{Digest: digests[version], API: []string{"20"}, Variants: []string{"bookworm", "trixie"},
				Scripts: []string{"create"}, Parameters: []osdef.Parameter{{Name: "filesystem"}}}}
			body, err := json.Marshal(d)
			b.Must(err)
			b.Must(tx.OSDefinitions.Insert(cloud.OSDefinition{Name: d.Name, Version: version, Body: string(body), CreatedAt: b.Clock.Now()}))
		}
		return tx.OSDefinitions.Insert(cloud.OSDefinition{Name: "web", Version: 1, Body: `{"name":"web","version":1}`, CreatedAt: b.Clock.Now()})
	}))
	archive := func(id, project string, seen cloud.Visibility, version int) {
		ref := "deb@" + string(rune('0'+version))
		i := cloud.Image{ID: id, Name: "deb", ProjectID: project, Visibility: seen, Status: cloud.ImageActive, Digest: digests[version], DiskFormat: "raw", ContainerFormat: "bare",
			Properties: map[string]string{cloud.PropertyOSArchive: ref, cloud.PropertyOSDefinition: ref}}
		b.Must(b.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Images.Insert(i) }))
	}
	first, second := "aaaaaaaa-0000-4000-8000-0000000000f1", "aaaaaaaa-0000-4000-8000-0000000000f2"
	archive(first, "ops", cloud.VisibilityPublic, 1)
	archive(second, "ops", cloud.VisibilityPublic, 2)
	archive("aaaaaaaa-0000-4000-8000-0000000000f3", "ops", cloud.VisibilityCommunity, 3) // the newest is not for all
	for _, c := range []struct {
		name, image string
		meta        map[string]string
		want        string // of the definition, or the error after a "!"
	}{
		{"of the archive", first, nil, "deb@1 bookworm of " + first},
		{"a variant and a parameter", second, map[string]string{"hearth:os_variant": "trixie", "hearth:os:FileSystem": "xfs"}, "deb@2 trixie xfs of " + second},
		{"of another image", computetest.ImageID, map[string]string{"hearth:os_definition": "deb@1"}, "deb@1 bookworm of " + first},
		{"no such variant", first, map[string]string{"hearth:os_variant": "sid"}, "!there are: bookworm, trixie"},
		{"no such parameter", first, map[string]string{"hearth:os:SWAP": "no"}, "!there are: FILESYSTEM"},
		{"the archive of another version", first, map[string]string{"hearth:os_definition": "deb@2"}, "!is the archive of the foreign definition deb@1"},
		{"the archive by one of ours", first, map[string]string{"hearth:os_definition": "web"}, "!is the archive of the foreign definition deb@1"},
		{"an archive that is not theirs", computetest.ImageID, map[string]string{"hearth:os_definition": "deb"}, "!its archive is not among the images"},
	} {
		r := computetest.Request()
		r.ImageID, r.Metadata = c.image, c.meta
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
		by := b.Server(made.Servers[0].ID).Deploy
		got := cloud.OSDefinition{Name: by.Name, Version: by.Version}.Ref() + " " + by.Variant
		for _, v := range by.Over {
			got += " " + v
		}
		if got += " of " + by.Archive.ID; got != c.want || by.Archive.Digest != digests[by.Version] {
			t.Errorf("%s: by %q, %+v", c.name, got, by.Archive)
		}
	}
	r := computetest.Request()
	r.ImageID = first
	made, err := b.Compute.Create(t.Context(), a, r)
	b.Must(err)
	id := made.Servers[0].ID
	b.Run(id)
	snap, err := b.Compute.CreateImage(t.Context(), a, id, "snap", nil)
	b.Must(err)
	b.Must(b.Store.View(t.Context(), func(tx *store.Tx) error {
		i, err := tx.Images.Get(snap)
		for key := range i.Properties {
			if strings.HasPrefix(key, "hearth:os") {
				t.Errorf("a server of its image would be made anew by %s", key)
			}
		}
		return err
	}))
	made, err = b.Compute.Create(t.Context(), a, r)
	b.Must(err)
	id = made.Servers[0].ID
	b.Run(id)
	_, err = b.Compute.Rebuild(t.Context(), a, id, compute.RebuildRequest{ImageID: second})
	b.Must(err)
	if by := b.Server(id).Deploy; by == nil || by.Version != 2 || by.Archive.ID != second {
		t.Errorf("it is made anew by %+v", by)
	}
}
