package reconcile

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// plugged are the attachments of a server that its node has to do with, the boot
// volume's first, then as they were made.
func plugged(tx *store.Tx, server string) ([]cloud.VolumeAttachment, error) {
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("server_id", server)))
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(a cloud.VolumeAttachment) bool { return !a.Plug })
	slices.SortFunc(list, func(a, b cloud.VolumeAttachment) int {
		switch {
		case a.Boot && !b.Boot:
			return -1
		case b.Boot && !a.Boot:
			return 1
		}
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Device, b.Device), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// addVolumes adds the volumes that the guest is to have.
func (k *Housekeeper) addVolumes(tx *store.Tx, spec *cloud.InstanceSpec, s cloud.Server) error {
	list, err := plugged(tx, spec.ID)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Detaching || s.ToVolume != nil && s.ToVolume.VolumeID == a.VolumeID { // which is not whole yet
			continue
		}
		v, err := tx.Volumes.Get(a.VolumeID)
		if cloud.Is(err, cloud.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		key, err := k.passphrase(v.Key)
		if err != nil {
			return err
		}
		var swapped string
		if a.Swaps != "" {
			was, err := tx.Volumes.Get(a.Swaps)
			if err != nil {
				return err
			}
			swapped = was.Disk()
		}
		fs, err := cloud.ParseVolumeFileSystem(v.Metadata)
		if err != nil || fs.Path == "" { // it may have been changed since, to what cannot be
			fs = cloud.VolumeFileSystem{}
		}
		from, gb := sourceOf(s, v, a), v.SizeGB
		if from.Node != "" { // the guest can see no more than is there
			gb = int(v.Seen.SizeBytes / cloud.GiB)
		}
		spec.Volumes = append(spec.Volumes, cloud.InstanceVolume{
			AttachmentID: a.ID, VolumeID: v.ID, Disk: v.Disk(), Device: a.Device, Bus: a.Bus, Tag: a.Tag,
			Boot: a.Boot, CDROM: a.CDROM, BootIndex: a.BootIndex, ReadOnly: a.ReadOnly || v.ReadOnly || a.CDROM, Shared: v.Multiattach, Swaps: a.Swaps, SwapsDisk: swapped, SizeGB: gb,
			Source: from, Key: key, Label: fs.Label, Mount: fs.Path,
		})
	}
	return nil
}

// volumesReady tells whether all volumes that a server is to start with are there.
// It is errWaiting while one is being made; of one that cannot be, the server gets
// a fault, if it never ran.
func (k *Housekeeper) volumesReady(ctx context.Context, server cloud.Server) (bool, error) {
	if server.LaunchedAt != nil {
		return true, nil // those it has are there, others are attached only when they are
	}
	problem := ""
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		list, err := plugged(tx, server.ID)
		if err != nil {
			return err
		}
		for _, a := range list {
			v, err := tx.Volumes.Get(a.VolumeID)
			switch {
			case err != nil && !cloud.Is(err, cloud.NotFound):
				return err
			case err == nil && v.Seen.Ready:
				continue
			case err == nil && v.Fault == "" && !v.Deleted:
				return errWaiting
			}
			problem = "volume " + a.VolumeID + " could not be made: " + cmp.Or(v.Fault, "it is gone")
			return nil
		}
		return nil
	})
	if err != nil || problem == "" {
		return err == nil, err
	}
	return false, k.giveUpServer(ctx, server.ID, "Build of instance "+server.ID+" aborted: "+problem)
}

// giveUpServer gives a server a fault that lasts until somebody wants something
// else of it.
func (k *Housekeeper) giveUpServer(ctx context.Context, id, why string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		now := k.Clock.Now()
		s.Fault = &cloud.Fault{Code: cloud.FaultInternal, Message: why, CreatedAt: now}
		s.NextAttemptAt, s.UpdatedAt = time.Time{}, now
		return tx.Servers.Update(s)
	})
}

// volumesOn are the hosts that have the volumes of a server, each once, and those of
// them that do not give one to other hosts.
func volumesOn(tx *store.Tx, server string) (hosts, stay []string, err error) {
	list, err := plugged(tx, server)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range list {
		v, err := tx.Volumes.Get(a.VolumeID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return nil, nil, err
		}
		if v.Node != "" && !slices.Contains(hosts, v.Node) {
			hosts = append(hosts, v.Node)
		}
		if v.Node != "" && v.Multiattach && !slices.Contains(stay, v.Node) {
			stay = append(stay, v.Node)
		}
	}
	slices.Sort(hosts)
	return hosts, stay, nil
}

// wakeServers makes those servers due that wait for a volume before they start, or
// for one that their root disk becomes.
func (k *Housekeeper) wakeServers(tx *store.Tx, volume string) error {
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", volume)))
	if err != nil {
		return err
	}
	for _, a := range list {
		if !a.Plug {
			continue
		}
		s, err := tx.Servers.Get(a.ServerID)
		if err != nil || (s.LaunchedAt != nil || s.Fault != nil) && s.ToVolume == nil {
			if err = unlessGone(err); err != nil {
				return err
			}
			continue
		}
		s.NextAttemptAt = k.Clock.Now()
		if err := tx.Servers.Update(s); err != nil {
			return err
		}
	}
	return nil
}

// volumesSeen makes the attachments of a server follow what its node reports. An
// attachment is complete when the node has the volume. One that is to end ends
// when the node has answered the intent without it; when the node has it still,
// the guest did not let go of it, and it stays attached.
func (k *Housekeeper) volumesSeen(tx *store.Tx, server *cloud.Server) error {
	list, err := plugged(tx, server.ID)
	if err != nil {
		return err
	}
	answered := server.Seen.Generation >= server.Intent.Generation
	for _, a := range list {
		held := slices.Contains(server.Seen.Volumes, a.VolumeID)
		why := server.Seen.Refused[a.VolumeID]
		switch {
		case a.Detaching && !held && (answered || server.Seen.State == cloud.InstanceAbsent):
			err = k.detached(tx, a)
		case a.Detaching && held && answered:
			err = k.stillAttached(tx, server, a, cmp.Or(why, server.Seen.Refused[swapper(list, a)], "the guest did not let go of it"))
		case a.Detaching:
		case held && a.State != cloud.AttachmentAttached && (a.Swaps == "" || answered): // a swap is over when the old disk is closed
			if err = k.attached(tx, swapped(list, a)); err == nil && a.Swaps != "" {
				k.respecify(server) // its node is to know, too, that nothing is to be copied any more
			}
		case !held && answered && why != "" && a.State != cloud.AttachmentAttached:
			err = k.notAttached(tx, server, a, why)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// swapper is the volume that is to take the place of an attachment's; "" for none.
func swapper(list []cloud.VolumeAttachment, a cloud.VolumeAttachment) string {
	for _, by := range list {
		if by.Swaps == a.VolumeID {
			return by.VolumeID
		}
	}
	return ""
}

// swapped is an attachment that has taken the place of another: it goes with its
// server, from now on, if the other did.
func swapped(list []cloud.VolumeAttachment, a cloud.VolumeAttachment) cloud.VolumeAttachment {
	for _, was := range list {
		if a.Swaps == was.VolumeID {
			a.DeleteOnTermination = was.DeleteOnTermination
		}
	}
	a.Swaps = ""
	return a
}

func (k *Housekeeper) attached(tx *store.Tx, a cloud.VolumeAttachment) error {
	now := k.Clock.Now()
	a.State, a.AttachedAt, a.UpdatedAt = cloud.AttachmentAttached, &now, now
	if err := tx.VolumeAttachments.Update(a); err != nil {
		return err
	}
	return k.touchVolume(tx, a.VolumeID, func(v *cloud.Volume) { v.Reserved = false })
}

func (k *Housekeeper) detached(tx *store.Tx, a cloud.VolumeAttachment) error {
	if err := tx.VolumeAttachments.Delete(a.ID); err != nil {
		return unlessGone(err)
	}
	return k.touchVolume(tx, a.VolumeID, func(v *cloud.Volume) { v.Detaching = false })
}

// stillAttached takes the end of an attachment back, as nova does when a guest
// does not heed it.
func (k *Housekeeper) stillAttached(tx *store.Tx, server *cloud.Server, a cloud.VolumeAttachment, why string) error {
	a.Detaching, a.UpdatedAt = false, k.Clock.Now()
	if err := tx.VolumeAttachments.Update(a); err != nil {
		return err
	}
	if err := k.touchVolume(tx, a.VolumeID, func(v *cloud.Volume) { v.Detaching = false }); err != nil {
		return err
	}
	if err := k.endActions(tx, *server, "detach volume "+a.VolumeID+": "+why); err != nil {
		return err
	}
	k.respecify(server)
	return k.tell(tx, a.ProjectID, "VOLUME", a.VolumeID, "VOLUME_VOLUME_002_001", "detach volume: "+why)
}

// notAttached ends an attachment that the node could not make.
func (k *Housekeeper) notAttached(tx *store.Tx, server *cloud.Server, a cloud.VolumeAttachment, why string) error {
	if err := tx.VolumeAttachments.Delete(a.ID); err != nil {
		return unlessGone(err)
	}
	if err := k.touchVolume(tx, a.VolumeID, func(v *cloud.Volume) { v.Reserved = false }); err != nil {
		return err
	}
	if err := k.endActions(tx, *server, "attach volume "+a.VolumeID+": "+why); err != nil {
		return err
	}
	k.respecify(server)
	return k.tell(tx, a.ProjectID, "VOLUME", a.VolumeID, "VOLUME_VOLUME_002_001", "attach volume: "+why)
}

// respecify has the node learn that what is wanted of the server is another.
func (k *Housekeeper) respecify(server *cloud.Server) {
	server.Intent.Generation++
	server.NextAttemptAt = k.Clock.Now()
}

func (k *Housekeeper) touchVolume(tx *store.Tx, id string, change func(*cloud.Volume)) error {
	v, err := tx.Volumes.Get(id)
	if err != nil {
		return unlessGone(err)
	}
	change(&v)
	v.UpdatedAt = k.Clock.Now()
	return tx.Volumes.Update(v)
}

// releaseVolumes ends the attachments of a server that is gone. The volumes that
// were to go with it go, but for those with snapshots, which cinder would not
// delete either.
func (k *Housekeeper) releaseVolumes(tx *store.Tx, server string) error {
	list, err := plugged(tx, server)
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := k.detached(tx, a); err != nil {
			return err
		}
		if !a.DeleteOnTermination {
			continue
		}
		snapshots, err := tx.Snapshots.Count(store.Eq("volume_id", a.VolumeID))
		if err != nil {
			return err
		}
		if snapshots > 0 {
			continue
		}
		err = k.touchVolume(tx, a.VolumeID, func(v *cloud.Volume) { v.Deleted, v.NextAttemptAt, v.Attempt = true, k.Clock.Now(), 0 })
		if err != nil {
			return err
		}
	}
	return nil
}

// tellExtended writes into the histories of the servers that have a volume that it
// is larger now: in nova it is cinder who has that written.
func (k *Housekeeper) tellExtended(tx *store.Tx, v cloud.Volume) error {
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", v.ID)))
	if err != nil {
		return err
	}
	for _, a := range list {
		if !a.Plug || a.State != cloud.AttachmentAttached {
			continue
		}
		s, err := tx.Servers.Get(a.ServerID)
		if err != nil {
			if err = unlessGone(err); err != nil {
				return err
			}
			continue
		}
		now := k.Clock.Now()
		err = tx.Actions.Insert(cloud.ActionRecord{
			ID: cloud.NewID(), ServerID: s.ID, Action: "extend_volume", RequestID: "req-" + cloud.NewID(), UserID: v.UserID, ProjectID: s.ProjectID,
			StartedAt: now, UpdatedAt: now, Node: s.Node, FinishedAt: &now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
