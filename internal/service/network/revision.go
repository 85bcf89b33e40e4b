package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// revision is what a caller knows of a resource and wants to be true still.
type revision struct {
	collection, id string
	number         int
}

type revisionKey struct{}

// IfRevision makes the changes that are asked for with the context happen only
// if the resource has this revision: Precondition otherwise. The collection is
// the path's: "networks", "security-groups".
func IfRevision(ctx context.Context, collection, id string, number int) context.Context {
	return context.WithValue(ctx, revisionKey{}, revision{collection, id, number})
}

// write runs fn in a transaction, in which the revision that the context wants
// is looked at first.
func (s *Service) write(ctx context.Context, fn func(tx *store.Tx) error) error {
	want, ok := ctx.Value(revisionKey{}).(revision)
	if !ok {
		return s.store.Update(ctx, fn)
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		is, err := revisionOf(tx, want.collection, want.id)
		switch {
		case cloud.Is(err, cloud.NotFound): // fn says it in its own words
		case err != nil:
			return err
		case is != want.number:
			return refuse(cloud.Precondition, "RevisionNumberConstraintFailed", "Constrained to %d, but current revision is %d", want.number, is)
		}
		return fn(tx)
	})
}

// revisionOf gives the revision of a resource; NotFound, and Invalid for one of a
// kind that has none.
func revisionOf(tx *store.Tx, collection, id string) (int, error) {
	switch collection {
	case "networks":
		v, err := tx.Networks.Get(id)
		return v.Revision, err
	case "subnets":
		v, err := tx.Subnets.Get(id)
		return v.Revision, err
	case "ports":
		v, err := tx.Ports.Get(id)
		return v.Revision, err
	case "routers":
		v, err := tx.Routers.Get(id)
		return v.Revision, err
	case "floatingips":
		v, err := tx.FloatingIPs.Get(id)
		return v.Revision, err
	case "security-groups":
		v, err := tx.SecurityGroups.Get(id)
		return v.Revision, err
	case "security-group-rules":
		v, err := tx.SecurityRules.Get(id)
		return v.Revision, err
	case "subnetpools":
		v, err := tx.SubnetPools.Get(id)
		return v.Revision, err
	case "qos/policies":
		v, err := tx.QoSPolicies.Get(id)
		return v.Revision, err
	}
	return 0, badRequest(collection, "Revision matching not supported for this resource")
}
