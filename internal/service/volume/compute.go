package volume

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// What the compute service does with volumes, inside its own transactions.

// VolumeTx gives a volume that the caller sees; NotFound.
func (s *Service) VolumeTx(tx *store.Tx, c cloud.Caller, id string) (Detail, error) {
	return volumeTx(tx, c, id)
}

// SnapshotTx gives a snapshot that the caller sees; NotFound.
func (s *Service) SnapshotTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Snapshot, error) {
	return snapshotTx(tx, c, id)
}

// TypeTx finds a type that the caller sees, by id or name; NotFound.
func (s *Service) TypeTx(tx *store.Tx, c cloud.Caller, idOrName string) (cloud.VolumeType, error) {
	return typeTx(tx, c, idOrName)
}

// CreateTx accepts a volume; the image is the one to make it of, or nil.
func (s *Service) CreateTx(tx *store.Tx, c cloud.Caller, in Wanted, image *cloud.Image) (Detail, error) {
	return s.create(tx, c, in, image)
}

// CreateSnapshotTx accepts a snapshot of a volume that a server may be using.
func (s *Service) CreateSnapshotTx(tx *store.Tx, c cloud.Caller, in NewSnapshot) (cloud.Snapshot, error) {
	d, err := volumeTx(tx, c, in.VolumeID)
	if err != nil {
		return cloud.Snapshot{}, err
	}
	in.Force = true
	return s.snapshotOf(tx, c, d, in, "")
}

// Plug is how a server is to have a volume.
type Plug struct {
	VolumeID, ServerID string
	Node               string // the server's; "" for one that is on none
	Device             string // such as /dev/vdb
	Tag, Bus           string
	Boot               bool // the server boots from it
	CDROM              bool // as a CD-ROM
	BootIndex          int  // when it is tried, unless Boot: 0 for never, 1 for the first after the boot disk
	DeleteOnTerm       bool // the volume goes with the server
	Done               bool // nobody is to plug it in now: the server is on no node
	Made               bool // the volume is just being made for the server, which waits for it
	Multiattach        bool // the client knows of volumes with several servers
	// Swaps is the attachment that ends when the volume has its place and its data;
	// the device and all else is as it was there. nil for none.
	Swaps *cloud.VolumeAttachment
}

// PlugTx gives a server a volume. The node of the server plugs it in, and then the
// attachment is complete. Invalid, in cinder's words, unless the volume is free: of
// two servers that ask at once, one wins.
func (s *Service) PlugTx(tx *store.Tx, c cloud.Caller, p Plug) (a cloud.VolumeAttachment, err error) {
	const op = "volume.Plug"
	d, err := volumeTx(tx, c, p.VolumeID)
	if err != nil {
		return a, err
	}
	if err := pluggable(op, d, p); err != nil {
		return a, err
	}
	if err := reached(tx, op, d, p); err != nil {
		return a, err
	}
	now := s.clock.Now()
	a = cloud.VolumeAttachment{
		ID: cloud.NewID(), VolumeID: d.ID, ServerID: p.ServerID, ProjectID: d.ProjectID, State: cloud.AttachmentAttaching, Host: p.Node,
		Device: p.Device, ReadOnly: d.ReadOnly, Plug: true, Boot: p.Boot, CDROM: p.CDROM, BootIndex: p.BootIndex, DeleteOnTermination: p.DeleteOnTerm, Tag: p.Tag, Bus: p.Bus,
		CreatedAt: now, UpdatedAt: now,
	}
	if was := p.Swaps; was != nil {
		a.Swaps, a.Device, a.Tag, a.Bus, a.Boot, a.ReadOnly = was.VolumeID, was.Device, was.Tag, was.Bus, was.Boot, was.ReadOnly
		a.CDROM, a.BootIndex = was.CDROM, was.BootIndex
		a.CreatedAt = was.CreatedAt // which is its place among the guest's disks
	}
	if p.Done {
		a.State, a.AttachedAt = cloud.AttachmentAttached, &now
	}
	if err := tx.VolumeAttachments.Insert(a); err != nil {
		return a, err
	}
	d.Reserved, d.Forced, d.UpdatedAt = false, "", now
	return a, tx.Volumes.Update(d.Volume)
}

// pluggable refuses a volume that is not free.
func pluggable(op string, d Detail, p Plug) error {
	may := []string{cloud.VolumeAvailable}
	switch {
	case d.Multiattach && !p.Multiattach:
		return cloud.E(op, cloud.Invalid, "Multiattach volumes are only supported starting with compute API version 2.60.")
	case d.Multiattach && !p.Made:
		may = append(may, cloud.VolumeInUse, cloud.VolumeAttaching, cloud.VolumeReserved)
	case p.Made:
		may = append(may, cloud.VolumeCreating, cloud.VolumeDownloading)
	}
	if !contains(may, d.Status) {
		return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s status must be %s to reserve, but the current status is %s.", d.ID, may[0], d.Status)
	}
	return nil
}

// reached refuses a volume on another host than the server's, unless the one gives it to
// the other. One that several servers may have is opened on its own host alone, and one
// that takes another's place is filled there.
func reached(tx *store.Tx, op string, d Detail, p Plug) error {
	if p.Node == "" || d.Node == "" || p.Node == d.Node {
		return nil
	}
	from, ferr := tx.Hosts.Get(d.Node)
	to, terr := tx.Hosts.Get(p.Node)
	switch {
	case ferr == nil && terr == nil && cloud.Exports(from, to) && !d.Multiattach && p.Swaps == nil:
		return nil
	case ferr != nil && !cloud.Is(ferr, cloud.NotFound):
		return ferr
	case terr != nil && !cloud.Is(terr, cloud.NotFound):
		return terr
	}
	return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s is on the host %s and its data is not reached from %s, where the server is.", d.ID, d.Node, p.Node)
}

// UnplugTx announces the end of a server's attachment: it ends when the server's
// node has let go of the volume. Invalid unless the volume is in use.
func (s *Service) UnplugTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment) error {
	const op = "volume.Unplug"
	d, err := volumeTx(tx, c, a.VolumeID)
	if err != nil {
		return err
	}
	if d.Status != cloud.VolumeInUse || a.State != cloud.AttachmentAttached || a.Detaching {
		return cloud.E(op, cloud.Invalid, "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. "+
			"Volume status must be 'in-use' and attach_status must be 'attached' to detach. Its status is '%s'.", d.Status)
	}
	now := s.clock.Now()
	a.Detaching, a.UpdatedAt = true, now
	if err := tx.VolumeAttachments.Update(a); err != nil {
		return err
	}
	d.Detaching, d.UpdatedAt = true, now
	return tx.Volumes.Update(d.Volume)
}

// ReimagedTx notes that a server's volume is given an image anew, by the server's
// node while no guest has it. Invalid when the image does not fit, or another server
// has the volume too.
func (s *Service) ReimagedTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment, image cloud.Image) error {
	v, metadata, err := reimageable(tx, c, a, image)
	if err != nil {
		return err
	}
	v.Bootable, v.ImageMetadata, v.UpdatedAt = true, metadata, s.clock.Now()
	return tx.Volumes.Update(v)
}

// ReplaceableTx refuses as ReimagedTx does: for a volume whose content is replaced by an
// image's, and which tells no other origin by that.
func (s *Service) ReplaceableTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment, image cloud.Image) error {
	_, _, err := reimageable(tx, c, a, image)
	return err
}

// reimageable gives a server's volume as it is, and what it would tell of an image.
func reimageable(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment, image cloud.Image) (cloud.Volume, map[string]string, error) {
	const op = "volume.Reimaged"
	d, err := volumeTx(tx, c, a.VolumeID)
	if err != nil {
		return cloud.Volume{}, nil, err
	}
	if d.Status != cloud.VolumeInUse || len(d.Attachments) != 1 {
		return cloud.Volume{}, nil, cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s is %s and has %d attachments: it is re-imaged when it is in-use by the one server.", d.ID, d.Status, len(d.Attachments))
	}
	v := d.Volume // with the image in it, to see that it fits
	err = fromImage(op, &image, &v)
	return d.Volume, v.ImageMetadata, err
}

// ReleaseTx ends an attachment of a server that no node has. A volume that was to
// go with the server goes, unless it has snapshots.
func (s *Service) ReleaseTx(tx *store.Tx, a cloud.VolumeAttachment) error {
	if err := tx.VolumeAttachments.Delete(a.ID); err != nil {
		return ignore(err, cloud.NotFound)
	}
	v, err := tx.Volumes.Get(a.VolumeID)
	if err != nil {
		return ignore(err, cloud.NotFound)
	}
	now := s.clock.Now()
	v.Detaching, v.UpdatedAt = false, now
	snapshots, err := tx.Snapshots.Count(store.Eq("volume_id", v.ID))
	if err != nil {
		return err
	}
	if a.DeleteOnTermination && snapshots == 0 {
		v.Deleted, v.NextAttemptAt, v.Attempt = true, now, 0
	}
	return tx.Volumes.Update(v)
}
