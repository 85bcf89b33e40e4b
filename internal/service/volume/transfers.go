package volume

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// CreateTransfer offers a volume to whoever knows the key, which is given here
// and kept nowhere. Invalid unless the volume is available.
func (s *Service) CreateTransfer(ctx context.Context, c cloud.Caller, volumeID, name string, noSnapshots bool) (t cloud.VolumeTransfer, key string, err error) {
	const op = "volume.CreateTransfer"
	secret, salt := make([]byte, 8), make([]byte, 16)
	_, _ = rand.Read(secret)
	_, _ = rand.Read(salt)
	key = hex.EncodeToString(secret)
	_, err = s.change(ctx, c, volumeID, func(tx *store.Tx, d *Detail) error {
		if err := inStatus(op, d, cloud.VolumeAvailable); err != nil {
			return err
		}
		t = cloud.VolumeTransfer{
			ID: cloud.NewID(), Name: name, VolumeID: d.ID, ProjectID: d.ProjectID, Salt: hex.EncodeToString(salt), NoSnapshots: noSnapshots, CreatedAt: s.clock.Now(),
		}
		t.KeyHash = keyHash(t.Salt, key)
		d.Transfer, d.Forced = t.ID, ""
		return tx.VolumeTransfers.Insert(t)
	})
	return t, key, err
}

func keyHash(salt, key string) string {
	sum := sha256.Sum256([]byte(salt + ":" + key))
	return hex.EncodeToString(sum[:])
}

func transferTx(tx *store.Tx, c cloud.Caller, id string, owner bool) (cloud.VolumeTransfer, error) {
	t, err := tx.VolumeTransfers.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && owner && !c.Owns(t.ProjectID) {
		err = notFound("volume.Transfer", "Transfer", id)
	}
	return t, err
}

// Transfer gives a transfer that the caller's project offers; NotFound.
func (s *Service) Transfer(ctx context.Context, c cloud.Caller, id string) (t cloud.VolumeTransfer, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		t, err = transferTx(tx, c, id, true)
		return err
	})
	return t, err
}

// Transfers lists what the caller's project offers.
func (s *Service) Transfers(ctx context.Context, c cloud.Caller, l List) (list []cloud.VolumeTransfer, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.VolumeTransfers.List(scope(c, l))
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, transferField, func(t cloud.VolumeTransfer) string { return t.ID })
	return list, more, err
}

func transferField(t cloud.VolumeTransfer, name string) (any, bool) {
	switch name {
	case "id":
		return t.ID, true
	case "name", "display_name":
		return t.Name, true
	case "volume_id":
		return t.VolumeID, true
	case "created_at":
		return t.CreatedAt, true
	}
	return nil, false
}

// DeleteTransfer takes an offer back.
func (s *Service) DeleteTransfer(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		t, err := transferTx(tx, c, id, true)
		if err != nil {
			return err
		}
		v, err := tx.Volumes.Get(t.VolumeID)
		if err == nil && v.Transfer == id {
			v.Transfer, v.UpdatedAt = "", s.clock.Now()
			err = tx.Volumes.Update(v)
		}
		if err := ignore(err, cloud.NotFound); err != nil {
			return err
		}
		return tx.VolumeTransfers.Delete(id)
	})
}

// AcceptTransfer makes an offered volume the caller's, with its snapshots.
// Invalid for a wrong key; QuotaExceeded.
func (s *Service) AcceptTransfer(ctx context.Context, c cloud.Caller, id, key string) (t cloud.VolumeTransfer, err error) {
	const op = "volume.AcceptTransfer"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if t, err = transferTx(tx, c, id, false); err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(keyHash(t.Salt, key)), []byte(t.KeyHash)) != 1 {
			return cloud.E(op, cloud.Invalid, "Invalid auth key: Attempt to transfer %s with invalid auth key.", id)
		}
		v, err := tx.Volumes.Get(t.VolumeID)
		if err != nil {
			return err
		}
		d, err := detail(tx, v)
		if err != nil {
			return err
		}
		if err := inStatus(op, &d, cloud.VolumeAwaitingTransfer); err != nil {
			return err
		}
		if err := s.handOver(tx, c, op, d, t.NoSnapshots); err != nil {
			return err
		}
		return tx.VolumeTransfers.Delete(id)
	})
	return t, err
}

func (s *Service) handOver(tx *store.Tx, c cloud.Caller, op string, d Detail, noSnapshots bool) error {
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", d.ID)))
	if err != nil {
		return err
	}
	if noSnapshots {
		snapshots = nil
	}
	want := demand{volumes: 1, gigabytes: d.SizeGB, largest: d.SizeGB, snapshots: len(snapshots)}
	for _, snap := range snapshots {
		want.gigabytes += snap.SizeGB
	}
	if err := admit(tx, op, c.ProjectID, d.TypeName, want); err != nil {
		return err
	}
	for _, snap := range snapshots {
		snap.ProjectID, snap.UserID, snap.UpdatedAt = c.ProjectID, c.UserID, s.clock.Now()
		if err := tx.Snapshots.Update(snap); err != nil {
			return err
		}
	}
	d.ProjectID, d.UserID, d.Transfer, d.UpdatedAt = c.ProjectID, c.UserID, "", s.clock.Now()
	return tx.Volumes.Update(d.Volume)
}

// Messages lists what a project is to know.
func (s *Service) Messages(ctx context.Context, c cloud.Caller, l List) (list []cloud.VolumeMessage, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.VolumeMessages.List(store.Where(store.Eq("project_id", c.ProjectID)))
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, messageField, func(m cloud.VolumeMessage) string { return m.ID })
	return list, more, err
}

func messageField(m cloud.VolumeMessage, name string) (any, bool) {
	switch name {
	case "id":
		return m.ID, true
	case "event_id":
		return m.EventID, true
	case "request_id":
		return m.RequestID, true
	case "resource_type":
		return m.ResourceType, true
	case "resource_uuid":
		return m.ResourceID, true
	case "message_level":
		return m.Level, true
	case "created_at":
		return m.CreatedAt, true
	case "guaranteed_until":
		return m.ExpiresAt, true
	}
	return nil, false
}

// Message gives a message of the caller's project; NotFound.
func (s *Service) Message(ctx context.Context, c cloud.Caller, id string) (m cloud.VolumeMessage, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		m, err = messageTx(tx, c, id)
		return err
	})
	return m, err
}

func messageTx(tx *store.Tx, c cloud.Caller, id string) (cloud.VolumeMessage, error) {
	m, err := tx.VolumeMessages.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(m.ProjectID) {
		err = notFound("volume.Message", "message", id)
	}
	return m, err
}

// DeleteMessage removes a message.
func (s *Service) DeleteMessage(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := messageTx(tx, c, id); err != nil {
			return err
		}
		return tx.VolumeMessages.Delete(id)
	})
}
