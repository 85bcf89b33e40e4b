package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// The types of object that a policy may be about.
const (
	objectNetwork   = "network"
	objectPool      = "subnetpool"
	objectScope     = "address_scope"
	objectQoS       = "qos_policy"
	objectAddresses = "address_group"
)

// grants are the objects of others that RBAC lets a project use, by action.
type grants map[string]map[string]bool

// granted reads what a caller may use of others' objects of a type. An admin
// owns everything and needs none.
func granted(tx *store.Tx, c cloud.Caller, objectType string) (grants, error) {
	g := grants{}
	if c.IsAdmin() || c.ProjectID == "" {
		return g, nil
	}
	rows, err := tx.RBACPolicies.List(store.Where(store.Eq("target", c.ProjectID), store.Eq("object_type", objectType)))
	for _, p := range rows {
		if g[p.ObjectID] == nil {
			g[p.ObjectID] = map[string]bool{}
		}
		g[p.ObjectID][p.Action] = true
	}
	return g, err
}

// personal is a network as the caller sees it: shared and external to him also
// when only a policy for his project says so.
func (g grants) personal(c cloud.Caller, n cloud.Network) cloud.Network {
	if !c.Owns(n.ProjectID) {
		n.Shared = n.Shared || g[n.ID][cloud.AccessShared]
		n.External = n.External || g[n.ID][cloud.AccessExternal]
	}
	return n
}

// listPersonal lists networks as the caller sees them, also those he does not.
func listPersonal(tx *store.Tx, c cloud.Caller, q store.Query) ([]cloud.Network, error) {
	g, err := granted(tx, c, objectNetwork)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Networks.List(q)
	for i := range rows {
		rows[i] = g.personal(c, rows[i])
	}
	return rows, err
}

// shares tells whether a policy shares an object with the caller's project.
func shares(tx *store.Tx, c cloud.Caller, objectType, id string) (bool, error) {
	g, err := granted(tx, c, objectType)
	return g[id][cloud.AccessShared], err
}

// shareWithAll makes or withdraws the policy behind an object's `shared` or
// `router:external`.
func (s *Service) shareWithAll(tx *store.Tx, objectType, id, owner, action string, on bool) error {
	if _, err := tx.RBACPolicies.DeleteWhere(store.Eq("object_id", id), store.Eq("action", action), store.Eq("target", cloud.EveryProject)); err != nil || !on {
		return err
	}
	return tx.RBACPolicies.Insert(cloud.RBACPolicy{
		ID: cloud.NewID(), ProjectID: owner, ObjectType: objectType, ObjectID: id, Action: action, Target: cloud.EveryProject, CreatedAt: s.clock.Now(),
	})
}

// dropGrants removes the policies about an object that goes away.
func dropGrants(tx *store.Tx, id string) error {
	_, err := tx.RBACPolicies.DeleteWhere(store.Eq("object_id", id))
	return err
}

// RBACCreate asks for a policy.
type RBACCreate struct{ ProjectID, ObjectType, ObjectID, Action, Target string }

// CreateRBACPolicies makes policies about objects of the caller's, all or none.
func (s *Service) CreateRBACPolicies(ctx context.Context, c cloud.Caller, reqs ...RBACCreate) ([]cloud.RBACPolicy, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r RBACCreate) (cloud.RBACPolicy, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return cloud.RBACPolicy{}, err
		}
		if r.Action != cloud.AccessShared && (r.Action != cloud.AccessExternal || r.ObjectType != objectNetwork) {
			return cloud.RBACPolicy{}, invalid("'%s' is not a valid action of an RBAC policy for %s", r.Action, r.ObjectType)
		}
		if r.Target == cloud.EveryProject && !c.IsAdmin() {
			return cloud.RBACPolicy{}, forbidden("(rule:create_rbac_policy and rule:create_rbac_policy:target_tenant)")
		}
		if err := checkQuota(tx, owner, "rbac_policy", 1); err != nil {
			return cloud.RBACPolicy{}, err
		}
		p := cloud.RBACPolicy{ID: cloud.NewID(), ProjectID: owner, ObjectType: r.ObjectType, ObjectID: r.ObjectID, Action: r.Action, Target: r.Target, CreatedAt: s.clock.Now()}
		err = s.markObject(tx, c, p, true)
		if cloud.Is(err, cloud.Forbidden) {
			err = invalid("Only admins can manipulate policies on objects they do not own")
		}
		if err != nil {
			return p, err
		}
		err = tx.RBACPolicies.Insert(p)
		if cloud.Is(err, cloud.Conflict) {
			err = conflict("DuplicatePolicy", "RBAC policy already exists for %s %s, action %s and target %s.", p.ObjectType, p.ObjectID, p.Action, p.Target)
		}
		return p, err
	})
}

// markObject finds the object of a policy, which must be the caller's, and for a
// policy for all projects writes the object's own flag.
func (s *Service) markObject(tx *store.Tx, c cloud.Caller, p cloud.RBACPolicy, on bool) error {
	all := p.Target == cloud.EveryProject
	switch p.ObjectType {
	case objectNetwork:
		n, err := ownNetwork(tx, c, p.ObjectID, "create_rbac_policy")
		if err != nil || !all {
			return err
		}
		if p.Action == cloud.AccessShared {
			n.Shared = on
		} else {
			n.External = on
		}
		n.UpdatedAt, n.Revision = s.clock.Now(), n.Revision+1
		return tx.Networks.Update(n)
	case objectPool:
		v, err := ownPool(tx, c, p.ObjectID, "create_rbac_policy")
		if err == nil && on {
			err = checkScopeAccess(tx, v, p.Target)
		}
		if err != nil || !all {
			return err
		}
		v.Shared = on
		return tx.SubnetPools.Update(v)
	case objectScope:
		v, err := ownScope(tx, c, p.ObjectID, "create_rbac_policy")
		if err != nil || !all {
			return err
		}
		v.Shared = on
		return tx.AddressScopes.Update(v)
	case objectAddresses:
		v, err := ownAddressGroup(tx, c, p.ObjectID, "create_rbac_policy")
		if err != nil || !all {
			return err
		}
		v.Shared = on
		return tx.AddressGroups.Update(v)
	case objectQoS:
		v, err := seeQoS(tx, c, p.ObjectID)
		if err == nil && !c.Owns(v.ProjectID) {
			err = forbidden("rule:create_rbac_policy")
		}
		if err != nil || !all {
			return err
		}
		v.Shared = on
		return tx.QoSPolicies.Update(v)
	}
	return refuse(cloud.Invalid, "InvalidObjectType", "Invalid object type for RBAC policies: %s.", p.ObjectType)
}

// GetRBACPolicy gives a policy of the caller's. Whom it is for does not see it.
func (s *Service) GetRBACPolicy(ctx context.Context, c cloud.Caller, id string) (cloud.RBACPolicy, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.RBACPolicy, error) { return seeRBAC(tx, c, id) })
}

func seeRBAC(tx *store.Tx, c cloud.Caller, id string) (cloud.RBACPolicy, error) {
	p, err := tx.RBACPolicies.Get(id)
	missing := refuse(cloud.NotFound, "RbacPolicyNotFound", "RBAC policy of type None with ID %s not found", id)
	if err == nil && !c.Owns(p.ProjectID) {
		err = missing
	}
	return got(p, err, missing)
}

// ListRBACPolicies lists the caller's policies.
func (s *Service) ListRBACPolicies(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.RBACPolicy, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.RBACPolicy, error) {
		rows, err := tx.RBACPolicies.List(byAge(in(nil, "id", f.IDs)))
		return keep(rows, err, func(p cloud.RBACPolicy) bool { return c.Owns(p.ProjectID) })
	})
}

// UpdateRBACPolicy gives a policy another target.
func (s *Service) UpdateRBACPolicy(ctx context.Context, c cloud.Caller, id, target string) (cloud.RBACPolicy, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.RBACPolicy, error) {
		p, err := seeRBAC(tx, c, id)
		if err != nil || target == p.Target {
			return p, err
		}
		if target == cloud.EveryProject && !c.IsAdmin() {
			return p, forbidden("(rule:update_rbac_policy and rule:update_rbac_policy:target_tenant)")
		}
		if err := checkGrantUnused(tx, p, target); err != nil {
			return p, err
		}
		if err := s.markObject(tx, c, p, false); err != nil {
			return p, err
		}
		p.Target = target
		if err := s.markObject(tx, c, p, true); err != nil {
			return p, err
		}
		return p, tx.RBACPolicies.Update(p)
	})
}

// DeleteRBACPolicy withdraws a policy, unless its target uses the object.
func (s *Service) DeleteRBACPolicy(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		p, err := seeRBAC(tx, c, id)
		if err != nil {
			return err
		}
		if err := checkGrantUnused(tx, p, ""); err != nil {
			return err
		}
		if err := s.markObject(tx, c, p, false); err != nil {
			return err
		}
		return tx.RBACPolicies.Delete(id)
	})
}

func inUse(p cloud.RBACPolicy, by string) error {
	return conflict("RbacPolicyInUse", "RBAC policy on object %s cannot be removed because other objects depend on it. Details: %s", p.ObjectID, by)
}
