package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// Observe writes what a node reports of instances, all in one transaction. What
// follows from it is wanted of nobody here; the query of the servers' job finds
// it.
func (k *Housekeeper) Observe(ctx context.Context, nodeName string, statuses ...cloud.InstanceStatus) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		for _, status := range statuses {
			server, err := tx.Servers.Get(status.ID)
			if cloud.Is(err, cloud.NotFound) || err == nil && server.Node != nodeName {
				continue
			}
			if err != nil {
				return err
			}
			was, busy := server.Seen, !server.Settled()
			server = k.observed(server, status)
			if err := k.volumesSeen(tx, &server); err != nil {
				return err
			}
			if err := k.portsSeen(tx, &server); err != nil {
				return err
			}
			if err := k.replaced(tx, &server); err != nil {
				return err
			}
			if err := tx.Servers.Update(server); err != nil {
				return err
			}
			answered := was.Generation < server.Intent.Generation && server.Seen.Generation >= server.Intent.Generation
			if (busy || answered) && server.Settled() {
				if err := k.finishActions(tx, server); err != nil {
					return err
				}
			}
			if was.State == server.Seen.State && slices.Equal(was.Ports, server.Seen.Ports) {
				continue
			}
			if err := markPorts(tx, server); err != nil {
				return err
			}
		}
		return nil
	})
}

// observed is the server after an observation. It is pure but for the clock.
func (k *Housekeeper) observed(server cloud.Server, status cloud.InstanceStatus) cloud.Server {
	now := k.Clock.Now()
	current := status.Generation == server.Intent.Generation
	if news(server.Seen, status.Observation) {
		server.UpdatedAt = now
	}
	server.Seen, server.Steps = status.Observation, status.Steps
	if len(server.Snapshots) > 0 && slices.Contains(status.Snapshots, server.Snapshots[0]) {
		server.NextAttemptAt = now // its bytes are to be fetched
	}
	k.observeShelf(&server, current)
	switch status.State {
	case cloud.InstanceRunning, cloud.InstancePaused, cloud.InstanceSuspended:
		if server.LaunchedAt == nil {
			server.LaunchedAt = &now
		}
		server.Fault = nil
	case cloud.InstanceFailed:
		if server.Fault == nil || server.Fault.Message != status.Error {
			server.Fault = &cloud.Fault{Code: cloud.FaultInternal, Message: status.Error, CreatedAt: now}
		}
	case cloud.InstanceStopped:
		if current && server.Intent.Power == cloud.PowerOn && !server.Intent.Deleted {
			// The guest powered itself off, as its owner may do from inside: that is
			// what is wanted from now on.
			server.Intent.Power = cloud.PowerOff
			server.Intent.Generation++
			server.NextAttemptAt = now
		}
	case cloud.InstanceAbsent:
		if server.Intent.Deleted {
			server.NextAttemptAt = now
		}
	}
	return server
}

// news tells whether a report says anything that the last one did not: nodes report all
// that they have when they are asked anew, as after a restart.
func news(was, is cloud.Observation) bool {
	return was.State != is.State || was.Generation != is.Generation || was.Step != is.Step || was.Resumes != is.Resumes ||
		was.Reboots != is.Reboots || was.Turn != is.Turn || was.Error != is.Error ||
		!slices.Equal(was.Snapshots, is.Snapshots) || !slices.Equal(was.Volumes, is.Volumes) || !slices.Equal(was.Ports, is.Ports) ||
		!maps.Equal(was.Refused, is.Refused) || !maps.Equal(was.Untaken, is.Untaken)
}

// markPorts makes the ports' status follow the guest's: up are those that it has.
func markPorts(tx *store.Tx, server cloud.Server) error {
	there := server.Seen.State == cloud.InstanceRunning || server.Seen.State == cloud.InstancePaused
	ports, err := tx.Ports.List(store.Where(store.Eq("device_id", server.ID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		up := there && slices.Contains(server.Seen.Ports, p.ID)
		if p.Up == up {
			continue
		}
		p.Up = up
		if err := tx.Ports.Update(p); err != nil {
			return err
		}
	}
	return nil
}

// Resync compares what a node has with what is wanted of it, as after a restart
// of either: an instance that nobody wants is removed, a server that the node
// does not know is handed to it again.
func (k *Housekeeper) Resync(ctx context.Context, name string, n node.Node) error {
	have, err := n.Instances(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, i := range have {
		known[i.ID] = true
	}
	wanted := map[string]bool{}
	err = k.Store.Update(ctx, func(tx *store.Tx) error {
		servers, err := tx.Servers.List(store.Where(store.Eq("node", name)))
		if err != nil {
			return err
		}
		for _, s := range servers {
			wanted[s.ID] = true
			if known[s.ID] && s.Seen.Generation == s.Intent.Generation && !s.Intent.Deleted || s.Fault != nil && !s.Intent.Deleted {
				continue
			}
			s.NextAttemptAt = k.Clock.Now()
			if err := tx.Servers.Update(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := range known {
		if wanted[id] {
			continue
		}
		k.Log.Info("an instance on a node belongs to no server: removed", "node", name, "instance", id)
		if err := n.RemoveInstance(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// runPrune prunes every few minutes.
func (k *Housekeeper) runPrune(ctx context.Context) {
	beat(ctx, nil, 10*time.Minute, func(ctx context.Context) {
		if err := k.Prune(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot prune what has expired", "error", err)
		}
	})
}

// Prune drops what has outlived its use: revocations of tokens that have expired
// since, messages that are no news any more, and what is left of servers that were
// deleted longer ago than usage, or lists, are asked for them.
func (k *Housekeeper) Prune(ctx context.Context) error {
	now := k.Clock.Now()
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := k.remindTrash(tx); err != nil {
			return err
		}
		_, err := tx.Revocations.DeleteWhere(store.Le("expires_at", now))
		if err == nil {
			_, err = tx.VolumeMessages.DeleteWhere(store.Le("expires_at", now))
		}
		if err == nil && k.KeepHistory > 0 {
			_, err = tx.PastServers.DeleteWhere(store.Le("ended_at", now.Add(-k.KeepHistory)))
		}
		if err == nil && k.KeepDeleted > 0 {
			err = forget(tx, now.Add(-k.KeepDeleted))
		}
		return err
	})
}

// forgetAtOnce is how many records of deleted servers one pass forgets at most: the
// next pass is minutes away, and nobody is to wait for the database meanwhile.
const forgetAtOnce = 1000

// forget drops the records, with their history, of servers that went before a moment.
func forget(tx *store.Tx, before time.Time) error {
	old, err := tx.GoneServers.Shared(store.Query{
		Where: []store.Cond{store.Le("updated_at", before)}, Order: []store.Order{{Column: "updated_at"}}, Limit: forgetAtOnce,
	})
	if err != nil || len(old) == 0 {
		return err
	}
	ids := make([]string, len(old))
	for i, v := range old {
		ids[i] = v.ID
	}
	if _, err := tx.Actions.DeleteWhere(store.In("server_id", ids...)); err != nil {
		return err
	}
	_, err = tx.GoneServers.DeleteWhere(store.In("id", ids...))
	return err
}
