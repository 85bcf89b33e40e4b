package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// expected is what a request believes of the resource that it changes.
type expected struct {
	collection, id string
	revision       int
}

type expectedKey struct{}

// ExpectRevision makes a change to a member of a collection, such as "ports", go
// through only while it has a revision number: If-Match of neutron's extension
// revision-if-match. Else the change is refused with Precondition.
func ExpectRevision(ctx context.Context, collection, id string, revision int) context.Context {
	return context.WithValue(ctx, expectedKey{}, expected{collection, id, revision})
}

// change runs fn in a transaction, unless the request expects another revision.
func (s *Service) change(ctx context.Context, fn func(tx *store.Tx) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if want, ok := ctx.Value(expectedKey{}).(expected); ok {
			if err := want.check(tx); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// check says nothing of what is not there: the change itself does.
func (e expected) check(tx *store.Tx) error {
	now, err := e.current(tx)
	switch {
	case cloud.Is(err, cloud.NotFound):
		return nil
	case err != nil:
		return err
	case now != e.revision:
		return refuse(cloud.Precondition, "RevisionNumberConstraintFailed", "Constrained to %d, but current revision is %d", e.revision, now)
	}
	return nil
}

func (e expected) current(tx *store.Tx) (int, error) {
	switch e.collection {
	case "networks":
		v, err := tx.Networks.Get(e.id)
		return v.Revision, err
	case "subnets":
		v, err := tx.Subnets.Get(e.id)
		return v.Revision, err
	case "ports":
		v, err := tx.Ports.Get(e.id)
		return v.Revision, err
	case "routers":
		v, err := tx.Routers.Get(e.id)
		return v.Revision, err
	case "floatingips":
		v, err := tx.FloatingIPs.Get(e.id)
		return v.Revision, err
	case "security_groups":
		v, err := tx.SecurityGroups.Get(e.id)
		return v.Revision, err
	case "subnetpools":
		v, err := tx.SubnetPools.Get(e.id)
		return v.Revision, err
	case "trunks":
		v, err := tx.Trunks.Get(e.id)
		return v.Revision, err
	case "policies":
		v, err := tx.QoSPolicies.Get(e.id)
		return v.Revision, err
	}
	return e.revision, nil
}
