package volume

import (
	"context"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// disks are those of node-1.
type disks []cloud.VolumeStatus

func (d disks) Volumes(context.Context, string) ([]cloud.VolumeStatus, error) { return d, nil }

func TestManageAndUnmanage(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.must(b.store.Update(ctx, func(tx *store.Tx) error {
		return tx.Hosts.Insert(cloud.Host{Name: "node-1", AvailabilityZone: "nova"})
	}))
	d := b.ready(Wanted{SizeGB: 2, Name: "mine"})
	old := cloud.VolumeDisk(cloud.NewID())
	b.disks = disks{{ID: cloud.VolumeDisk(d.ID), SizeBytes: 2 * gib}, {ID: old, SizeBytes: gib + 1}, {ID: cloud.SnapshotDisk("x"), SizeBytes: gib}}
	list, err := b.Manageables(ctx, "node-1@file#file", false)
	if err != nil || len(list) != 2 || list[0].KnownAs != d.ID || list[1].KnownAs != "" || list[1].SizeGB != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err := b.Manageables(ctx, "node-1", true); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = b.Manageables(ctx, "mars", false)
	b.want(err, cloud.Unavailable)

	_, err = b.Manage(ctx, admin, "node-1@file#file", cloud.VolumeDisk(d.ID), Wanted{}, false)
	b.want(err, cloud.Invalid)
	_, err = b.Manage(ctx, admin, "node-1@file#file", "instance-disk", Wanted{}, false)
	b.want(err, cloud.Invalid)
	m, err := b.Manage(ctx, admin, "node-1@file#file", old, Wanted{Name: "found"}, true)
	b.must(err)
	if m.Status != cloud.VolumeManaging || m.Adopt != old || !m.Bootable || m.Node != "node-1" {
		t.Errorf("%+v", m)
	}
	_, err = b.Manage(ctx, admin, "node-1", old, Wanted{}, false) // once is enough
	b.want(err, cloud.Invalid)

	snap, err := b.CreateSnapshot(ctx, member("p"), NewSnapshot{VolumeID: d.ID})
	b.must(err)
	b.want(b.Unmanage(ctx, admin, d.ID), cloud.Invalid)
	b.want(b.UnmanageSnapshot(ctx, admin, snap.ID), cloud.Invalid) // it is being made
	b.seeSnapshot(snap.ID)
	b.must(b.UnmanageSnapshot(ctx, admin, snap.ID))
	back, err := b.ManageSnapshot(ctx, admin, "_"+cloud.SnapshotDisk(snap.ID), NewSnapshot{VolumeID: d.ID, Name: "again"})
	if err != nil || back.Adopt != cloud.SnapshotDisk(snap.ID) || back.Status() != cloud.VolumeManaging {
		t.Errorf("%+v, %v", back, err)
	}
	b.must(b.store.Update(ctx, func(tx *store.Tx) error { return tx.Snapshots.Delete(back.ID) }))
	b.must(b.Unmanage(ctx, admin, d.ID))
	_, err = b.Get(ctx, admin, d.ID)
	b.want(err, cloud.NotFound)
}

func (b *bench) seeSnapshot(id string) {
	b.t.Helper()
	b.must(b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		s, err := tx.Snapshots.Get(id)
		s.Seen.Ready = true
		return firstError(err, tx.Snapshots.Update(s))
	}))
}

func TestRevertAndReimage(t *testing.T) {
	b := newBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 3})
	b.want(b.Revert(ctx, p, d.ID, ""), cloud.Invalid)
	var ids []string
	for range 2 {
		b.clock.Advance(time.Second)
		s, err := b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
		b.must(err)
		b.seeSnapshot(s.ID)
		ids = append(ids, s.ID)
	}
	b.want(b.Revert(ctx, p, d.ID, ids[0]), cloud.Invalid)
	b.must(b.Revert(ctx, p, d.ID, ids[1]))
	b.status(d.ID, cloud.VolumeReverting)
	b.want(b.DeleteSnapshot(ctx, p, ids[1], false), cloud.Invalid)
	b.want(b.Revert(ctx, p, d.ID, ids[1]), cloud.Conflict)
	b.must(b.ResetStatus(ctx, admin, d.ID, "available", ""))
	b.status(d.ID, cloud.VolumeAvailable)
	b.want(b.Reimage(ctx, p, d.ID, "other", false), cloud.NotFound)
	b.must(b.Reimage(ctx, p, d.ID, "image", false))
	b.status(d.ID, cloud.VolumeDownloading)
	small := b.ready(Wanted{SizeGB: 1})
	b.want(b.Reimage(ctx, p, small.ID, "image", false), cloud.Invalid)
}

func TestTypesThatAskForEncryptionGetNoVolumes(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	kind, err := b.CreateType(ctx, cloud.VolumeType{Name: "secret", Public: true})
	b.must(err)
	_, err = b.Encrypt(ctx, admin, kind.ID, "create", func(*cloud.VolumeEncryption) (*cloud.VolumeEncryption, error) {
		return &cloud.VolumeEncryption{Provider: "luks"}, nil
	})
	b.must(err)
	_, err = b.Create(ctx, member("p"), Wanted{SizeGB: 1, Type: "secret"})
	b.want(err, cloud.Invalid)
	d := b.ready(Wanted{SizeGB: 1})
	b.want(b.Retype(ctx, member("p"), d.ID, "secret", true), cloud.Invalid)
	if fits, err := b.Fits(ctx, admin, "secret"); err != nil || fits(cloud.PoolStatus{Name: cloud.VolumePool}) {
		t.Errorf("a pool is fit for it; %v", err)
	}
	_, err = b.Encrypt(ctx, admin, d.TypeID, "create", nil) // it has a volume
	b.want(err, cloud.Invalid)
}

func TestAProjectsDefaultType(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	kind, err := b.CreateType(ctx, cloud.VolumeType{Name: "gold", Public: true})
	b.must(err)
	_, err = b.SetDefaultType(ctx, admin, "p", "no such")
	b.want(err, cloud.Invalid)
	_, err = b.SetDefaultType(ctx, admin, "p", "gold")
	b.must(err)
	if d := b.ready(Wanted{SizeGB: 1}); d.TypeName != "gold" {
		t.Errorf("%+v", d)
	}
	if d, err := b.Create(ctx, member("q"), Wanted{SizeGB: 1}); err != nil || d.TypeName != DefaultType {
		t.Errorf("%+v, %v", d, err)
	}
	b.want(b.DeleteType(ctx, admin, kind.ID), cloud.Invalid)
	b.must(b.UnsetDefaultType(ctx, "p"))
	_, err = b.DefaultTypes(ctx, "p")
	b.want(err, cloud.NotFound)
}

func TestImagesThatStandForSnapshots(t *testing.T) {
	for in, want := range map[string]string{
		`[{"source_type": "snapshot", "snapshot_id": "s", "boot_index": 0}]`: "s", `[{"source_type": "image"}]`: "", `{`: "", ``: "",
		`[{"source_type": "snapshot", "snapshot_id": "data", "boot_index": 1}, {"source_type": "snapshot", "snapshot_id": "root", "boot_index": 0}]`: "root",
	} {
		if got := serverSnapshot(&cloud.Image{Properties: map[string]string{"block_device_mapping": in}}); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
