package volume

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Reserve announces an attachment, so that nobody else makes one meanwhile.
// Invalid unless the volume is free: of two that ask at once, one wins.
func (s *Service) Reserve(ctx context.Context, c cloud.Caller, id string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		if err := free("volume.Reserve", d); err != nil {
			return err
		}
		d.Reserved, d.Forced = true, ""
		return nil
	})
	return err
}

// free is Invalid unless one more attachment may be made.
func free(op string, d *Detail) error {
	may := []string{cloud.VolumeAvailable}
	if d.Multiattach {
		may = append(may, cloud.VolumeInUse)
	}
	return inStatus(op, d, may...)
}

// Unreserve takes an announcement back.
func (s *Service) Unreserve(ctx context.Context, c cloud.Caller, id string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		d.Reserved, d.Forced = false, ""
		return nil
	})
	return err
}

// BeginDetaching announces the end of an attachment; Invalid unless in use.
func (s *Service) BeginDetaching(ctx context.Context, c cloud.Caller, id string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		if err := inStatus("volume.BeginDetaching", d, cloud.VolumeInUse); err != nil {
			return err
		}
		d.Detaching = true
		return nil
	})
	return err
}

// RollDetaching takes that announcement back.
func (s *Service) RollDetaching(ctx context.Context, c cloud.Caller, id string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		d.Detaching, d.Forced = false, ""
		return nil
	})
	return err
}

// Attach records that a server, or a physical host, has the volume.
func (s *Service) Attach(ctx context.Context, c cloud.Caller, id, server, host, device string, readOnly bool) error {
	const op = "volume.Attach"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if !d.Reserved {
			if err := free(op, d); err != nil {
				return err
			}
		}
		if d.ReadOnly && !readOnly {
			return cloud.E(op, cloud.Invalid, "Invalid attaching mode 'rw' for volume %s: it is read-only.", d.ID)
		}
		now := s.clock.Now()
		d.Reserved, d.Forced = false, ""
		return tx.VolumeAttachments.Insert(cloud.VolumeAttachment{
			ID: cloud.NewID(), VolumeID: d.ID, ServerID: server, ProjectID: d.ProjectID, State: cloud.AttachmentAttached, Host: host,
			Device: device, ReadOnly: readOnly, AttachedAt: &now, CreatedAt: now, UpdatedAt: now,
		})
	})
	return err
}

// Detach ends an attachment: the one with the id, or the only one. Where there is
// none nothing is done, and all that had been announced is forgotten.
func (s *Service) Detach(ctx context.Context, c cloud.Caller, id, attachment string) error {
	const op = "volume.Detach"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if attachment == "" && len(d.Attachments) > 1 {
			return cloud.E(op, cloud.Invalid, "Invalid volume: Detach volume failed: More than one attachment, but no attachment_id provided.")
		}
		found := false
		for _, a := range d.Attachments {
			if attachment != "" && a.ID != attachment {
				continue
			}
			found = true
			if err := ours(op, a); err != nil {
				return err
			}
			if err := tx.VolumeAttachments.Delete(a.ID); err != nil {
				return err
			}
		}
		if !found && attachment != "" {
			return cloud.E(op, cloud.NotFound, "Volume attachment could not be found with filter: attachment_id = %s.", attachment)
		}
		d.Detaching, d.Reserved, d.Forced = false, false, ""
		return nil
	})
	return err
}

// ours refuses to end an attachment that the compute service made: the server would
// go on with a disk that nobody knows it has (cinder's bug 2004555).
func ours(op string, a cloud.VolumeAttachment) error {
	if a.Plug {
		return cloud.E(op, cloud.Conflict, "Detach volume from instance %s using the Compute API", a.ServerID)
	}
	return nil
}

// plugged is an attachment that the compute service made; nil for none.
func plugged(list []cloud.VolumeAttachment) *cloud.VolumeAttachment {
	for i := range list {
		if list[i].Plug {
			return &list[i]
		}
	}
	return nil
}

// Connection tells how a host reaches a volume.
type Connection struct {
	Volume Detail
	QoS    map[string]string // of its type, for the front end
}

// Connect gives the way to a volume that is there.
func (s *Service) Connect(ctx context.Context, c cloud.Caller, id string) (conn Connection, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		d, err := volumeTx(tx, c, id)
		if err != nil {
			return err
		}
		if !d.Seen.Ready {
			return inStatus("volume.Connect", &d, cloud.VolumeAvailable, cloud.VolumeAttaching, cloud.VolumeReserved, cloud.VolumeInUse)
		}
		conn.Volume = d
		t, err := tx.VolumeTypes.Get(d.TypeID)
		if err != nil || t.QoSID == "" {
			return ignore(err, cloud.NotFound)
		}
		q, err := tx.VolumeQoS.Get(t.QoSID)
		if err == nil && q.Consumer != "back-end" {
			conn.QoS = q.Specs
		}
		return ignore(err, cloud.NotFound)
	})
	return conn, err
}

// NewAttachment is what an attachment is wanted like.
type NewAttachment struct {
	VolumeID, ServerID, Mode string
	Connector                map[string]any // nil: it is reserved only
}

// CreateAttachment reserves a volume for a server and, with a connector, tells
// that it is being attached. Conflict unless the volume is free: of many that ask
// at once, one wins.
func (s *Service) CreateAttachment(ctx context.Context, c cloud.Caller, in NewAttachment) (a cloud.VolumeAttachment, err error) {
	const op = "volume.CreateAttachment"
	_, err = s.change(ctx, c, in.VolumeID, func(tx *store.Tx, d *Detail) error {
		may := []string{cloud.VolumeAvailable}
		if d.Multiattach {
			may = append(may, cloud.VolumeInUse, cloud.VolumeReserved, cloud.VolumeAttaching)
		}
		same := d.Status == cloud.VolumeInUse && usedBy(d.Attachments, in.ServerID) // a move of the server
		if err := inStatus(op, d, may...); err != nil && !same {
			return err
		}
		now := s.clock.Now()
		a = cloud.VolumeAttachment{
			ID: cloud.NewID(), VolumeID: d.ID, ServerID: in.ServerID, ProjectID: d.ProjectID, State: cloud.AttachmentReserved,
			ReadOnly: d.ReadOnly || in.Mode == "ro", CreatedAt: now, UpdatedAt: now,
		}
		if in.Connector != nil {
			s.connect(&a, in.Connector)
		}
		return tx.VolumeAttachments.Insert(a)
	})
	return a, err
}

func usedBy(list []cloud.VolumeAttachment, server string) bool {
	for _, a := range list {
		if a.ServerID == server && server != "" {
			return true
		}
	}
	return false
}

// connect notes who is about to use an attachment.
func (s *Service) connect(a *cloud.VolumeAttachment, connector map[string]any) {
	now := s.clock.Now()
	a.Connector, a.State, a.AttachedAt, a.UpdatedAt = connector, cloud.AttachmentAttaching, &now, now
	a.Host, _ = connector["host"].(string)
	a.Device, _ = connector["mountpoint"].(string)
	if connector["mode"] == "ro" {
		a.ReadOnly = true
	}
}

// attachmentTx gives an attachment that the caller sees; NotFound.
func attachmentTx(tx *store.Tx, c cloud.Caller, id string) (cloud.VolumeAttachment, error) {
	a, err := tx.VolumeAttachments.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(a.ProjectID) {
		err = cloud.E("volume.Attachment", cloud.NotFound, "Volume attachment could not be found with filter: attachment_id = %s.", id)
	}
	return a, err
}

// Attachment gives an attachment that the caller sees; NotFound.
func (s *Service) Attachment(ctx context.Context, c cloud.Caller, id string) (a cloud.VolumeAttachment, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		a, err = attachmentTx(tx, c, id)
		return err
	})
	return a, err
}

// Attachments lists the attachments of the caller's project, or of all.
func (s *Service) Attachments(ctx context.Context, c cloud.Caller, l List) (list []cloud.VolumeAttachment, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.VolumeAttachments.List(scope(c, l))
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, attachmentField, func(a cloud.VolumeAttachment) string { return a.ID })
	return list, more, err
}

func attachmentField(a cloud.VolumeAttachment, name string) (any, bool) {
	switch name {
	case "id":
		return a.ID, true
	case "volume_id":
		return a.VolumeID, true
	case "instance_id", "instance_uuid", "instance":
		return a.ServerID, true
	case "status", "attach_status":
		return a.State, true
	case "created_at":
		return a.CreatedAt, true
	}
	return nil, false
}

// UpdateAttachment tells the connector of a reserved attachment.
func (s *Service) UpdateAttachment(ctx context.Context, c cloud.Caller, id string, connector map[string]any) (a cloud.VolumeAttachment, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if a, err = attachmentTx(tx, c, id); err != nil {
			return err
		}
		if a.State == cloud.AttachmentAttached {
			return cloud.E("volume.UpdateAttachment", cloud.Invalid, "Invalid volume: the attachment %s is complete: end it and make another.", id)
		}
		s.connect(&a, connector)
		return tx.VolumeAttachments.Update(a)
	})
	return a, err
}

// CompleteAttachment tells that the server has the volume. As in cinder it asks for
// no connector: who attaches by means of his own tells of none.
func (s *Service) CompleteAttachment(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		a, err := attachmentTx(tx, c, id)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		a.State, a.UpdatedAt = cloud.AttachmentAttached, now
		if a.AttachedAt == nil {
			a.AttachedAt = &now
		}
		return tx.VolumeAttachments.Update(a)
	})
}

// DeleteAttachment ends an attachment and gives those that are left.
func (s *Service) DeleteAttachment(ctx context.Context, c cloud.Caller, id string) (left []cloud.VolumeAttachment, err error) {
	a, err := s.Attachment(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if err := ours("volume.DeleteAttachment", a); err != nil {
		return nil, err
	}
	d, err := s.change(ctx, c, a.VolumeID, func(tx *store.Tx, d *Detail) error {
		d.Detaching = false
		return ignore(tx.VolumeAttachments.Delete(id), cloud.NotFound)
	})
	return d.Attachments, err
}
