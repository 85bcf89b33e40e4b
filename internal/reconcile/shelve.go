package reconcile

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// observeShelf follows a shelved server by what its node reports: once all is
// done on the host it may go; once it runs again, its image may.
func (k *Housekeeper) observeShelf(server *cloud.Server, current bool) {
	now := k.Clock.Now()
	switch up := server.Seen.State == cloud.InstanceRunning; {
	case server.Shelf == nil:
	case server.Shelved() && (server.Shelf.Since == nil || server.Intent.Offload), server.Intent.Offload && server.Seen.State == cloud.InstanceAbsent:
		server.NextAttemptAt = now
	case !server.Intent.Shelved && up && current:
		if id := server.Shelf.Image.ID; id != "" {
			server.Drop, server.NextAttemptAt = append(server.Drop, id), now
		}
		server.Shelf = nil
	case !server.Intent.Shelved && server.Seen.State == cloud.InstanceFailed && server.Shelf.Offloaded:
		k.backToShelf(server) // what is left of the try is taken off the host
		server.NextAttemptAt = now
	}
}

// backToShelf gives up a try to have a server run again.
func (k *Housekeeper) backToShelf(server *cloud.Server) {
	in := &server.Intent
	in.Shelved, in.Offload, in.Power = true, true, cloud.PowerOff
	in.Generation++
}

// shelve goes on with a server that is shelved. It tells whether the server has
// left its host, so that there is nothing more to apply.
func (k *Housekeeper) shelve(ctx context.Context, server cloud.Server) (left bool, err error) {
	if server.Shelf == nil || !server.Intent.Shelved {
		return false, nil
	}
	if server.Node == "" {
		return true, k.settle(ctx, server.ID, server.Intent.Generation)
	}
	if server.Shelf.Since == nil {
		if !server.Shelved() {
			return false, nil
		}
		if server, err = k.shelved(ctx, server.ID); err != nil {
			return false, err
		}
	}
	if !server.Intent.Shelved || !server.Intent.Offload {
		return false, nil
	}
	if err := k.keepPassword(ctx, server); err != nil {
		return true, err
	}
	gone, err := k.removeFromNode(ctx, server)
	if err != nil || !gone {
		return true, err
	}
	k.Hook("reconcile.offload.after")
	return true, k.offloaded(ctx, server.ID)
}

// shelved writes down that a server's image is made, and when it is to leave its
// host. An image that is not there any more undoes the wish.
func (k *Housekeeper) shelved(ctx context.Context, id string) (server cloud.Server, err error) {
	err = k.Store.Update(ctx, func(tx *store.Tx) error {
		if server, err = tx.Servers.Get(id); err != nil || !server.Shelved() {
			return err
		}
		now := k.Clock.Now()
		server.UpdatedAt = now
		if shelf := server.Shelf; shelf.Image.ID != "" {
			img, err := tx.Images.Get(shelf.Image.ID)
			if err != nil && !cloud.Is(err, cloud.NotFound) {
				return err
			}
			if err != nil || img.Status != cloud.ImageActive {
				k.Log.Warn("the image of a server that was to be shelved is gone; the server stays", "server", id, "image", shelf.Image.ID)
				server.Shelf, server.Intent.Shelved, server.Intent.Offload = nil, false, false
				server.Intent.Generation++
				server.NextAttemptAt = now
				return tx.Servers.Update(server)
			}
			shelf.Image = img.Ref()
		}
		server.Shelf.Since = &now
		if k.ShelvedOffload == 0 {
			server.Intent.Offload = true
		}
		return tx.Servers.Update(server)
	})
	return server, err
}

// imagesDue tells whether there is something to do for the images that are made
// of a server.
func imagesDue(s cloud.Server) bool {
	copied := len(s.Snapshots) > 0 && slices.Contains(s.Seen.Snapshots, s.Snapshots[0])
	return len(s.Drop) > 0 || copied || s.Shelved() && (s.Shelf.Since == nil || s.Intent.Offload)
}

// dueOffload sets when a shelved server leaves its host by itself.
func (k *Housekeeper) dueOffload(server *cloud.Server) {
	if server.Shelf == nil || server.Shelf.Since == nil || server.Node == "" || server.Intent.Offload || !server.Intent.Shelved || k.ShelvedOffload < 0 {
		return
	}
	server.NextAttemptAt = server.Shelf.Since.Add(k.ShelvedOffload)
	if !server.NextAttemptAt.After(k.Clock.Now()) {
		server.Intent.Offload = true
		server.NextAttemptAt = k.Clock.Now()
	}
}

// offloaded writes down that a server is on no host. Its ports stay its own.
func (k *Housekeeper) offloaded(ctx context.Context, id string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		server, err := tx.Servers.Get(id)
		if err != nil || server.Shelf == nil || !server.Intent.Shelved {
			return unlessGone(err)
		}
		server.Shelf.Offloaded = true
		server.Node, server.Seen, server.Steps = "", cloud.Observation{}, nil
		server.Intent.Disk = cloud.DiskIntent{} // its next disk is its first on its next host
		server.NextAttemptAt, server.Attempt, server.UpdatedAt = time.Time{}, 0, k.Clock.Now()
		if server.Intent.Deleted {
			server.NextAttemptAt = k.Clock.Now()
		}
		if err := tx.Servers.Update(server); err != nil {
			return err
		}
		if err := k.finishActions(tx, server); err != nil {
			return err
		}
		return unbindPorts(tx, server)
	})
}

// keepPassword fetches what a server's guest has posted to a node that it is about to
// leave: it is posted once in a guest's life.
func (k *Housekeeper) keepPassword(ctx context.Context, server cloud.Server) error {
	n, err := k.Fleet.Node(server.Node)
	if err != nil {
		return err
	}
	posted, err := n.Password(ctx, server.ID)
	if err != nil || posted == "" || posted == server.Posted {
		return unlessGone(err)
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(server.ID)
		if err != nil {
			return unlessGone(err)
		}
		s.Posted = posted
		return tx.Servers.Update(s)
	})
}

// unbindPorts takes the host out of the ports of a server.
func unbindPorts(tx *store.Tx, server cloud.Server) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("device_id", server.ID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		p.Host, p.Up = "", false
		if err := tx.Ports.Update(p); err != nil {
			return err
		}
	}
	return nil
}

// dropImagesOf deletes the images that were made for a server alone and that it
// no longer needs.
func (k *Housekeeper) dropImagesOf(ctx context.Context, server cloud.Server, ids []string) error {
	caller := cloud.Caller{UserID: server.UserID, ProjectID: server.ProjectID, Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader}}
	for _, id := range ids {
		err := k.Images.Delete(ctx, caller, id)
		if cloud.Is(err, cloud.Forbidden) || cloud.Is(err, cloud.Conflict) { // its owner protects it, or uses it: it is his now
			k.Log.Info("an image that was made for a server stays", "server", server.ID, "image", id, "why", err)
			err = nil
		}
		if err := unlessGone(err); err != nil {
			return err
		}
	}
	return nil
}

// dropped deletes a server's images that are to go, and writes it down.
func (k *Housekeeper) dropped(ctx context.Context, server cloud.Server) error {
	if len(server.Drop) == 0 {
		return nil
	}
	if err := k.dropImagesOf(ctx, server, server.Drop); err != nil {
		return err
	}
	k.Hook("reconcile.drop.after")
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Servers.Get(server.ID)
		if err != nil {
			return unlessGone(err)
		}
		now.Drop = now.Drop[min(len(server.Drop), len(now.Drop)):]
		return tx.Servers.Update(now)
	})
}
