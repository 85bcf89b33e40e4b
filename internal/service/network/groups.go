package network

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// DefaultGroup is the name of the group that each project has from the start.
const DefaultGroup = "default"

// GroupCreate asks for a security group.
type GroupCreate struct {
	ProjectID, Name, Description string
	Stateful                     *bool
}

// GroupUpdate changes what is not nil.
type GroupUpdate struct {
	Name, Description *string
	Stateful          *bool
}

// GroupView is a group with its rules.
type GroupView struct {
	cloud.SecurityGroup
	Rules []cloud.SecurityRule
}

// CreateGroups makes groups, each with the two rules that let everything out.
func (s *Service) CreateGroups(ctx context.Context, c cloud.Caller, reqs ...GroupCreate) ([]GroupView, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r GroupCreate) (GroupView, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return GroupView{}, err
		}
		if strings.EqualFold(r.Name, DefaultGroup) {
			return GroupView{}, conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
		}
		if _, err := s.DefaultGroupTx(tx, owner); err != nil {
			return GroupView{}, err
		}
		if err := checkQuota(tx, owner, "security_group", 1); err != nil {
			return GroupView{}, err
		}
		if err := checkQuota(tx, owner, "security_group_rule", 2); err != nil {
			return GroupView{}, err
		}
		return s.insertGroup(tx, cloud.SecurityGroup{ProjectID: owner, Name: r.Name, Description: r.Description, Stateful: or(r.Stateful, true)})
	})
}

// insertGroup writes a group and its first rules: all egress, and in the
// default group all ingress from its own members.
func (s *Service) insertGroup(tx *store.Tx, g cloud.SecurityGroup) (GroupView, error) {
	now := s.clock.Now()
	g.ID, g.CreatedAt, g.UpdatedAt, g.Revision = cloud.NewID(), now, now, 1
	if err := tx.SecurityGroups.Insert(g); err != nil {
		return GroupView{}, err
	}
	v := GroupView{SecurityGroup: g}
	for _, ethertype := range []string{"IPv4", "IPv6"} {
		rule := cloud.SecurityRule{
			ProjectID: g.ProjectID, GroupID: g.ID, Direction: "egress", Ethertype: ethertype, PortMin: -1, PortMax: -1,
			CreatedAt: now, UpdatedAt: now,
		}
		rules := []cloud.SecurityRule{rule}
		if g.Name == DefaultGroup {
			rule.Direction, rule.RemoteGroupID = "ingress", g.ID
			rules = append(rules, rule)
		}
		for _, rule := range rules {
			rule.ID = cloud.NewID()
			if err := tx.SecurityRules.Insert(rule); err != nil {
				return v, err
			}
			v.Rules = append(v.Rules, rule)
		}
	}
	return v, nil
}

// DefaultGroupTx gives the default group of a project, made on first use.
func (s *Service) DefaultGroupTx(tx *store.Tx, projectID string) (cloud.SecurityGroup, error) {
	rows, err := tx.SecurityGroups.List(byAge([]store.Cond{store.Eq("project_id", projectID), store.Eq("name", DefaultGroup)}))
	if err != nil {
		return cloud.SecurityGroup{}, err
	}
	if len(rows) > 0 {
		return rows[0], nil
	}
	v, err := s.insertGroup(tx, cloud.SecurityGroup{ProjectID: projectID, Name: DefaultGroup, Description: "Default security group", Stateful: true})
	return v.SecurityGroup, err
}

// ensureDefaultGroup makes the caller's default group, before what shows it.
func (s *Service) ensureDefaultGroup(ctx context.Context, projectID string) error {
	if projectID == "" {
		return nil
	}
	n, err := view(ctx, s, func(tx *store.Tx) (int, error) {
		return tx.SecurityGroups.Count(store.Eq("project_id", projectID), store.Eq("name", DefaultGroup))
	})
	if err != nil || n > 0 {
		return err
	}
	return s.change(ctx, func(tx *store.Tx) error {
		_, err := s.DefaultGroupTx(tx, projectID)
		return err
	})
}

// GetGroup gives a group of the caller's.
func (s *Service) GetGroup(ctx context.Context, c cloud.Caller, id string) (GroupView, error) {
	return view(ctx, s, func(tx *store.Tx) (GroupView, error) {
		g, err := ownGroup(tx, c, id)
		if err != nil {
			return GroupView{}, err
		}
		return viewGroup(tx, g)
	})
}

func viewGroup(tx *store.Tx, g cloud.SecurityGroup) (GroupView, error) {
	rules, err := tx.SecurityRules.List(byAge([]store.Cond{store.Eq("group_id", g.ID)}))
	// Those that a group begins with are of one moment: they keep their order.
	slices.SortStableFunc(rules, func(a, b cloud.SecurityRule) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Ethertype, b.Ethertype), strings.Compare(a.Direction, b.Direction))
	})
	return GroupView{SecurityGroup: g, Rules: rules}, err
}

// ListGroups lists the caller's groups, the default one among them; projectID
// is whose default group an admin expects to find.
func (s *Service) ListGroups(ctx context.Context, c cloud.Caller, f Filter, projectID string) ([]GroupView, error) {
	if projectID == "" || !c.Owns(projectID) {
		projectID = c.ProjectID
	}
	if err := s.ensureDefaultGroup(ctx, projectID); err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx *store.Tx) ([]GroupView, error) {
		rows, err := tx.SecurityGroups.List(byAge(mine(in(nil, "id", f.IDs), c)))
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(rows))
		for i, g := range rows {
			ids[i] = g.ID
		}
		rules, err := related(tx.SecurityRules, "group_id", ids, func(r cloud.SecurityRule) string { return r.GroupID })
		out := make([]GroupView, len(rows))
		for i, g := range rows {
			out[i] = GroupView{SecurityGroup: g, Rules: rules[g.ID]}
		}
		return out, err
	})
}

// UpdateGroup changes a group of the caller's.
func (s *Service) UpdateGroup(ctx context.Context, c cloud.Caller, id string, r GroupUpdate) (GroupView, error) {
	return update(ctx, s, func(tx *store.Tx) (GroupView, error) {
		g, err := ownGroup(tx, c, id)
		if err != nil {
			return GroupView{}, err
		}
		if r.Name != nil && g.Name != *r.Name {
			switch {
			case g.Name == DefaultGroup:
				return GroupView{}, conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
			case strings.EqualFold(*r.Name, DefaultGroup):
				return GroupView{}, conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
			}
		}
		if r.Stateful != nil && *r.Stateful != g.Stateful {
			if err := groupUnused(tx, id); err != nil {
				return GroupView{}, err
			}
		}
		set(&g.Name, r.Name)
		set(&g.Description, r.Description)
		set(&g.Stateful, r.Stateful)
		g.UpdatedAt, g.Revision = s.clock.Now(), g.Revision+1
		if err := tx.SecurityGroups.Update(g); err != nil {
			return GroupView{}, err
		}
		return viewGroup(tx, g)
	})
}

// groupUnused refuses when a port wears the group.
func groupUnused(tx *store.Tx, id string) error {
	ports, err := tx.Ports.List(store.Query{}) // all: an admin may put a group on any port
	for _, p := range ports {
		for _, worn := range p.SecurityGroups {
			if worn == id {
				return conflict("SecurityGroupInUse", "Security Group %s in use.", id)
			}
		}
	}
	return err
}

// DeleteGroup removes a group that no port wears, with the rules that refer to
// it.
func (s *Service) DeleteGroup(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		g, err := ownGroup(tx, c, id)
		if err != nil {
			return err
		}
		if g.Name == DefaultGroup && !c.IsAdmin() {
			return conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
		}
		if err := groupUnused(tx, id); err != nil {
			return err
		}
		for _, column := range []string{"group_id", "remote_group_id"} {
			if _, err := tx.SecurityRules.DeleteWhere(store.Eq(column, id)); err != nil {
				return err
			}
		}
		return tx.SecurityGroups.Delete(id)
	})
}
