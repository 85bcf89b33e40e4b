package reconcile

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// reimaging tells whether the volume that a server boots from is yet to be given its
// image anew.
func reimaging(s cloud.Server) bool {
	return s.Reimaged > 0 && s.Reimaged == s.Intent.Disk.Turn && s.Seen.Turn != s.Reimaged
}

// newKeys tells whether a server is to have ssh host keys of its own on the volume that
// it boots from: it never ran, or the volume gets an image anew. So a volume that
// another server booted from before gets new ones with each server, as cloud-init has it
// of each instance, unless its owner says that it keeps them. What somebody else has at
// the same time is not touched.
func newKeys(tx *store.Tx, s cloud.Server, volume string) (bool, error) {
	if s.LaunchedAt != nil && (!reimaging(s) || s.RootImage != nil) { // what replaces its content is its own
		return false, nil
	}
	v, err := tx.Volumes.Get(volume)
	if err != nil || v.Metadata[cloud.PropertyHostKeys] == cloud.KeepHostKeys {
		return false, err
	}
	list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", volume)))
	return err == nil && !slices.ContainsFunc(list, func(a cloud.VolumeAttachment) bool { return a.ServerID != s.ID }), err
}
