package volume

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// What a server has, cinder's own API neither detaches nor deletes; snapshots,
// clones and images of it are made when they are forced.
func TestPluggedVolumes(t *testing.T) {
	b, ctx, p := newBench(t), t.Context(), cloud.Caller{UserID: "u", ProjectID: "p", Roles: []string{cloud.RoleMember}}
	d := b.ready(Wanted{SizeGB: 1})
	var at cloud.VolumeAttachment
	plug := func(tx *store.Tx) error {
		made, err := b.PlugTx(tx, p, Plug{VolumeID: d.ID, ServerID: "server", Node: d.Node, Device: "/dev/vdb"})
		if err == nil {
			at = made
		}
		return err
	}
	b.must(b.store.Update(ctx, plug))
	b.status(d.ID, cloud.VolumeAttaching)
	b.want(b.store.Update(ctx, plug), cloud.Invalid)
	b.must(b.store.Update(ctx, func(tx *store.Tx) error {
		now := b.clock.Now()
		at.State, at.AttachedAt = cloud.AttachmentAttached, &now
		if err := tx.Servers.Insert(cloud.Server{ID: "server", CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.VolumeAttachments.Update(at)
	}))
	b.status(d.ID, cloud.VolumeInUse)
	err := b.Detach(ctx, p, d.ID, "")
	if b.want(err, cloud.Conflict); !strings.Contains(err.Error(), "Detach volume from instance server using the Compute API") {
		t.Errorf("the detach by cinder: %v", err)
	}
	_, err = b.DeleteAttachment(ctx, p, at.ID)
	b.want(err, cloud.Conflict)
	b.want(b.Delete(ctx, p, d.ID, true, true), cloud.Invalid)
	b.must(b.ResetStatus(ctx, p, d.ID, cloud.VolumeAvailable, "detached"))
	if _, err := b.Attachment(ctx, p, at.ID); err != nil {
		t.Errorf("the reset took the volume off the server: %v", err)
	}
	b.must(b.ResetStatus(ctx, p, d.ID, cloud.VolumeInUse, ""))
	_, err = b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
	b.want(err, cloud.Invalid)
	_, err = b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID, Force: true})
	b.must(err)
	_, err = b.Create(ctx, p, Wanted{SourceID: d.ID})
	b.must(err)
	_, _, err = b.Upload(ctx, p, d.ID, NewImage{Name: "i", DiskFormat: "raw", ContainerFormat: "bare"})
	b.want(err, cloud.Invalid)
	_, _, err = b.Upload(ctx, p, d.ID, NewImage{Name: "i", DiskFormat: "raw", ContainerFormat: "bare", Force: true})
	b.must(err)
	b.status(d.ID, cloud.VolumeUploading)
	b.must(b.ResetStatus(ctx, p, d.ID, cloud.VolumeInUse, ""))
	b.must(b.store.Update(ctx, func(tx *store.Tx) error { return b.UnplugTx(tx, p, at) }))
	b.status(d.ID, cloud.VolumeDetaching)
	b.must(b.store.Update(ctx, func(tx *store.Tx) error { return tx.Servers.Delete("server") }))
	b.must(b.ResetStatus(ctx, p, d.ID, cloud.VolumeAvailable, "detached"))
	b.status(d.ID, cloud.VolumeAvailable)
}

// A volume that goes with its server goes, unless it has snapshots.
func TestRelease(t *testing.T) {
	b, ctx, p := newBench(t), t.Context(), cloud.Caller{UserID: "u", ProjectID: "p", Roles: []string{cloud.RoleMember}}
	for _, c := range []struct {
		goes, snapshot bool
		want           string
	}{{false, false, cloud.VolumeAvailable}, {true, false, cloud.VolumeDeleting}, {true, true, cloud.VolumeAvailable}} {
		d := b.ready(Wanted{SizeGB: 1})
		if c.snapshot {
			_, err := b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
			b.must(err)
		}
		b.must(b.store.Update(ctx, func(tx *store.Tx) error {
			at, err := b.PlugTx(tx, p, Plug{VolumeID: d.ID, ServerID: "server", DeleteOnTerm: c.goes, Done: true})
			if err != nil {
				return err
			}
			return b.ReleaseTx(tx, at)
		}))
		b.status(d.ID, c.want)
	}
}
