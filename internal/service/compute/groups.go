package compute

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// AddGroup puts a security group, by name or id, on all ports of a server.
func (s *Service) AddGroup(ctx context.Context, a Actor, id, group string) error {
	return s.changeGroups(ctx, "compute.AddGroup", a, id, group, "addSecurityGroup", func(groups []string, g string) ([]string, bool) {
		if slices.Contains(groups, g) {
			return groups, false
		}
		return append(slices.Clone(groups), g), true
	})
}

// RemoveGroup takes a security group off all ports of a server; NotFound when
// none wears it.
func (s *Service) RemoveGroup(ctx context.Context, a Actor, id, group string) error {
	return s.changeGroups(ctx, "compute.RemoveGroup", a, id, group, "removeSecurityGroup", func(groups []string, g string) ([]string, bool) {
		return slices.DeleteFunc(slices.Clone(groups), func(x string) bool { return x == g }), slices.Contains(groups, g)
	})
}

// changeGroups changes the groups of every port of a server. The housekeeper
// sees the ports change and tells the nodes.
func (s *Service) changeGroups(ctx context.Context, op string, a Actor, id, group, action string, change func([]string, string) ([]string, bool)) error {
	_, err := s.change(ctx, op, a, id, "", func(tx *store.Tx, v *cloud.Server) error {
		found, err := s.network.GroupsTx(tx, a.Caller, []string{group})
		if err != nil {
			return err
		}
		g := found[0]
		ports, err := tx.Ports.List(store.Where(store.Eq("device_id", v.ID)))
		if err != nil {
			return err
		}
		changed := 0
		for _, p := range ports {
			groups, ok := change(p.SecurityGroups, g)
			if !ok || !p.PortSecurity {
				continue
			}
			p.SecurityGroups, p.UpdatedAt = groups, s.clock.Now()
			p.Revision++
			if err := tx.Ports.Update(p); err != nil {
				return err
			}
			changed++
		}
		switch {
		case len(ports) == 0:
			return cloud.E(op, cloud.Invalid, "Instance %s has no port to put a security group on", v.ID)
		case changed == 0 && action == "removeSecurityGroup":
			return cloud.E(op, cloud.NotFound, "Security group %s not associated with the instance %s", group, v.ID)
		}
		return nil
	})
	return err
}

// GroupDetail is a security group with its rules.
type GroupDetail struct {
	cloud.SecurityGroup
	Rules []cloud.SecurityRule
}

// ServerGroups lists the security groups that the ports of a server wear.
func (s *Service) ServerGroups(ctx context.Context, c cloud.Caller, id string) (list []GroupDetail, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := serverTx(tx, "compute.ServerGroups", c, id); err != nil {
			return err
		}
		ports, err := tx.Ports.List(store.Where(store.Eq("device_id", id)))
		if err != nil {
			return err
		}
		var ids []string
		for _, p := range ports {
			ids = append(ids, p.SecurityGroups...)
		}
		groups, err := tx.SecurityGroups.List(store.Query{Where: []store.Cond{store.In("id", ids...)}, Order: []store.Order{{Column: "name"}}})
		if err == nil {
			list, err = groupDetails(tx, groups)
		}
		return err
	})
	return list, err
}

// groupDetails reads the rules of groups in one query.
func groupDetails(tx *store.Tx, groups []cloud.SecurityGroup) ([]GroupDetail, error) {
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	rules, err := tx.SecurityRules.List(store.Where(store.In("group_id", ids...)))
	out := make([]GroupDetail, len(groups))
	for i, g := range groups {
		out[i].SecurityGroup = g
		for _, r := range rules {
			if r.GroupID == g.ID {
				out[i].Rules = append(out[i].Rules, r)
			}
		}
	}
	return out, err
}
