package reconcile

import (
	"context"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// sourceOf is where a server's node finds a volume that another node keeps, as far as
// that is written down; zero for a volume of the server's own node.
func sourceOf(s cloud.Server, v cloud.Volume, a cloud.VolumeAttachment) (from cloud.VolumeSource) {
	if s.Node == "" || v.Node == "" || v.Node == s.Node {
		return from
	}
	if a.Source.Node == v.Node {
		from = a.Source
	}
	from.Node = v.Node
	return from
}

// shareVolumes has other nodes give a server's node those of its volumes that they
// keep, and writes where they do into the spec. A node that is away gives what it gave
// before: the guest waits for it.
func (k *Housekeeper) shareVolumes(ctx context.Context, spec *cloud.InstanceSpec, node string) error {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.Source.Node == "" {
			if err := k.unshare(ctx, *v, node); err != nil {
				return err
			}
			continue
		}
		from, err := k.give(ctx, *v, node)
		switch cloud.KindOf(err) {
		case cloud.NotFound, cloud.Unsupported, cloud.Invalid: // that does not pass; the server's node says so, and the attachment ends
			k.Log.Warn("a volume is not given to a server's node", "volume", v.VolumeID, "server", spec.ID, "from", v.Source.Node, "to", node, "error", err)
			from, err = cloud.VolumeSource{Node: v.Source.Node}, nil
		case cloud.Unavailable:
			if v.Source.Address.IsValid() {
				from, err = v.Source, nil
			}
		}
		if err != nil {
			return err
		}
		if from != v.Source && from.Address.IsValid() {
			if err := k.noteSource(ctx, v.AttachmentID, from); err != nil {
				return err
			}
		}
		v.Source = from
	}
	return nil
}

// give asks a volume's node to give it to another.
func (k *Housekeeper) give(ctx context.Context, v cloud.InstanceVolume, node string) (cloud.VolumeSource, error) {
	n, err := k.Fleet.Node(v.Source.Node)
	if err != nil {
		return cloud.VolumeSource{}, err
	}
	st, err := n.ExportVolume(ctx, cloud.ExportSpec{Disk: v.Disk, Nodes: []string{node}, ReadOnly: v.ReadOnly})
	k.Hook("reconcile.export.after")
	st.Source.Node = v.Source.Node
	return st.Source, err
}

// unshare takes back what a server's own node gave it when it was on another.
func (k *Housekeeper) unshare(ctx context.Context, v cloud.InstanceVolume, node string) error {
	var a cloud.VolumeAttachment
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		a, err = tx.VolumeAttachments.Get(v.AttachmentID)
		return unlessGone(err)
	})
	if err != nil || a.Source.Node == "" {
		return err
	}
	n, err := k.Fleet.Node(node)
	if err == nil {
		err = n.WithdrawVolume(ctx, v.Disk, 0)
	}
	if err != nil {
		return err
	}
	return k.noteSource(ctx, v.AttachmentID, cloud.VolumeSource{})
}

// noteSource writes down where an attachment's volume is found.
func (k *Housekeeper) noteSource(ctx context.Context, attachment string, from cloud.VolumeSource) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.VolumeAttachments.Get(attachment)
		if err != nil || a.Source == from {
			return unlessGone(err)
		}
		a.Source = from
		return tx.VolumeAttachments.Update(a)
	})
}

// runExports takes back what nodes give of volumes to servers that have them no more.
func (k *Housekeeper) runExports(ctx context.Context) {
	changed, stop := k.Store.Watch("volume_attachments")
	defer stop()
	beat(ctx, changed, 10*time.Second, func(ctx context.Context) {
		if err := k.SweepExports(ctx); err != nil && ctx.Err() == nil {
			k.Log.Warn("what nodes give of volumes cannot be compared with what is wanted; it is tried again", "error", err)
		}
	})
}

// SweepExports does it once. What is given is listed before what is wanted is read, and
// taken back only if nobody asked for it between.
func (k *Housekeeper) SweepExports(ctx context.Context) error {
	var hosts []cloud.Host
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		hosts, err = tx.Hosts.List(store.Query{})
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range hosts {
		n, err := k.Fleet.Node(h.Name)
		if !h.Seen.Exports || err != nil {
			continue
		}
		given, err := n.Exports(ctx)
		if err != nil {
			return err
		}
		for _, e := range given {
			wanted := false
			err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
				wanted, err = exportWanted(tx, h.Name, e.Disk)
				return err
			})
			if err != nil {
				return err
			}
			if wanted {
				continue
			}
			if err := n.WithdrawVolume(ctx, e.Disk, e.Asked); err != nil && !cloud.Is(err, cloud.Conflict) {
				return err
			}
			k.Log.Info("a volume is given to no other node any more", "disk", e.Disk, "node", h.Name)
		}
	}
	return nil
}

// exportWanted tells whether a server on another node has a disk of a node, or is to
// have it.
func exportWanted(tx *store.Tx, node, disk string) (bool, error) {
	id, ok := cloud.VolumeOf(disk)
	if !ok {
		return false, nil
	}
	v, err := tx.Volumes.Get(id)
	if err != nil || v.Node != node || v.Disk() != disk {
		return false, unlessGone(err)
	}
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", id)))
	if err != nil {
		return false, err
	}
	for _, a := range list {
		s, err := tx.Servers.Get(a.ServerID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return false, err
		}
		if a.Plug && s.Node != "" && s.Node != node {
			return true, nil
		}
	}
	return false, nil
}

// tellNodes has the nodes of servers learn that a volume which another node keeps is
// larger: its own node cannot tell their guests.
func (k *Housekeeper) tellNodes(tx *store.Tx, v cloud.Volume) error {
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", v.ID)))
	if err != nil {
		return err
	}
	for _, a := range list {
		s, err := tx.Servers.Get(a.ServerID)
		if err != nil || !a.Plug || s.Node == "" || s.Node == v.Node {
			if err = unlessGone(err); err != nil {
				return err
			}
			continue
		}
		k.respecify(&s)
		if err := tx.Servers.Update(s); err != nil {
			return err
		}
	}
	return nil
}
