package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// runServers takes every server that is due a step further, several at a time.
func (k *Housekeeper) runServers(ctx context.Context) {
	changed, stop := k.Store.Watch("servers")
	defer stop()
	pool := &errgroup.Group{}
	pool.SetLimit(k.Workers)
	beat(ctx, merge(ctx, changed, k.kicked), time.Second, func(ctx context.Context) {
		ids, err := k.DueServers(ctx)
		if err != nil && ctx.Err() == nil {
			k.Log.Error("cannot read the servers that are due", "error", err)
		}
		for _, id := range ids {
			if !k.take(id) {
				continue
			}
			pool.Go(func() error {
				defer k.kick()
				defer k.letGo(id)
				k.ProcessServer(ctx, id)
				return nil
			})
		}
	})
	_ = pool.Wait()
}

// DueServers is the discover query: the servers whose next attempt has come,
// longest due first.
func (k *Housekeeper) DueServers(ctx context.Context) (ids []string, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		due, err := tx.Servers.List(store.Query{
			Where: []store.Cond{
				store.Le("next_attempt_at", k.Clock.Now()),
				{Column: "next_attempt_at", Op: store.OpGt, Value: time.Unix(0, 0).UTC()},
			},
			Order: []store.Order{{Column: "next_attempt_at"}}, Limit: 100,
		})
		ids = ids[:0]
		for _, s := range due {
			ids = append(ids, s.ID)
		}
		return err
	})
	return ids, err
}

// ProcessServer takes one server one step further: places it, hands its spec to
// its node, or takes it away. An error is written down with a later next
// attempt; it never stops the housekeeper.
func (k *Housekeeper) ProcessServer(ctx context.Context, id string) {
	var server cloud.Server
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		server, err = tx.Servers.Get(id)
		return err
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return
	case err != nil:
	case server.Intent.Deleted:
		err = k.removeServer(ctx, server)
	case k.expired(server):
		err = k.reclaim(ctx, id)
	default:
		err = k.applyServer(ctx, server)
	}
	if err != nil && ctx.Err() == nil {
		k.postpone(ctx, server, err)
	}
}

// applyServer places the server if need be and hands its spec to its node. What
// comes of it arrives as an observation.
func (k *Housekeeper) applyServer(ctx context.Context, server cloud.Server) error {
	if err := k.dropped(ctx, server); err != nil {
		return err
	}
	if left, err := k.shelve(ctx, server); left || err != nil {
		return err
	}
	if server.Fault != nil && server.Node == "" {
		return k.settle(ctx, server.ID, server.Intent.Generation)
	}
	if ready, err := k.volumesReady(ctx, server); err != nil || !ready {
		return err
	}
	if server.ToVolume != nil { // which comes to an end first; that makes it due again
		return k.rootToVolume(ctx, server)
	}
	if server.Node == "" {
		placed, err := k.place(ctx, server.ID)
		if err != nil || placed.Node == "" {
			return err
		}
		server = placed
		k.Log.Info("a server has its host", "server", server.ID, "node", server.Node, "request", k.requestOf(ctx, server.ID))
		k.Hook("reconcile.place.after")
	}
	n, err := k.Fleet.Node(server.Node)
	if err != nil {
		return err
	}
	if err := k.bindNew(ctx, server); err != nil {
		return err
	}
	if err := k.SyncNode(ctx, server.Node); err != nil {
		return err
	}
	if err := k.takeSnapshots(ctx, server, n); err != nil {
		return err
	}
	spec, err := k.instanceSpec(ctx, server.ID)
	if err != nil {
		return err
	}
	if err := k.shareVolumes(ctx, &spec, server.Node); err != nil {
		return err
	}
	k.Hook("reconcile.apply.before")
	err = n.ApplyInstance(ctx, spec)
	k.Hook("reconcile.apply.after")
	if err != nil && !cloud.Is(err, cloud.Conflict) { // Conflict: a newer intent has been handed over already
		return err
	}
	k.Log.Info("a server was handed to its node", "server", spec.ID, "node", server.Node, "generation", spec.Intent.Generation, "request", spec.Request)
	return k.settle(ctx, server.ID, spec.Intent.Generation)
}

// nodeTries is how often, with a second between, a server is tried to be placed while no
// node has told of itself yet, as when the cloud has just been started.
const nodeTries = 60

// place chooses a host for the server, counting what all others use in the same
// transaction. When none fits, the server gets a fault that says why.
func (k *Housekeeper) place(ctx context.Context, id string) (server cloud.Server, err error) {
	var wait error
	err = k.Store.Update(ctx, func(tx *store.Tx) error {
		if server, err = tx.Servers.Get(id); err != nil {
			return err
		}
		if server.Node != "" || server.Intent.Deleted {
			return nil
		}
		fleet, err := k.fleet(tx)
		if err != nil {
			return err
		}
		request := schedule.RequestOf(server)
		if request.VolumesOn, request.VolumesStay, err = volumesOn(tx, server.ID); err != nil {
			return err
		}
		if len(fleet.Hosts) == 0 && server.Attempt < nodeTries {
			wait = errWaiting
			return nil
		}
		placement, err := schedule.Plan(fleet, request)
		if err != nil && server.Shelf != nil {
			k.Log.Warn("no host has room for a server that is to be unshelved; it stays shelved", "server", id, "error", err)
			k.backToShelf(&server)
			server.NextAttemptAt, server.UpdatedAt = time.Time{}, k.Clock.Now()
			return tx.Servers.Update(server)
		}
		if err != nil {
			server.Fault = &cloud.Fault{Code: cloud.FaultInternal, Message: "No valid host was found. " + cloud.Message(err), CreatedAt: k.Clock.Now()}
			server.NextAttemptAt = time.Time{}
			server.UpdatedAt = k.Clock.Now()
			return tx.Servers.Update(server)
		}
		placement.Put(&server)
		server.UpdatedAt = k.Clock.Now()
		if err := tx.Servers.Update(server); err != nil {
			return err
		}
		return bindPorts(tx, server, placement.AvailabilityZone)
	})
	return server, cmp.Or(err, wait)
}

// bindPorts writes the host into the ports of a server.
func bindPorts(tx *store.Tx, server cloud.Server, zone string) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("device_id", server.ID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		p.Host = server.Node
		p.DeviceOwner = cloud.OwnerComputePrefix + zone
		if err := tx.Ports.Update(p); err != nil {
			return err
		}
	}
	return nil
}

// bindNew binds the ports that a placed server was given since.
func (k *Housekeeper) bindNew(ctx context.Context, server cloud.Server) error {
	loose, zone := false, ""
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		ports, err := tx.Ports.List(store.Where(store.Eq("device_id", server.ID)))
		if err != nil {
			return err
		}
		loose = slices.ContainsFunc(ports, func(p cloud.Port) bool { return p.Host != server.Node })
		zone, err = placement.ZoneTx(tx, server.Node)
		return unlessGone(err)
	})
	if err != nil || !loose {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error { return bindPorts(tx, server, zone) })
}

// settle notes that the intent of a generation has been handed over: nothing is
// due until the owner wants something else or the node reports.
func (k *Housekeeper) settle(ctx context.Context, id string, generation int64) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		server, err := tx.Servers.Get(id)
		if err != nil || server.Intent.Generation != generation || server.Intent.Deleted {
			return unlessGone(err)
		}
		server.NextAttemptAt, server.Attempt = time.Time{}, 0
		k.dueOffload(&server)
		if server.Trash != nil {
			server.NextAttemptAt = server.Trash.Until
		}
		if imagesDue(server) { // seen, or left over, while this pass was under way
			server.NextAttemptAt = k.Clock.Now()
		}
		return tx.Servers.Update(server)
	})
}

// removeServer takes the instance off its node and, once it is gone from there,
// its ports and its row.
func (k *Housekeeper) removeServer(ctx context.Context, server cloud.Server) error {
	if server.Node != "" {
		gone, err := k.removeFromNode(ctx, server)
		if err != nil || !gone {
			return err
		}
		k.Hook("reconcile.remove.after")
	}
	own := slices.Clone(server.Drop)
	if server.Shelf != nil && server.Shelf.Image.ID != "" {
		own = append(own, server.Shelf.Image.ID)
	}
	if err := k.dropImagesOf(ctx, server, own); err != nil {
		return err
	}
	k.Log.Info("a server is gone", "server", server.ID, "node", server.Node, "request", k.requestOf(ctx, server.ID))
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := k.Ports.ReleaseDeviceTx(tx, server.ID); err != nil {
			return err
		}
		if err := k.releaseVolumes(tx, server.ID); err != nil {
			return err
		}
		if err := dropImages(tx, server.ID); err != nil {
			return err
		}
		return k.bury(tx, server.ID)
	})
}

// bury takes the row of a server that is gone away, and leaves what is kept of it: for
// the usage, for lists, and in its history.
func (k *Housekeeper) bury(tx *store.Tx, id string) error {
	server, err := tx.Servers.Get(id)
	if err != nil {
		return unlessGone(err)
	}
	if err := k.endHistory(tx, server); err != nil {
		return err
	}
	if err := tx.PastServers.Put(k.past(server)); err != nil {
		return err
	}
	if err := tx.GoneServers.Put(server.Gone(k.Clock.Now())); err != nil {
		return err
	}
	return tx.Servers.Delete(id)
}

// past is what is kept of a server that is gone.
func (k *Housekeeper) past(s cloud.Server) cloud.PastServer {
	return cloud.PastServer{
		ID: s.ID, Name: s.Name, ProjectID: s.ProjectID, UserID: s.UserID, Node: s.Node, Flavor: s.Flavor,
		CreatedAt: s.CreatedAt, LaunchedAt: s.LaunchedAt, EndedAt: k.Clock.Now(),
	}
}

// errRemoving says that a node has yet to finish.
var errRemoving = errors.New("the node is still taking the instance down")

// removeFromNode asks the node to remove the instance and tells whether it is
// gone. If not, the observation of its absence, or the next attempt, goes on.
func (k *Housekeeper) removeFromNode(ctx context.Context, server cloud.Server) (bool, error) {
	n, err := k.Fleet.Node(server.Node)
	if err != nil {
		return false, err
	}
	gone := cloud.InstanceSpec{ID: server.ID, Intent: cloud.Intent{Generation: server.Intent.Generation, Deleted: true}, Request: k.requestOf(ctx, server.ID)}
	if err := n.ApplyInstance(ctx, gone); err != nil {
		return false, err
	}
	left, err := n.Instances(ctx)
	if err != nil {
		return false, err
	}
	for _, i := range left {
		if i.ID == server.ID && i.State != cloud.InstanceAbsent {
			return false, errRemoving
		}
	}
	return true, nil
}

// requestOf is lastRequest of what is stored, for the log alone: "" when it cannot be read.
func (k *Housekeeper) requestOf(ctx context.Context, server string) (id string) {
	_ = k.Store.View(ctx, func(tx *store.Tx) (err error) {
		id, err = lastRequest(tx, server)
		return err
	})
	return id
}

// postpone writes a failed try down.
func (k *Housekeeper) postpone(ctx context.Context, server cloud.Server, cause error) {
	wait := backOff(server.Attempt)
	if errors.Is(cause, errRemoving) || errors.Is(cause, errWaiting) {
		wait = time.Second // the watch is quicker; this is the net beneath it
	} else {
		k.Log.Warn("a server's step failed; it is tried again", "server", server.ID, "attempt", server.Attempt+1, "again_in", wait, "error", cause, "request", k.requestOf(ctx, server.ID))
	}
	err := k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(server.ID)
		if err != nil || s.Intent.Generation != server.Intent.Generation {
			return unlessGone(err)
		}
		s.Attempt++
		s.NextAttemptAt = k.Clock.Now().Add(wait)
		return tx.Servers.Update(s)
	})
	if err != nil && ctx.Err() == nil {
		k.Log.Error("cannot write a failed try down", "server", server.ID, "error", err)
	}
}

// unlessGone drops the error that says that a row is no more, where that is as
// good as success.
func unlessGone(err error) error {
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	return err
}
