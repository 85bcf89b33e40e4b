package compute

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// NoServer is nova's way to say that a server is not there, or is another
// project's.
func NoServer(op, id string) error {
	return cloud.E(op, cloud.NotFound, "Instance %s could not be found.", id)
}

// serverTx gives a server that is the caller's to see.
func serverTx(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Server, error) {
	s, err := tx.Servers.Get(id)
	return owned(op, c, id, s, err)
}

// owned gives what was found to those who may know of it.
func owned(op string, c cloud.Caller, id string, s cloud.Server, err error) (cloud.Server, error) {
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(s.ProjectID) {
		return cloud.Server{}, NoServer(op, id)
	}
	return s, err
}

// Server gives a server with what belongs to it.
func (s *Service) Server(ctx context.Context, c cloud.Caller, id string) (d Detail, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		server, err := serverTx(tx, "compute.Server", c, id)
		if err != nil {
			return err
		}
		list, err := s.detailsTx(tx, []*cloud.Server{&server})
		if err == nil {
			d = list[0]
		}
		return err
	})
	return d, err
}

// change changes a server in one transaction: the check and the change see the
// same state. What changed has its time in UpdatedAt; an action other than ""
// goes into the server's history.
func (s *Service) change(ctx context.Context, op string, a Actor, id, action string, change func(tx *store.Tx, v *cloud.Server) error) (d Detail, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		server, err := serverTx(tx, op, a.Caller, id)
		if err != nil {
			return err
		}
		if err := change(tx, &server); err != nil {
			return err
		}
		server.UpdatedAt = s.clock.Now()
		if err := tx.Servers.Update(server); err != nil {
			return err
		}
		if err := s.recordTx(tx, a, server, action); err != nil {
			return err
		}
		list, err := s.detailsTx(tx, []*cloud.Server{&server})
		if err == nil {
			d = list[0]
		}
		return err
	})
	return d, err
}

// unlocked refuses what a lock forbids: everybody but an admin is held off a
// locked server.
func unlocked(op string, c cloud.Caller, v cloud.Server) error {
	if v.Locked && !c.IsAdmin() {
		return cloud.E(op, cloud.Conflict, "Instance %s is locked", v.ID)
	}
	return nil
}

// recordTx adds an action to the server's history. Every action has its request:
// what the cloud does by itself has none.
func (s *Service) recordTx(tx *store.Tx, a Actor, v cloud.Server, action string) error {
	if action == "" {
		return nil
	}
	now := s.clock.Now()
	return tx.Actions.Insert(cloud.ActionRecord{
		ID: cloud.NewID(), ServerID: v.ID, Action: action, RequestID: a.RequestID, UserID: a.UserID, ProjectID: a.ProjectID,
		StartedAt: now, UpdatedAt: now,
	})
}

// EverServer gives a server that is there, or the record of one that is gone.
func (s *Service) EverServer(ctx context.Context, c cloud.Caller, id string) (v cloud.Server, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		v, err = everServerTx(tx, "compute.EverServer", c, id)
		return err
	})
	return v, err
}

func everServerTx(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Server, error) {
	s, err := tx.EveryServer.Get(id)
	return owned(op, c, id, s, err)
}

// Actions lists a server's history, newest first. With deleted it also gives
// that of a server that is gone.
func (s *Service) Actions(ctx context.Context, c cloud.Caller, id string, deleted bool) (list []cloud.ActionRecord, err error) {
	const op = "compute.Actions"
	err = s.store.View(ctx, func(tx *store.Tx) error {
		find := serverTx
		if deleted {
			find = everServerTx
		}
		_, gone := find(tx, op, c, id)
		if gone != nil && !(deleted && cloud.Is(gone, cloud.NotFound)) {
			return gone
		}
		list, err = tx.Actions.List(store.Query{
			Where: []store.Cond{store.Eq("server_id", id)}, Order: []store.Order{{Column: "started_at", Desc: true}},
		})
		// Without a record: the oldest entry is the create, by the project that owned it.
		if err == nil && gone != nil && (len(list) == 0 || !c.Owns(list[len(list)-1].ProjectID)) {
			list, err = nil, gone
		}
		return err
	})
	return list, err
}

// ServerUpdate is what an owner may change of a server; nil leaves it.
type ServerUpdate struct {
	Name, Hostname, Description, DiskConfig, AccessIPv4, AccessIPv6 *string
}

// apply changes what is not nil.
func (u ServerUpdate) apply(v *cloud.Server) {
	for _, f := range []struct{ from, to *string }{
		{u.Name, &v.Name}, {u.Hostname, &v.Hostname}, {u.Description, &v.Description},
		{u.DiskConfig, &v.DiskConfig}, {u.AccessIPv4, &v.AccessIPv4}, {u.AccessIPv6, &v.AccessIPv6},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
}

// UpdateServer changes a server's own words about itself. A host name that was made
// of the server's name follows it; one that somebody chose stays (in nova all stay).
// The guest has it from its next boot on, the network's names at once.
func (s *Service) UpdateServer(ctx context.Context, a Actor, id string, u ServerUpdate) (Detail, error) {
	const op = "compute.UpdateServer"
	return s.change(ctx, op, a, id, "", func(tx *store.Tx, v *cloud.Server) error {
		was := v.Hostname
		if made := "server-" + v.ID; u.Name != nil && u.Hostname == nil && v.Hostname == sanitizeHostname(v.Name, made) {
			follows := sanitizeHostname(*u.Name, made)
			u.Hostname = &follows
		}
		u.apply(v)
		if u.Hostname != nil || u.Name != nil {
			s.push(v) // the guest's metadata says it
		}
		return s.renamePorts(tx, *v, was)
	})
}

// dnsName is the name that a server's ports have of its host name: one label, as
// neutron wants it. The whole name is answered beside it.
func dnsName(hostname string) string {
	label, _, _ := strings.Cut(hostname, ".")
	return label
}

// renamePorts gives the ports of a server that are called as it was the name that
// it has now.
func (s *Service) renamePorts(tx *store.Tx, v cloud.Server, was string) error {
	if dnsName(was) == dnsName(v.Hostname) {
		return nil
	}
	ports, err := s.network.PortsOfDeviceTx(tx, v.ID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DNSName != dnsName(was) {
			continue
		}
		p.DNSName = dnsName(v.Hostname)
		if _, err := s.network.BindPortTx(tx, p); err != nil {
			return err
		}
	}
	return nil
}

// want notes that what is wanted of the server has changed and is to be carried
// out now.
func (s *Service) want(v *cloud.Server) {
	v.Intent.Generation++
	v.NextAttemptAt = s.clock.Now()
	v.Attempt = 0
}

// push has the server's words about itself handed to its node, with the same
// intent.
func (s *Service) push(v *cloud.Server) { v.NextAttemptAt = s.clock.Now() }
