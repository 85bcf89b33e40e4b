package operate

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// use is a volume's attachment with the volume.
type use struct {
	cloud.VolumeAttachment
	volume cloud.Volume
}

// fate is what becomes of the volume with its server.
func (u use) fate() string {
	if u.DeleteOnTermination {
		return "it is deleted with the server"
	}
	return "it outlives the server"
}

// usesOf lists the attachments with a value in a column, the oldest first.
func usesOf(tx *store.Tx, column, value string) (out []use, err error) {
	all, err := tx.VolumeAttachments.List(store.Where(store.Eq(column, value)))
	slices.SortFunc(all, func(a, b cloud.VolumeAttachment) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, a := range all {
		v, err := tx.Volumes.Get(a.VolumeID)
		if err != nil {
			return nil, err
		}
		out = append(out, use{a, v})
	}
	return out, err
}

func (s *Service) explainVolume(ctx context.Context, name string) (Explanation, error) {
	var v cloud.Volume
	var uses []use
	var snapshots []cloud.Snapshot
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if v, err = find(tx.Volumes, name); err != nil {
			return err
		}
		if uses, err = usesOf(tx, "volume_id", v.ID); err != nil {
			return err
		}
		snapshots, err = tx.Snapshots.List(store.Where(store.Eq("volume_id", v.ID)))
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Title: "volume " + v.Name + " (" + v.ID + ")"}
	attachments := make([]cloud.VolumeAttachment, 0, len(uses))
	for _, u := range uses {
		attachments = append(attachments, u.VolumeAttachment)
	}
	e.say("status", "%s, %d GiB wanted, %s seen", v.Status(attachments), v.SizeGB, size(v.Seen.SizeBytes))
	if v.Fault != "" {
		e.say("fault", "%s", v.Fault)
	}
	e.say("made from", "%s", origin(v))
	for _, u := range uses {
		e.say("attached to", "server %s as %s, %s; %s", u.ServerID, orNone(u.Device), u.State, u.fate())
		if u.Source.Node != "" {
			e.say("reached by", "NBD at %s of the node %s", u.Source.Address, u.Source.Node)
		}
	}
	for _, snap := range snapshots {
		e.say("snapshot", "%s (%s), %s", snap.Name, snap.ID, snap.Status())
	}
	e.say("node", "%s", orNone(v.Node))
	s.askNode(ctx, &e, v.Node, "volume", cloud.DiskIn(v.ID, v.Pool))
	return e, nil
}

// origin is what a volume was made from.
func origin(v cloud.Volume) string {
	switch {
	case v.Image != nil:
		return "image " + v.Image.ID
	case v.SnapshotID != "":
		return "snapshot " + v.SnapshotID
	case v.SourceID != "":
		return "volume " + v.SourceID
	case v.Adopt != "":
		return "the disk " + v.Adopt + " that was on its node"
	}
	return "nothing: it began empty"
}

func (s *Service) explainSnapshot(ctx context.Context, id string) (Explanation, error) {
	var snap cloud.Snapshot
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		snap, err = tx.Snapshots.Get(id)
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Title: "snapshot " + snap.Name + " (" + snap.ID + ")"}
	e.say("status", "%s, %d GiB", snap.Status(), snap.SizeGB)
	if snap.Fault != "" {
		e.say("fault", "%s", snap.Fault)
	}
	e.say("of volume", "%s", snap.VolumeID)
	e.say("node", "%s", orNone(snap.Node))
	s.askNode(ctx, &e, snap.Node, "snapshot", cloud.DiskIn(snap.ID, snap.Pool))
	return e, nil
}
