package network

import (
	"cmp"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// checkGrantUnused refuses to take a policy away, or to give it another target, from a
// project that uses the object by this policy alone. next is the new target; "" for
// none.
func checkGrantUnused(tx *store.Tx, p cloud.RBACPolicy, next string) error {
	owner, users, err := usersOf(tx, p)
	if err != nil || len(users) == 0 {
		return err
	}
	others, err := tx.RBACPolicies.List(store.Where(store.Eq("object_id", p.ObjectID), store.Eq("action", p.Action)))
	if err != nil {
		return err
	}
	covered := map[string]bool{}
	if p.ObjectType == objectNetwork {
		covered[next] = true // of the others neutron looks at what is taken away only
	}
	for _, o := range others {
		if o.ID != p.ID {
			covered[o.Target] = true
		}
	}
	if covered[cloud.EveryProject] {
		return nil
	}
	for user, by := range users {
		hit := p.Target == user || p.Target == cloud.EveryProject
		if user != owner && hit && !covered[user] {
			return inUse(p, by)
		}
	}
	return nil
}

// usersOf finds the projects that use an object in the way that a policy allows, each
// with a thing of theirs that does; and who needs no policy to.
func usersOf(tx *store.Tx, p cloud.RBACPolicy) (owner string, users map[string]string, err error) {
	users = map[string]string{}
	switch {
	case p.ObjectType == objectNetwork && p.Action == cloud.AccessExternal:
		return "", users, externalUsers(tx, p.ObjectID, users)
	case p.ObjectType == objectNetwork:
		n, err := tx.Networks.Get(p.ObjectID)
		if err != nil {
			return "", nil, err
		}
		return n.ProjectID, users, portUsers(tx, n.ID, users)
	case p.ObjectType == objectQoS:
		return "", users, qosUsers(tx, p.ObjectID, users)
	case p.ObjectType == objectAddresses:
		rules, err := rulesTo(tx, p.ObjectID)
		for _, r := range rules {
			users[r.ProjectID] = r.ID
		}
		group, gerr := tx.AddressGroups.Get(p.ObjectID)
		return group.ProjectID, users, cmp.Or(err, gerr)
	case p.ObjectType == objectPool:
		subnets, err := cutFrom(tx, p.ObjectID)
		for _, s := range subnets {
			users[s.ProjectID] = s.ID
		}
		pool, gerr := tx.SubnetPools.Get(p.ObjectID)
		return pool.ProjectID, users, cmp.Or(err, gerr)
	case p.ObjectType == objectScope:
		pools, err := tx.SubnetPools.List(store.Where(store.Eq("address_scope_id", p.ObjectID)))
		for _, v := range pools {
			users[v.ProjectID] = v.ID
		}
		scope, gerr := tx.AddressScopes.Get(p.ObjectID)
		return scope.ProjectID, users, cmp.Or(err, gerr)
	}
	return "", users, nil
}

// externalUsers adds whose routers have a gateway on a network, and whose floating IPs
// are of it.
func externalUsers(tx *store.Tx, networkID string, users map[string]string) error {
	routers, err := tx.Routers.List(store.Where(store.Eq("gateway_network_id", networkID)))
	if err != nil {
		return err
	}
	for _, r := range routers {
		users[r.ProjectID] = r.ID
	}
	ips, err := tx.FloatingIPs.List(store.Where(store.Eq("network_id", networkID)))
	for _, f := range ips {
		users[f.ProjectID] = f.ID
	}
	return err
}

func portUsers(tx *store.Tx, networkID string, users map[string]string) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", networkID)))
	for _, p := range ports {
		if p.ProjectID != "" && !serviceOwner(p.DeviceOwner) {
			users[p.ProjectID] = p.ID
		}
	}
	return err
}

// qosUsers adds whose networks and ports have a QoS policy.
func qosUsers(tx *store.Tx, policyID string, users map[string]string) error {
	nets, err := tx.Networks.List(store.Query{})
	if err != nil {
		return err
	}
	for _, n := range nets {
		if n.QoSPolicyID == policyID {
			users[n.ProjectID] = n.ID
		}
	}
	ports, err := tx.Ports.List(store.Query{})
	for _, p := range ports {
		if p.QoSPolicyID == policyID && p.ProjectID != "" {
			users[p.ProjectID] = p.ID
		}
	}
	return err
}

// externalBy finds the networks that a policy makes external to somebody: to their
// owners they are.
func externalBy(tx *store.Tx, c cloud.Caller, rows ...cloud.Network) error {
	if !slices.ContainsFunc(rows, func(n cloud.Network) bool { return !n.External && c.Owns(n.ProjectID) }) {
		return nil
	}
	policies, err := tx.RBACPolicies.List(store.Where(store.Eq("action", cloud.AccessExternal)))
	for i := range rows {
		by := func(p cloud.RBACPolicy) bool { return p.ObjectID == rows[i].ID }
		if c.Owns(rows[i].ProjectID) && slices.ContainsFunc(policies, by) {
			rows[i].External = true
		}
	}
	return err
}

// checkScopeAccess refuses to share a pool with a project that cannot see the address
// scope which it is of.
func checkScopeAccess(tx *store.Tx, p cloud.SubnetPool, target string) error {
	if p.AddressScopeID == "" {
		return nil
	}
	scope, err := tx.AddressScopes.Get(p.AddressScopeID)
	if err != nil || scope.Shared || scope.ProjectID == target {
		return err
	}
	n, err := tx.RBACPolicies.Count(store.Eq("object_id", scope.ID), store.Eq("target", target))
	if err == nil && n == 0 {
		err = invalid("Subnetpool %s cannot be shared with %s, because its address scope %s is not", p.ID, target, scope.ID)
	}
	return err
}
