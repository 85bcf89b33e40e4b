package volume

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

const gib = cloud.GiB

// bench is the service on a store in memory, with one host and one image.
type bench struct {
	*Service
	t     *testing.T
	store *store.Store
	clock *cloud.FakeClock
}

// images has one image, of 2 GiB.
type images struct{}

func (images) Get(_ context.Context, _ cloud.Caller, id string) (cloud.Image, error) {
	if id != "image" {
		return cloud.Image{}, cloud.E("image.Get", cloud.NotFound, "no such image")
	}
	return cloud.Image{ID: id, Name: "ember", Status: cloud.ImageActive, Digest: "sha256:x", DiskFormat: "qcow2", VirtualSize: 2 * gib, Properties: map[string]string{"os": "x"}}, nil
}

func (images) Create(_ context.Context, c cloud.Caller, a map[string]any) (cloud.Image, error) {
	return cloud.Image{ID: cloud.NewID(), Name: a["name"].(string), ProjectID: c.ProjectID}, nil
}

func newBench(t *testing.T) *bench {
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b := &bench{t: t, store: st, clock: cloud.NewFakeClock()}
	b.Service = New(st, b.clock, images{}, Options{})
	b.must(b.Bootstrap(t.Context()))
	b.must(b.Bootstrap(t.Context())) // a second start adds nothing
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) want(err error, kind cloud.Kind) {
	b.t.Helper()
	if !cloud.Is(err, kind) {
		b.t.Fatalf("got %v, want an error that is %v", err, kind)
	}
}

func member(project string) cloud.Caller {
	return cloud.Caller{UserID: "u-" + project, ProjectID: project, Roles: []string{cloud.RoleMember, cloud.RoleReader}}
}

var admin = cloud.Caller{UserID: "root", ProjectID: "ops", Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader}}

// ready makes a volume and says, as a node would, that it is there.
func (b *bench) ready(w Wanted) Detail {
	b.t.Helper()
	d, err := b.Create(b.t.Context(), member("p"), w)
	b.must(err)
	return b.see(d.ID)
}

func (b *bench) see(id string) (d Detail) {
	b.t.Helper()
	b.must(b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		v, err := tx.Volumes.Get(id)
		if err != nil {
			return err
		}
		v.Node, v.Seen = "node-1", cloud.VolumeSeen{Ready: true, SizeBytes: int64(v.SizeGB) * gib}
		return tx.Volumes.Update(v)
	}))
	d, err := b.Get(b.t.Context(), admin, id)
	b.must(err)
	return d
}

func (b *bench) status(id, want string) {
	b.t.Helper()
	d, err := b.Get(b.t.Context(), admin, id)
	b.must(err)
	if d.Status != want {
		b.t.Fatalf("the volume is %s, want %s", d.Status, want)
	}
}

func TestWhatAVolumeIsMadeFrom(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{ImageID: "image", SizeGB: 3})
	if !d.Bootable || d.ImageMetadata["image_name"] != "ember" || d.ImageMetadata["os"] != "x" || d.TypeName != DefaultType {
		t.Errorf("%+v", d)
	}
	for _, w := range []Wanted{{ImageID: "image", SizeGB: 1}, {ImageID: "other", SizeGB: 3}, {}, {SizeGB: 1, Zone: "mars"}, {SourceID: d.ID, SizeGB: 2}} {
		_, err := b.Create(ctx, p, w)
		b.want(err, cloud.Invalid)
	}
	for _, w := range []Wanted{{SourceID: "no"}, {SnapshotID: "no"}, {SizeGB: 1, Type: "no"}} {
		_, err := b.Create(ctx, p, w)
		b.want(err, cloud.NotFound)
	}
	_, err := b.Create(ctx, member("q"), Wanted{SourceID: d.ID})
	b.want(err, cloud.NotFound)
	clone, err := b.Create(ctx, p, Wanted{SourceID: d.ID})
	b.must(err)
	if clone.SizeGB != 3 || !clone.Bootable || clone.Node != "node-1" || clone.Status != cloud.VolumeCreating {
		t.Errorf("%+v", clone)
	}
}

// TestOneOfManyAttachmentsWins asks for fifty at once.
func TestOneOfManyAttachmentsWins(t *testing.T) {
	b := newBench(t)
	d := b.ready(Wanted{SizeGB: 1})
	var won atomic.Int32
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, err := b.CreateAttachment(t.Context(), member("p"), NewAttachment{VolumeID: d.ID, ServerID: cloud.NewID()})
			switch {
			case err == nil:
				won.Add(1)
			case !cloud.Is(err, cloud.Invalid):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d attachments of one volume", won.Load())
	}
	b.status(d.ID, cloud.VolumeReserved)
}

// Who attaches by means of his own tells no connector.
func TestAnAttachmentIsCompleteWithoutAConnector(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 1})
	at, err := b.CreateAttachment(ctx, p, NewAttachment{VolumeID: d.ID, ServerID: cloud.NewID()})
	b.must(err)
	b.must(b.CompleteAttachment(ctx, p, at.ID))
	b.status(d.ID, cloud.VolumeInUse)
	_, err = b.DeleteAttachment(ctx, p, at.ID)
	b.must(err)
	b.status(d.ID, cloud.VolumeAvailable)
}

func TestAttachmentsMakeTheStatus(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 1})
	at, err := b.CreateAttachment(ctx, p, NewAttachment{VolumeID: d.ID, ServerID: cloud.NewID()})
	b.must(err)
	_, err = b.UpdateAttachment(ctx, p, at.ID, map[string]any{"host": "h", "mountpoint": "/dev/vdb"})
	b.must(err)
	b.status(d.ID, cloud.VolumeAttaching)
	b.must(b.CompleteAttachment(ctx, p, at.ID))
	b.status(d.ID, cloud.VolumeInUse)
	b.want(b.Delete(ctx, p, d.ID, false, false), cloud.Invalid)
	b.want(b.Extend(ctx, p, d.ID, 2, false), cloud.Invalid)
	_, err = b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
	b.want(err, cloud.Invalid)
	b.must(b.BeginDetaching(ctx, p, d.ID))
	b.status(d.ID, cloud.VolumeDetaching)
	left, err := b.DeleteAttachment(ctx, p, at.ID)
	b.must(err)
	if len(left) > 0 {
		t.Errorf("%+v", left)
	}
	b.status(d.ID, cloud.VolumeAvailable)
	b.must(b.Reserve(ctx, p, d.ID))
	b.want(b.Reserve(ctx, p, d.ID), cloud.Invalid)
	b.must(b.Attach(ctx, p, d.ID, cloud.NewID(), "", "/dev/vdb", false))
	b.status(d.ID, cloud.VolumeInUse)
	b.must(b.Detach(ctx, p, d.ID, ""))
	b.status(d.ID, cloud.VolumeAvailable)
}

func TestQuotasAreCounted(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	_, err := b.SetQuota(ctx, "p", map[string]int{"volumes": 2, "gigabytes": 5, "snapshots": 1})
	b.must(err)
	d := b.ready(Wanted{SizeGB: 2})
	_, err = b.Create(ctx, p, Wanted{SizeGB: 4})
	b.want(err, cloud.QuotaExceeded)
	b.want(b.Extend(ctx, p, d.ID, 6, false), cloud.QuotaExceeded)
	b.must(b.Extend(ctx, p, d.ID, 3, false))
	b.status(d.ID, cloud.VolumeExtending)
	b.see(d.ID)
	_, used, err := b.Quota(ctx, p, "p")
	b.must(err)
	if used["volumes"] != 1 || used["gigabytes"] != 3 || used["gigabytes_"+DefaultType] != 3 {
		t.Errorf("%v", used)
	}
	_, err = b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
	b.want(err, cloud.QuotaExceeded) // 3 + 3 GB
	_, err = b.SetQuota(ctx, "p", map[string]int{"gigabytes": 6})
	b.must(err)
	snap, err := b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
	b.must(err)
	b.want(b.Delete(ctx, p, d.ID, false, false), cloud.Invalid)
	b.must(b.Delete(ctx, p, d.ID, true, false))
	if s, err := b.Snapshot(ctx, p, snap.ID); err != nil || !s.Deleted {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = b.SetQuota(ctx, "p", map[string]int{"sheep": 1})
	b.want(err, cloud.Invalid)
	_, _, err = b.Quota(ctx, p, "q")
	b.want(err, cloud.Forbidden)
}

func TestTransfers(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	d := b.ready(Wanted{SizeGB: 1})
	tr, key, err := b.CreateTransfer(ctx, member("p"), d.ID, "gift", false)
	b.must(err)
	b.status(d.ID, cloud.VolumeAwaitingTransfer)
	_, err = b.AcceptTransfer(ctx, member("q"), tr.ID, "wrong")
	b.want(err, cloud.Invalid)
	_, err = b.AcceptTransfer(ctx, member("q"), tr.ID, key)
	b.must(err)
	got, err := b.Get(ctx, member("q"), d.ID)
	b.must(err)
	if got.ProjectID != "q" || got.Status != cloud.VolumeAvailable {
		t.Errorf("%+v", got)
	}
	_, err = b.Get(ctx, member("p"), d.ID)
	b.want(err, cloud.NotFound)
	_, err = b.Transfer(ctx, member("q"), tr.ID)
	b.want(err, cloud.NotFound)
}

func TestListsAreFilteredSortedAndPaged(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	for _, name := range []string{"b", "a", "c"} {
		b.ready(Wanted{Name: name, SizeGB: 1, Metadata: map[string]string{"n": name}})
	}
	names := func(l List) (out string, more bool) {
		list, more, _, err := b.Volumes(ctx, p, l)
		b.must(err)
		for _, d := range list {
			out += d.Name
		}
		return out, more
	}
	byName := []Sort{{Key: "name"}}
	if got, more := names(List{Sort: byName, Limit: 2}); got != "ab" || !more {
		t.Errorf("%s, %v", got, more)
	}
	if got, _ := names(List{Sort: []Sort{{"name", true}}, Limit: -1, Offset: 1}); got != "ba" {
		t.Error(got)
	}
	if got, _ := names(List{Metadata: map[string]string{"n": "c"}, Limit: -1}); got != "c" {
		t.Error(got)
	}
	if got, _ := names(List{Equal: map[string]string{"status": "error"}, Limit: -1}); got != "" {
		t.Error(got)
	}
	_, _, _, err := b.Volumes(ctx, p, List{Sort: []Sort{{Key: "colour"}}})
	b.want(err, cloud.Invalid)
	_, _, _, err = b.Volumes(ctx, p, List{Marker: "nobody"})
	b.want(err, cloud.NotFound)
}

func TestTypes(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	secret, err := b.CreateType(ctx, cloud.VolumeType{Name: "secret"})
	b.must(err)
	_, err = b.CreateType(ctx, cloud.VolumeType{Name: "secret"})
	b.want(err, cloud.Conflict)
	_, err = b.Create(ctx, member("p"), Wanted{SizeGB: 1, Type: "secret"})
	b.want(err, cloud.NotFound)
	_, err = b.ChangeType(ctx, admin, secret.ID, func(k *cloud.VolumeType) error { k.Projects = []string{"p"}; return nil })
	b.must(err)
	d := b.ready(Wanted{SizeGB: 1, Type: "secret"})
	b.want(b.DeleteType(ctx, admin, secret.ID), cloud.Invalid)
	b.must(b.Retype(ctx, member("p"), d.ID, DefaultType, false))
	b.want(b.Retype(ctx, member("p"), d.ID, DefaultType, false), cloud.Invalid)
	b.must(b.DeleteType(ctx, admin, secret.ID))
	def, err := b.Type(ctx, admin, "default")
	b.must(err)
	b.want(b.DeleteType(ctx, admin, def.ID), cloud.Invalid)
}

func TestGroups(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	_, err := b.CreateGroup(ctx, p, NewGroup{Type: "no", VolumeTypes: []string{DefaultType}})
	b.want(err, cloud.NotFound)
	g, err := b.CreateGroup(ctx, p, NewGroup{Name: "g", Type: "default", VolumeTypes: []string{DefaultType}})
	b.must(err)
	_, err = b.CreateGroupSnapshot(ctx, p, g.ID, "s", "")
	b.want(err, cloud.Invalid) // it is empty
	d := b.ready(Wanted{SizeGB: 1, GroupID: g.ID})
	b.want(b.Delete(ctx, p, d.ID, false, false), cloud.Invalid)
	snap, err := b.CreateGroupSnapshot(ctx, p, g.ID, "s", "")
	b.must(err)
	if whole, err := b.GroupSnapshot(ctx, p, snap.ID); err != nil || whole.Status != cloud.VolumeCreating {
		t.Errorf("%+v, %v", whole, err)
	}
	b.want(b.DeleteGroup(ctx, p, g.ID, true), cloud.Invalid) // it has a snapshot
	clone, err := b.CreateGroup(ctx, p, NewGroup{SourceID: g.ID})
	b.must(err)
	whole, err := b.Group(ctx, p, clone.ID)
	b.must(err)
	if len(whole.Volumes) != 1 || whole.Status != cloud.VolumeCreating || whole.GroupTypeID != g.GroupTypeID {
		t.Errorf("%+v", whole)
	}
	b.want(b.UpdateGroup(ctx, p, clone.ID, Changes{}, []string{d.ID}, nil), cloud.Invalid) // it is in another
	b.must(b.UpdateGroup(ctx, p, g.ID, Changes{}, nil, []string{d.ID}))
	b.want(b.DeleteGroup(ctx, p, clone.ID, false), cloud.Invalid)
	b.must(b.DeleteGroup(ctx, p, clone.ID, true))
	_, err = b.Group(ctx, member("q"), g.ID)
	b.want(err, cloud.NotFound)
}

func TestAFileSystemIsForABlankVolume(t *testing.T) {
	b := newBench(t)
	wants := map[string]string{cloud.VolumeFS: "ext4", cloud.VolumeMount: "/data"}
	src := b.ready(Wanted{SizeGB: 2, Metadata: wants})
	_, err := b.Create(t.Context(), member("p"), Wanted{SizeGB: 2, Metadata: map[string]string{cloud.VolumeFS: "fat"}})
	b.want(err, cloud.Invalid)
	_, err = b.Create(t.Context(), member("p"), Wanted{SizeGB: 2, ImageID: "image", Metadata: wants})
	b.want(err, cloud.Invalid)
	_, err = b.Create(t.Context(), member("p"), Wanted{SourceID: src.ID, Metadata: wants})
	b.want(err, cloud.Invalid)
	_, err = b.Create(t.Context(), member("p"), Wanted{SourceID: src.ID, Metadata: map[string]string{cloud.VolumeMount: "/data"}})
	b.must(err)
}
