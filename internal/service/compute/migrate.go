package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Servers stay on the host they were placed on: Hearth moves none between hosts
// yet, so a move finds no host to go to, as in nova on a cloud of one.

// Migrate would move a server that is stopped for it to another host.
func (s *Service) Migrate(ctx context.Context, a Actor, id, host string) error {
	return s.move(ctx, "compute.Migrate", a, id, "migrate", host, cloud.VMActive, cloud.VMStopped)
}

// LiveMigrate would move a server that runs on meanwhile.
func (s *Service) LiveMigrate(ctx context.Context, a Actor, id, host string) error {
	return s.move(ctx, "compute.LiveMigrate", a, id, "os-migrateLive", host, cloud.VMActive, cloud.VMPaused)
}

// move judges a move as nova does; what is left of reasons against it is that no
// other host takes the server.
func (s *Service) move(ctx context.Context, op string, a Actor, id, action, host string, states ...string) error {
	return s.store.View(ctx, func(tx *store.Tx) error {
		v, err := serverTx(tx, op, a.Caller, id)
		if err != nil {
			return err
		}
		if err := unlocked(op, a.Caller, v); err != nil {
			return err
		}
		if err := v.Check(op, action, states...); err != nil {
			return err
		}
		if err := target(tx, op, v, host); err != nil {
			return err
		}
		return noMove(tx, op, v)
	})
}

// target refuses a host that there is not, or that the server is on.
func target(tx *store.Tx, op string, v cloud.Server, host string) error {
	if host == "" {
		return nil
	}
	if _, err := tx.Hosts.Get(host); err != nil {
		return asInvalid(op, NoHost(op, host))
	}
	if host == v.Node {
		return cloud.E(op, cloud.Invalid, "Unable to migrate instance (%s) to current host (%s).", v.ID, host)
	}
	return nil
}

func noMove(tx *store.Tx, op string, v cloud.Server) error {
	n, err := tx.Hosts.Count(store.Ne("id", v.Node))
	switch {
	case err != nil:
		return err
	case n == 0:
		return cloud.E(op, cloud.Invalid, "No valid host was found. There is no host but %s, which the server is on.", v.Node)
	}
	return cloud.E(op, cloud.Invalid, "No valid host was found. Servers are not moved between hosts yet: shelve it and unshelve it there.")
}

// Evacuate would rebuild a server whose host is down on another.
func (s *Service) Evacuate(ctx context.Context, a Actor, id, host string) error {
	const op = "compute.Evacuate"
	return s.store.View(ctx, func(tx *store.Tx) error {
		v, err := serverTx(tx, op, a.Caller, id)
		if err != nil {
			return err
		}
		if err := v.Check(op, "evacuate", cloud.VMActive, cloud.VMStopped, cloud.VMError); err != nil {
			return err
		}
		if err := target(tx, op, v, host); err != nil {
			return err
		}
		h, err := tx.Hosts.Get(v.Node)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		if err == nil && h.Up(s.clock.Now()) {
			return cloud.E(op, cloud.Invalid, "Compute service of %s is still in use.", v.Node)
		}
		return noMove(tx, op, v)
	})
}
