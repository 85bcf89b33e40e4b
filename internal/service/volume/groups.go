package volume

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// groupTx gives a group that the caller sees; NotFound.
func groupTx(tx *store.Tx, c cloud.Caller, id string) (cloud.VolumeGroup, error) {
	g, err := tx.VolumeGroups.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(g.ProjectID) {
		err = notFound("volume.Group", "Group", id)
	}
	return g, err
}
