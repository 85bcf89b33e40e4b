package image_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

func TestCreateRefuses(t *testing.T) {
	h := newHouse(t, image.Options{MaxProperties: 2, MaxTags: 2})
	taken := h.image(ann, nil)
	for _, c := range []struct {
		caller cloud.Caller
		given  m
		kind   cloud.Kind
		says   string
	}{
		{ann, m{"disk_format": "floppy"}, cloud.Invalid, "'floppy' is not one of [ami, ari, aki, raw, qcow2, iso, vmdk, vdi, vhd, vhdx]"},
		{ann, m{"container_format": "wrong"}, cloud.Invalid, "'wrong'"},
		{ann, m{"visibility": "mine"}, cloud.Invalid, "'mine'"},
		{ann, m{"visibility": "public"}, cloud.Forbidden, "publicize_image"},
		{ann, m{"owner": "p2"}, cloud.Forbidden, "owned by 'p2'"},
		{ann, m{"min_ram": "12"}, cloud.Invalid, "not of type 'integer'"},
		{ann, m{"min_ram": 1.5}, cloud.Invalid, "not of type 'integer'"},
		{ann, m{"min_disk": -1.0}, cloud.Invalid, "minimum of 0"},
		{ann, m{"min_disk": 1e12}, cloud.Invalid, "maximum"},
		{ann, m{"protected": "yes"}, cloud.Invalid, "not of type 'boolean'"},
		{ann, m{"name": 5.0}, cloud.Invalid, "not of type 'string'"},
		{ann, m{"name": strings.Repeat("ü", 256)}, cloud.Invalid, "too long"},
		{ann, m{"tags": []any{"a", strings.Repeat("x", 256)}}, cloud.Invalid, "too long"},
		{ann, m{"tags": []any{"a", "b", "c"}}, cloud.TooLarge, "image tags. Attempted: 3, Maximum: 2"},
		{ann, m{"a": "1", "b": "2", "c": "3"}, cloud.TooLarge, "properties"},
		{ann, m{"a": 1.0}, cloud.Invalid, "not of type 'string'"},
		{ann, m{"status": "active"}, cloud.Forbidden, "'status' is read-only"},
		{ann, m{"checksum": "x"}, cloud.Forbidden, "read-only"},
		{ann, m{"os_glance_x": "x"}, cloud.Forbidden, "reserved"},
		{ann, m{"locations": []any{}}, cloud.Forbidden, "locations"},
		{ann, m{"id": "nope"}, cloud.Invalid, "does not match"},
		{bob, m{"id": taken.ID}, cloud.Conflict, "already exists!"},
		{cloud.Caller{System: true, Roles: []string{cloud.RoleAdmin}}, m{}, cloud.Forbidden, "owned by ''"},
	} {
		_, err := h.Create(ctx, c.caller, c.given)
		if !cloud.Is(err, c.kind) || !strings.Contains(cloud.Message(err), c.says) {
			t.Errorf("%v: got %v (%v), want %v: %s", c.given, err, cloud.KindOf(err), c.kind, c.says)
		}
	}
}

func TestWhoSees(t *testing.T) {
	h := newHouse(t, image.Options{})
	for _, c := range []struct {
		visibility string
		bob        cloud.Kind // of bob's reading: Internal is none
		change     cloud.Kind
	}{
		{"private", cloud.NotFound, cloud.NotFound},
		{"shared", cloud.NotFound, cloud.NotFound},
		{"community", cloud.Internal, cloud.Forbidden},
		{"public", cloud.Internal, cloud.Forbidden},
	} {
		owner := ann
		given := m{"visibility": c.visibility}
		if c.visibility == "public" {
			owner, given["owner"] = admin, "p1"
		}
		img := h.image(owner, given)
		for _, caller := range []cloud.Caller{ann, watch, admin} {
			if _, err := h.Get(ctx, caller, img.ID); err != nil {
				t.Errorf("%s: %v", c.visibility, err)
			}
		}
		if _, err := h.Get(ctx, bob, img.ID); cloud.Is(err, cloud.NotFound) != (c.bob == cloud.NotFound) {
			t.Errorf("%s: bob's reading: %v", c.visibility, err)
		}
		for what, err := range map[string]error{
			"delete": h.Delete(ctx, bob, img.ID), "tag": h.AddTag(ctx, bob, img.ID, "x"), "deactivate": h.Deactivate(ctx, bob, img.ID),
			"upload": h.Upload(ctx, bob, img.ID, strings.NewReader("x"), 1),
		} {
			if !cloud.Is(err, c.change) {
				t.Errorf("%s: bob's %s: %v, want %v", c.visibility, what, err, c.change)
			}
		}
		want(t, h.Delete(ctx, watch, img.ID), cloud.Forbidden, "delete_image")
	}
}

func TestUpdate(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, m{"kernel_id": "k", "tags": []any{"a", "a", "b"}})
	if !slices.Equal(img.Tags, []string{"a", "b"}) || img.Visibility != cloud.VisibilityShared {
		t.Errorf("made %+v", img)
	}
	rep := func(name string, v any) image.Change { return image.Change{Op: image.OpReplace, Name: name, Value: v} }
	add := func(name string, v any) image.Change { return image.Change{Op: image.OpAdd, Name: name, Value: v} }
	rem := func(name string) image.Change { return image.Change{Op: image.OpRemove, Name: name} }
	got, err := h.Update(ctx, ann, img.ID, []image.Change{
		rep("name", "new"), rep("min_ram", 64.0), rep("disk_format", "qcow2"), add("a/b", "c"), rep("kernel_id", "k2"), add("kernel_id", "k3"),
		rep("tags", []any{"z"}), rep("visibility", "community"), add("protected", true), add("gone", "x"), rem("gone"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "new" || got.MinRAMMB != 64 || got.DiskFormat != "qcow2" || got.KernelID() != "k3" || got.Properties["a/b"] != "c" || len(got.Properties) != 2 ||
		!slices.Equal(got.Tags, []string{"z"}) || got.Visibility != cloud.VisibilityCommunity || !got.Protected || !got.UpdatedAt.Equal(img.UpdatedAt.Add(time.Second)) {
		t.Errorf("got %+v", got)
	}
	want(t, h.Delete(ctx, ann, img.ID), cloud.Forbidden, "is protected and cannot be deleted")
	for _, c := range []struct {
		change image.Change
		kind   cloud.Kind
		says   string
	}{
		{rep("status", "active"), cloud.Forbidden, "read-only"},
		{rep("id", "x"), cloud.Forbidden, "read-only"},
		{add("os_glance_failed_import", "x"), cloud.Forbidden, "reserved"},
		{rep("locations", []any{}), cloud.Forbidden, "locations"},
		{rep("nix", "x"), cloud.Conflict, "Property nix does not exist."},
		{rem("nix"), cloud.Conflict, "Property nix does not exist."},
		{rem("name"), cloud.Forbidden, "may not be removed"},
		{image.Change{Op: image.OpAdd, Name: "kernel_id", Value: "x", New: true}, cloud.Conflict, "already present"},
		{rep("visibility", "public"), cloud.Forbidden, "publicize_image"},
		{rep("owner", "p2"), cloud.Forbidden, "change the owner"},
		{rep("min_disk", nil), cloud.Invalid, "integer"},
	} {
		_, err := h.Update(ctx, ann, img.ID, []image.Change{rep("name", "not kept"), c.change})
		want(t, err, c.kind, c.says)
	}
	if h.get(img.ID).Name != "new" {
		t.Error("a part of a refused update was kept")
	}
	raw := h.image(ann, nil)
	if err := h.upload(raw.ID, []byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err = h.Update(ctx, ann, raw.ID, []image.Change{rep("disk_format", "iso")})
	want(t, err, cloud.Forbidden, "only replaced for a queued image")
}

func TestMembers(t *testing.T) {
	h := newHouse(t, image.Options{MaxMembers: 2})
	img := h.image(ann, nil)
	_, err := h.AddMember(ctx, bob, img.ID, "p2")
	want(t, err, cloud.NotFound, img.ID)
	made, err := h.AddMember(ctx, ann, img.ID, "p2")
	if err != nil || made.Status != "pending" {
		t.Fatalf("%+v, %v", made, err)
	}
	_, err = h.AddMember(ctx, ann, img.ID, "p2")
	want(t, err, cloud.Conflict, "already associated")
	_, err = h.AddMember(ctx, bob, img.ID, "p9")
	want(t, err, cloud.Forbidden, "add_member")
	_, err = h.AddMember(ctx, ann, img.ID, "")
	want(t, err, cloud.Invalid, "")
	if got := names(t, h, bob, image.Filter{}); got != "" {
		t.Errorf("pending, yet listed: %s", got)
	}
	_, err = h.SetMember(ctx, ann, img.ID, "p2", "accepted")
	want(t, err, cloud.Forbidden, "modify_member")
	_, err = h.SetMember(ctx, bob, img.ID, "p2", "maybe")
	want(t, err, cloud.Invalid, "Status must be")
	if m, err := h.SetMember(ctx, bob, img.ID, "p2", "accepted"); err != nil || m.Status != "accepted" {
		t.Errorf("%+v, %v", m, err)
	}
	if got := names(t, h, bob, image.Filter{}); got != "x" {
		t.Errorf("accepted, listed: %q", got)
	}
	want(t, h.Delete(ctx, bob, img.ID), cloud.Forbidden, "delete_image")
	if _, err := h.AddMember(ctx, ann, img.ID, "p3"); err != nil {
		t.Fatal(err)
	}
	_, err = h.AddMember(ctx, ann, img.ID, "p4")
	want(t, err, cloud.TooLarge, "Maximum: 2")
	for _, c := range []struct {
		caller cloud.Caller
		n      int
	}{{ann, 2}, {bob, 1}, {admin, 2}} {
		if list, err := h.Members(ctx, c.caller, img.ID); err != nil || len(list) != c.n {
			t.Errorf("%s sees %v, %v", c.caller.ProjectID, list, err)
		}
	}
	_, err = h.Member(ctx, bob, img.ID, "p3")
	want(t, err, cloud.NotFound, "p3 not found")
	want(t, h.RemoveMember(ctx, bob, img.ID, "p2"), cloud.Forbidden, "delete_member")
	if err := h.RemoveMember(ctx, ann, img.ID, "p2"); err != nil {
		t.Error(err)
	}
	want(t, h.RemoveMember(ctx, ann, img.ID, "p2"), cloud.NotFound, "p2 not found")
	_, err = h.Get(ctx, bob, img.ID)
	want(t, err, cloud.NotFound, img.ID)
	private := h.image(ann, m{"visibility": "private"})
	_, err = h.AddMember(ctx, ann, private.ID, "p2")
	want(t, err, cloud.Forbidden, "Only shared images have members.")
}

// names lists the names that a filter finds.
func names(t *testing.T, h *house, caller cloud.Caller, f image.Filter) string {
	t.Helper()
	list, _, err := h.List(ctx, caller, f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, img := range list {
		out = append(out, img.Name)
	}
	return strings.Join(out, " ")
}

func TestList(t *testing.T) {
	h := newHouse(t, image.Options{})
	begin := h.clock.Now()
	h.image(ann, m{"name": "a", "tags": []any{"t", "u"}, "min_ram": 64.0})
	b := h.image(ann, m{"name": "b", "visibility": "private", "disk_format": "qcow2", "os": "debian"})
	h.image(bob, m{"name": "c", "visibility": "community", "tags": []any{"t"}})
	h.image(admin, m{"name": "d", "visibility": "public", "protected": true})
	h.image(bob, m{"name": "e"})
	h.image(ann, m{"name": "f", "os_hidden": true})
	h.image(ann, m{"name": "g", "visibility": "community"})
	if err := h.upload(b.ID, qcow2(nil)); err != nil {
		t.Fatal(err)
	}
	n := func(v int64) *int64 { return &v }
	yes, no := true, false
	for _, c := range []struct {
		caller cloud.Caller
		f      image.Filter
		want   string
	}{
		{ann, image.Filter{}, "g d b a"},
		{bob, image.Filter{}, "e d c"},
		{admin, image.Filter{}, "e d b a"},
		{ann, image.Filter{Visibility: "all"}, "g d c b a"},
		{ann, image.Filter{Visibility: "community"}, "g c"},
		{ann, image.Filter{Visibility: "private"}, "b"},
		{bob, image.Filter{Visibility: "private"}, ""},
		{ann, image.Filter{Hidden: true}, "f"},
		{ann, image.Filter{Equal: map[string][]string{"name": {"a", "d", "e"}}}, "d a"},
		{ann, image.Filter{Equal: map[string][]string{"disk_format": {"qcow2"}, "status": {"active"}}}, "b"},
		{ann, image.Filter{Owner: "p1"}, "g b a"},
		{ann, image.Filter{Protected: &yes}, "d"},
		{ann, image.Filter{Protected: &no}, "g b a"},
		{ann, image.Filter{Sizes: image.Range{Min: n(1)}}, "b"},
		{ann, image.Filter{Sizes: image.Range{Min: n(0), Max: n(100)}}, ""},
		{ann, image.Filter{MinRAM: image.Range{Min: n(64), Max: n(64)}}, "a"},
		{ann, image.Filter{Tags: []string{"t"}, Visibility: "all"}, "c a"},
		{ann, image.Filter{Tags: []string{"t", "u"}}, "a"},
		{ann, image.Filter{Properties: map[string]string{"os": "debian"}}, "b"},
		{ann, image.Filter{Properties: map[string]string{"os": ""}}, ""},
		{ann, image.Filter{Times: []image.TimeCond{{Field: "created_at", Op: image.NotAfter, At: begin.Add(time.Second)}}}, "b a"},
		{ann, image.Filter{Times: []image.TimeCond{{Field: "created_at", Op: image.After, At: begin}, {Field: "created_at", Op: image.Before, At: begin.Add(3 * time.Second)}}}, "b"},
		{ann, image.Filter{Times: []image.TimeCond{{Field: "updated_at", Op: image.At, At: begin.Add(7 * time.Second)}}}, "b"},
		{ann, image.Filter{Sort: []image.Sort{{Key: "name"}}}, "a b d g"},
		{ann, image.Filter{Sort: []image.Sort{{Key: "disk_format", Desc: true}, {Key: "name"}}}, "a d g b"},
		{ann, image.Filter{Sort: []image.Sort{{Key: "name"}}, Limit: 2}, "a b"},
		{ann, image.Filter{Sort: []image.Sort{{Key: "name"}}, Limit: 2, Marker: b.ID}, "d g"},
		{ann, image.Filter{Sort: []image.Sort{{Key: "name"}}, Marker: b.ID, Protected: &yes}, "d"},
	} {
		if got := names(t, h, c.caller, c.f); got != c.want {
			t.Errorf("%s lists %+v: got %q, want %q", c.caller.ProjectID, c.f, got, c.want)
		}
	}
	_, _, err := h.List(ctx, ann, image.Filter{Marker: cloud.NewID()})
	want(t, err, cloud.Invalid, "Invalid marker")
	_, _, err = h.List(ctx, ann, image.Filter{Sort: []image.Sort{{Key: "tags"}}})
	want(t, err, cloud.Invalid, "Invalid sort key")
	if _, more, _ := h.List(ctx, ann, image.Filter{Limit: 4}); more {
		t.Error("there is more after the last")
	}
	if _, more, _ := h.List(ctx, ann, image.Filter{Limit: 3}); !more {
		t.Error("there is no more")
	}
}

// TestEmptyRawImage: `openstack image create NAME` with nothing on its standard
// input uploads no bytes, which glance takes.
func TestEmptyRawImage(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, m{"disk_format": "raw"})
	if err := h.upload(img.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageActive || got.Size != 0 {
		t.Errorf("%+v", got)
	}
}
