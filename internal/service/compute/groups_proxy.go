package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

// The security groups of nova's own API: the network service's, with nova's
// kinds of refusals.

// SecurityGroups lists the groups of the caller's project, or for an admin those
// of all.
func (s *Service) SecurityGroups(ctx context.Context, c cloud.Caller, all bool) (list []GroupDetail, err error) {
	groups, err := s.network.ListGroups(ctx, c, network.Filter{}, "")
	for _, g := range groups {
		if g.ProjectID == c.ProjectID || all && c.IsAdmin() {
			list = append(list, GroupDetail(g))
		}
	}
	return list, err
}

// CreateGroup makes a security group.
func (s *Service) CreateGroup(ctx context.Context, c cloud.Caller, name, description string) (GroupDetail, error) {
	made, err := s.network.CreateGroups(ctx, c, network.GroupCreate{Name: name, Description: description})
	if err != nil {
		return GroupDetail{}, asNova("compute.CreateGroup", err)
	}
	return GroupDetail(made[0]), nil
}

// UpdateGroup renames and describes a security group anew.
func (s *Service) UpdateGroup(ctx context.Context, c cloud.Caller, id, name, description string) (GroupDetail, error) {
	g, err := s.network.UpdateGroup(ctx, c, id, network.GroupUpdate{Name: &name, Description: &description})
	return GroupDetail(g), asNova("compute.UpdateGroup", err)
}

// DeleteGroup removes a security group that no port wears.
func (s *Service) DeleteGroup(ctx context.Context, c cloud.Caller, id string) error {
	return asNova("compute.DeleteGroup", s.network.DeleteGroup(ctx, c, id))
}

// CreateRule lets traffic in.
func (s *Service) CreateRule(ctx context.Context, c cloud.Caller, r network.RuleCreate) (cloud.SecurityRule, error) {
	r.Direction = "ingress"
	made, err := s.network.CreateRules(ctx, c, r)
	if err != nil {
		return cloud.SecurityRule{}, asNova("compute.CreateRule", err)
	}
	return made[0], nil
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, c cloud.Caller, id string) error {
	return asNova("compute.DeleteRule", s.network.DeleteRule(ctx, c, id))
}

// asNova makes a mistake of the request of what neutron calls a conflict
// (nova/network/security_group_api.py, raise_invalid_property).
func asNova(op string, err error) error {
	if cloud.Is(err, cloud.Conflict) {
		return cloud.E(op, cloud.Invalid, "%s", cloud.Message(err))
	}
	return err
}
