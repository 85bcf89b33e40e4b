package compute

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// Volumes is what compute needs of the volume service; *volume.Service is one.
type Volumes interface {
	// VolumeTx and SnapshotTx give what the caller sees; NotFound.
	VolumeTx(tx *store.Tx, c cloud.Caller, id string) (volume.Detail, error)
	SnapshotTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Snapshot, error)
	// TypeTx finds a volume type by its id or name; NotFound.
	TypeTx(tx *store.Tx, c cloud.Caller, idOrName string) (cloud.VolumeType, error)
	// CreateTx accepts a volume, and CreateSnapshotTx a snapshot; QuotaExceeded.
	CreateTx(tx *store.Tx, c cloud.Caller, in volume.Wanted, image *cloud.Image) (volume.Detail, error)
	CreateSnapshotTx(tx *store.Tx, c cloud.Caller, in volume.NewSnapshot) (cloud.Snapshot, error)
	// PlugTx gives a server a volume; Invalid unless it is free.
	PlugTx(tx *store.Tx, c cloud.Caller, p volume.Plug) (cloud.VolumeAttachment, error)
	// UnplugTx announces the end of that, and ReleaseTx ends it at once.
	UnplugTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment) error
	ReleaseTx(tx *store.Tx, a cloud.VolumeAttachment) error

	// ReimagedTx notes that the server's node gives a volume an image anew; Invalid
	// when it does not fit, or others have the volume.
	ReimagedTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment, image cloud.Image) error
	// ReplaceableTx refuses as ReimagedTx does, and notes nothing.
	ReplaceableTx(tx *store.Tx, c cloud.Caller, a cloud.VolumeAttachment, image cloud.Image) error

	// What nova passes on for clients that know no cinder.
	Get(ctx context.Context, c cloud.Caller, id string) (volume.Detail, error)
	Volumes(ctx context.Context, c cloud.Caller, l volume.List) (list []volume.Detail, more bool, total int, err error)
	Create(ctx context.Context, c cloud.Caller, in volume.Wanted) (volume.Detail, error)
	Delete(ctx context.Context, c cloud.Caller, id string, cascade, force bool) error
	Snapshot(ctx context.Context, c cloud.Caller, id string) (cloud.Snapshot, error)
	Snapshots(ctx context.Context, c cloud.Caller, l volume.List) (list []cloud.Snapshot, more bool, total int, err error)
	CreateSnapshot(ctx context.Context, c cloud.Caller, in volume.NewSnapshot) (cloud.Snapshot, error)
	DeleteSnapshot(ctx context.Context, c cloud.Caller, id string, force bool) error
}

// volumeStates are the states in which volumes are attached and detached.
var volumeStates = []string{cloud.VMActive, cloud.VMPaused, cloud.VMStopped, cloud.VMResized, "soft-delete", "shelved", "shelved_offloaded"}

// VolumeAsk is a volume that a server is to have.
type VolumeAsk struct {
	VolumeID, Device, Tag string // Device "" for the next that is free
	DeleteOnTermination   bool
	Multiattach           bool // the client knows of volumes with several servers
}

// attachmentsTx are a server's attachments, the boot volume's first, then as they
// were made.
func attachmentsTx(tx *store.Tx, server string) ([]cloud.VolumeAttachment, error) {
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("server_id", server)))
	return serverVolumes(list), err
}

// serverVolumes are those of attachments that the compute service made, in order.
func serverVolumes(list []cloud.VolumeAttachment) []cloud.VolumeAttachment {
	list = slices.DeleteFunc(list, func(a cloud.VolumeAttachment) bool { return !a.Plug || a.Swaps != "" }) // what takes another's place is not there yet
	slices.SortFunc(list, func(a, b cloud.VolumeAttachment) int {
		switch {
		case a.Boot && !b.Boot:
			return -1
		case b.Boot && !a.Boot:
			return 1
		}
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(len(a.Device), len(b.Device)), strings.Compare(a.Device, b.Device))
	})
	return list
}

// attachmentOf finds the attachment of a volume.
func attachmentOf(list []cloud.VolumeAttachment, volumeID string) (cloud.VolumeAttachment, bool) {
	i := slices.IndexFunc(list, func(a cloud.VolumeAttachment) bool { return a.VolumeID == volumeID })
	if i < 0 {
		return cloud.VolumeAttachment{}, false
	}
	return list[i], true
}

// AttachVolume gives a server a volume: its node plugs it in while the guest runs,
// or has it at the next start. Of two servers that ask for it at once one wins:
// Invalid for the other.
func (s *Service) AttachVolume(ctx context.Context, a Actor, id string, ask VolumeAsk) (made cloud.VolumeAttachment, err error) {
	const op = "compute.AttachVolume"
	_, err = s.change(ctx, op, a, id, "attach_volume", func(tx *store.Tx, v *cloud.Server) error {
		if err := wirable(op, a, *v, "attach_volume"); err != nil {
			return err
		}
		d, err := s.volumes.VolumeTx(tx, a.Caller, ask.VolumeID)
		if err != nil {
			return err
		}
		if err := attachable(op, d, *v, ask); err != nil {
			return err
		}
		have, err := attachmentsTx(tx, v.ID)
		if err != nil {
			return err
		}
		device, err := nextDevice(op, *v, have, ask.Device)
		if err != nil {
			return err
		}
		made, err = s.volumes.PlugTx(tx, a.Caller, volume.Plug{
			VolumeID: d.ID, ServerID: v.ID, Node: v.Node, Device: device, Tag: ask.Tag, DeleteOnTerm: ask.DeleteOnTermination,
			Done: v.Node == "", Multiattach: ask.Multiattach,
		})
		if err == nil && v.Node != "" {
			s.want(v)
		}
		return err
	})
	return made, err
}

// wirable refuses a change of a server's volumes that its lock or its state does
// not allow.
func wirable(op string, a Actor, v cloud.Server, action string) error {
	if err := unlocked(op, a.Caller, v); err != nil {
		return err
	}
	return v.Check(op, action, volumeStates...)
}

// attachable refuses a volume that has another server, or this one, already.
func attachable(op string, d volume.Detail, v cloud.Server, ask VolumeAsk) error {
	have := slices.DeleteFunc(slices.Clone(d.Attachments), func(at cloud.VolumeAttachment) bool { return !at.Plug })
	if !d.Multiattach && len(have) > 0 {
		var ids []string
		for _, at := range have {
			ids = append(ids, at.ServerID)
		}
		return cloud.E(op, cloud.Invalid, "Invalid volume: volume %s is already attached to instances: %s", d.ID, strings.Join(ids, " "))
	}
	switch {
	case slices.ContainsFunc(have, func(at cloud.VolumeAttachment) bool { return at.ServerID == v.ID }):
		return cloud.E(op, cloud.Invalid, "Invalid volume: volume %s already attached", d.ID)
	case v.Node == "" && ask.Tag != "":
		return cloud.E(op, cloud.Invalid, "Tagged volume attachment is not supported for shelved-offloaded instances.")
	case v.Node == "" && d.Multiattach:
		return cloud.E(op, cloud.Invalid, "Attaching multiattach volumes is not supported for shelved-offloaded instances.")
	}
	return nil
}

// devicePath is a name that a disk can be asked to have (nova/block_device.py,
// match_device).
var devicePath = regexp.MustCompile(`^/dev/x?[a-z]?d?([a-z]+)[0-9]*$`)

// devicePrefix is what disks are called here; nova, too, makes /dev/vdb of an
// /dev/xvdb that was asked for.
const devicePrefix = "/dev/vd"

// nextDevice is the name of the disk that a volume becomes: the one that is asked
// for, or the first that is free. Invalid, Conflict.
func nextDevice(op string, v cloud.Server, have []cloud.VolumeAttachment, asked string) (string, error) {
	used := localDevices(v)
	for _, a := range have {
		if a.CDROM { // which is a disk of another kind
			continue
		}
		used[letterOf(a.Device)] = true
	}
	if asked == "" {
		for i := 0; ; i++ {
			if l := deviceLetter(i); !used[l] {
				return devicePrefix + l, nil
			}
		}
	}
	if !devicePath.MatchString(asked) {
		return "", cloud.E(op, cloud.Invalid, "The supplied device path (%s) is invalid.", asked)
	}
	letter := letterOf(asked)
	if used[letter] {
		return "", cloud.E(op, cloud.Conflict, "The supplied device path (%s) is in use.", asked)
	}
	return devicePrefix + letter, nil
}

// localDevices are the letters of the disks that a server has beside volumes: its
// root disk, which a boot volume takes the place of, then the others of its flavor.
func localDevices(v cloud.Server) map[string]bool {
	used := map[string]bool{"a": true}
	ephemeral, swap := v.Locals()
	for range ephemeral {
		used[deviceLetter(len(used))] = true
	}
	if swap > 0 {
		used[deviceLetter(len(used))] = true
	}
	return used
}

// letterOf is "b" of "/dev/vdb1".
func letterOf(device string) string {
	name := strings.TrimRight(strings.TrimPrefix(device, "/dev/"), "0123456789")
	name = strings.TrimPrefix(name, "x")
	if len(name) > 2 && name[1] == 'd' {
		return name[2:]
	}
	return name
}

// deviceLetter is a, b, … z, aa, ab … as Linux names disks.
func deviceLetter(i int) string {
	out := ""
	for i++; i > 0; i = (i - 1) / 26 {
		out = string(rune('a'+(i-1)%26)) + out
	}
	return out
}

// DetachVolume takes a volume off a server: the attachment ends when the server's
// node has let go of it. The volume that a server boots from stays.
func (s *Service) DetachVolume(ctx context.Context, a Actor, id, volumeID string) error {
	const op = "compute.DetachVolume"
	_, err := s.change(ctx, op, a, id, "detach_volume", func(tx *store.Tx, v *cloud.Server) error {
		if _, err := s.volumes.VolumeTx(tx, a.Caller, volumeID); err != nil {
			return err
		}
		at, err := attachedTx(tx, op, v.ID, volumeID)
		switch {
		case err != nil:
			return err
		case at.Boot:
			return cloud.E(op, cloud.Invalid, "Cannot detach a root device volume")
		}
		if err := wirable(op, a, *v, "detach_volume"); err != nil {
			return err
		}
		if v.Node == "" {
			return s.volumes.ReleaseTx(tx, at)
		}
		s.want(v)
		return s.volumes.UnplugTx(tx, a.Caller, at)
	})
	return err
}

// attachedTx gives the attachment of a volume to a server; NotFound.
func attachedTx(tx *store.Tx, op, server, volumeID string) (cloud.VolumeAttachment, error) {
	list, err := attachmentsTx(tx, server)
	if err != nil {
		return cloud.VolumeAttachment{}, err
	}
	at, ok := attachmentOf(list, volumeID)
	if !ok {
		err = cloud.E(op, cloud.NotFound, "Instance %s is not attached to volume %s", server, volumeID)
	}
	return at, err
}

// Attachment gives the attachment of a volume to a server; NotFound.
func (s *Service) Attachment(ctx context.Context, c cloud.Caller, id, volumeID string) (at cloud.VolumeAttachment, err error) {
	const op = "compute.Attachment"
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := serverTx(tx, op, c, id); err != nil {
			return err
		}
		at, err = attachedTx(tx, op, id, volumeID)
		return err
	})
	return at, err
}

// AttachmentUpdate is what a request says of an attachment; what it says of
// members that do not change must be as they are.
type AttachmentUpdate struct {
	ID, ServerID, Device, Tag *string
	DeleteOnTermination       *bool
}

// check refuses a change of what does not change.
func (u AttachmentUpdate) check(op string, at cloud.VolumeAttachment) error {
	for _, m := range []struct {
		name string
		said *string
		is   string
	}{{"id", u.ID, at.VolumeID}, {"serverId", u.ServerID, at.ServerID}, {"device", u.Device, at.Device}, {"tag", u.Tag, at.Tag}} {
		if m.said != nil && *m.said != m.is {
			return cloud.E(op, cloud.Invalid, "The %s property is not mutable", m.name)
		}
	}
	return nil
}

// UpdateAttachment says whether a volume goes with its server.
func (s *Service) UpdateAttachment(ctx context.Context, a Actor, id, volumeID string, u AttachmentUpdate) error {
	const op = "compute.UpdateAttachment"
	_, err := s.change(ctx, op, a, id, "", func(tx *store.Tx, v *cloud.Server) error {
		at, err := attachedTx(tx, op, v.ID, volumeID)
		if err != nil {
			return cloud.E(op, cloud.KindOf(err), "No volume Block Device Mapping with id %s.", volumeID)
		}
		if err := u.check(op, at); err != nil || u.DeleteOnTermination == nil {
			return err
		}
		at.DeleteOnTermination, at.UpdatedAt = *u.DeleteOnTermination, s.clock.Now()
		return tx.VolumeAttachments.Update(at)
	})
	return err
}

// SwapVolume has a guest's disk be another volume, with the data of the first: the
// server's node copies it, while the guest goes on, and then ends the attachment of
// the first. Operators do it; cinder does, when it moves a volume.
func (s *Service) SwapVolume(ctx context.Context, a Actor, id, from, to string) error {
	const op = "compute.SwapVolume"
	states := []string{cloud.VMActive, cloud.VMPaused, cloud.VMResized}
	_, err := s.change(ctx, op, a, id, "swap_volume", func(tx *store.Tx, v *cloud.Server) error {
		was, err := s.volumes.VolumeTx(tx, a.Caller, from)
		if err != nil {
			return err
		}
		next, err := s.volumes.VolumeTx(tx, a.Caller, to)
		if err != nil {
			return asInvalid(op, err)
		}
		at, err := attachedTx(tx, op, v.ID, from)
		if err != nil {
			return err
		}
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, "swap_volume", states...); err != nil {
			return err
		}
		if err := swappable(op, was, next); err != nil {
			return err
		}
		if was.Node != v.Node {
			return cloud.E(op, cloud.Invalid, "Volume %s is on the host %s; only one on the server's own, %s, is copied under the server.", was.ID, was.Node, v.Node)
		}
		if err := s.volumes.UnplugTx(tx, a.Caller, at); err != nil {
			return err
		}
		_, err = s.volumes.PlugTx(tx, a.Caller, volume.Plug{VolumeID: to, ServerID: v.ID, Node: v.Node, Swaps: &at, Multiattach: true})
		if err == nil {
			s.want(v)
		}
		return err
	})
	return err
}

// swappable refuses a volume that cannot take the place of another, in nova's
// words.
func swappable(op string, was, next volume.Detail) error {
	writers := 0
	for _, at := range was.Attachments {
		if !at.ReadOnly {
			writers++
		}
	}
	switch {
	case was.Key != nil || next.Key != nil: // in the words of nova's libvirt driver
		return cloud.E(op, cloud.Invalid, "Swap volume is not supported for encrypted volumes when native LUKS decryption is enabled.")
	case len(next.Attachments) > 0:
		return cloud.E(op, cloud.Invalid, "Invalid volume: New volume must be detached in order to swap.")
	case next.SizeGB < was.SizeGB:
		return cloud.E(op, cloud.Invalid, "Invalid volume: New volume must be the same size or larger.")
	case writers > 1:
		return cloud.E(op, cloud.Invalid, "Swapping multi-attach volumes with more than one read/write attachment is not supported.")
	}
	return nil
}
