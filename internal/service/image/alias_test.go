package image_test

import (
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

func TestAliases(t *testing.T) {
	h := newHouse(t, image.Options{})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(id, project string, seen cloud.Visibility, distro, version, arch string, tags ...string) {
		t.Helper()
		at = at.Add(time.Hour)
		i := cloud.Image{ID: id, Name: "image-" + id, ProjectID: project, Visibility: seen, Status: cloud.ImageActive, CreatedAt: at, Tags: tags,
			Properties: map[string]string{"os_distro": distro, "os_version": version, "architecture": arch}}
		if err := h.store.Update(ctx, func(tx *store.Tx) error { return tx.Images.Insert(i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.store.Update(ctx, func(tx *store.Tx) error {
		return tx.Hosts.Insert(cloud.Host{Name: "n1", Seen: cloud.HostStatus{CPUArch: "x86_64"}})
	}); err != nil {
		t.Fatal(err)
	}
	put("d13arm", "p9", cloud.VisibilityPublic, "debian", "13", "aarch64")
	put("d12.5", "p9", cloud.VisibilityPublic, "debian", "12.5", "x86_64", "stable")
	put("d9", "p9", cloud.VisibilityPublic, "debian", "9", "amd64")
	put("d12", "p9", cloud.VisibilityPublic, "debian", "12", "")
	put("d14", "p9", cloud.VisibilityPrivate, "debian", "14", "x86_64")
	put("u4", ann.ProjectID, cloud.VisibilityPrivate, "ubuntu", "22.04", "x86_64")
	put("u10", ann.ProjectID, cloud.VisibilityPrivate, "ubuntu", "22.10", "x86_64")
	put("u10new", ann.ProjectID, cloud.VisibilityPrivate, "ubuntu", "22.10", "x86_64")
	for alias, want := range map[string]string{"debian:latest": "d12.5", "debian:12": "d12.5", "debian:9": "d9", "Debian:stable": "d12.5", "debian:13": "", "debian:14": "", "debian:1": "",
		"ubuntu:latest": "u10new", "ubuntu:22.04": "u4", "ubuntu:22": "u10new", "fedora:latest": "", ":latest": "", "debian:": "", "image-d9:latest": "d9"} {
		img, err := h.Alias(ctx, ann, alias)
		if img.ID != want || (want == "") != cloud.Is(err, cloud.NotFound) {
			t.Errorf("%s is %q, %v; want %q", alias, img.ID, err, want)
		}
		list, _, err := h.List(ctx, ann, image.Filter{Equal: map[string][]string{"name": {alias}}})
		if err != nil || len(list) > 1 || want != "" && (len(list) != 1 || list[0].ID != want) || want == "" && len(list) > 0 {
			t.Errorf("%s lists %v, %v", alias, list, err)
		}
	}
	if list, _, err := h.List(ctx, ann, image.Filter{Equal: map[string][]string{"name": {"debian:latest"}, "status": {"queued"}}}); err != nil || len(list) > 0 {
		t.Errorf("what else is asked for does not count: %v, %v", list, err)
	}
	if _, err := h.Alias(ctx, bob, "ubuntu:latest"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("bob finds ann's: %v", err)
	}
	h.image(ann, m{"name": "debian:latest"})
	if img, err := h.Alias(ctx, ann, "debian:latest"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("an image is named so, and %v is found; %v", img.ID, err)
	}
}
