package reconcile

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// replaced ends the replacement of what a server boots from, by what its node reports:
// the old root disk is given up once the new one is there, and not before. One that
// failed leaves the server on its old disk, and off as it was.
func (k *Housekeeper) replaced(tx *store.Tx, server *cloud.Server) error {
	disk := server.Intent.Disk
	if server.RootImage == nil || disk.Why != cloud.DiskReplace {
		return nil
	}
	switch seen := server.Seen; {
	case seen.Turn == disk.Turn:
		server.Intent.Disk = disk.Stay()
	case seen.State == cloud.InstanceFailed && seen.Generation == server.Intent.Generation:
		why := "what the server boots from could not be replaced, and is as it was: " + seen.Error
		if err := k.endActions(tx, *server, why); err != nil {
			return err
		}
		k.Log.Warn("a server's root disk could not be replaced; it stays as it is", "server", server.ID, "why", seen.Error)
		server.Intent.Disk, server.Fault = disk.Back(cloud.DiskFirst), nil
	default:
		return nil
	}
	server.RootImage = nil
	k.respecify(server)
	return nil
}
