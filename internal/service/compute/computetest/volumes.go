package computetest

import (
	"hearth/internal/cloud"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// AddVolume makes a volume of Project that is there, on node-1.
func (b *Bench) AddVolume(gb int, change ...func(*cloud.Volume)) cloud.Volume {
	b.T.Helper()
	d, err := b.Volume.Create(b.T.Context(), Caller(Project, cloud.RoleMember, cloud.RoleReader), volume.Wanted{SizeGB: gb})
	b.Must(err)
	return b.MakeVolume(d.ID, change...)
}

// MakeVolume lets a volume be seen as its node would report it.
func (b *Bench) MakeVolume(id string, change ...func(*cloud.Volume)) (v cloud.Volume) {
	b.T.Helper()
	b.Update(func(tx *store.Tx) (err error) {
		if v, err = tx.Volumes.Get(id); err != nil {
			return err
		}
		v.Node, v.Seen = "node-1", cloud.VolumeSeen{Ready: true, SizeBytes: int64(v.SizeGB) * cloud.GiB, At: b.Clock.Now()}
		for _, c := range change {
			c(&v)
		}
		return tx.Volumes.Update(v)
	})
	return v
}

// Attachments are the rows of a server's volumes.
func (b *Bench) Attachments(server string) (list []cloud.VolumeAttachment) {
	b.T.Helper()
	b.Must(b.Store.View(b.T.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.VolumeAttachments.List(store.Where(store.Eq("server_id", server)))
		return err
	}))
	return list
}

// Plug lets the server's node be seen to have its volumes.
func (b *Bench) Plug(server string) {
	b.T.Helper()
	now, list := b.Clock.Now(), b.Attachments(server)
	b.Update(func(tx *store.Tx) error {
		for _, a := range list {
			a.State, a.AttachedAt = cloud.AttachmentAttached, &now
			if err := tx.VolumeAttachments.Update(a); err != nil {
				return err
			}
		}
		return nil
	})
}
