package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// RuleCreate asks for a security group rule.
type RuleCreate struct {
	ProjectID, GroupID, Description string
	Direction, Ethertype            string // Ethertype "" is IPv4
	Protocol                        string // "" for any
	PortMin, PortMax                *int
	RemotePrefix                    netip.Prefix
	RemoteGroupID                   string
	RemoteAddressGroupID            string
}

// CreateRules makes rules, all or none.
func (s *Service) CreateRules(ctx context.Context, c cloud.Caller, reqs ...RuleCreate) ([]cloud.SecurityRule, error) {
	if err := oneGroup(reqs); err != nil {
		return nil, err
	}
	return each(ctx, s, reqs, func(tx *store.Tx, r RuleCreate) (cloud.SecurityRule, error) { return s.createRule(tx, c, r) })
}

// oneGroup refuses a bulk for several groups, and one with a rule twice.
func oneGroup(reqs []RuleCreate) error {
	var rules []cloud.SecurityRule
	for _, r := range reqs {
		if r.GroupID != reqs[0].GroupID {
			return invalid("Only allowed to update rules for one security profile at a time")
		}
		rule, err := makeRule(r)
		if err != nil {
			return err
		}
		for _, other := range rules {
			if sameRule(rule, other) {
				return conflict("DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST.")
			}
		}
		rules = append(rules, rule)
	}
	return nil
}

func (s *Service) createRule(tx *store.Tx, c cloud.Caller, r RuleCreate) (cloud.SecurityRule, error) {
	g, err := ownGroup(tx, c, r.GroupID)
	if err != nil {
		return cloud.SecurityRule{}, err
	}
	rule, err := makeRule(r)
	if err != nil {
		return rule, err
	}
	if rule.ProjectID, err = project(c, r.ProjectID); err != nil {
		return rule, err
	}
	if r.RemoteGroupID != "" {
		if _, err := ownGroup(tx, c, r.RemoteGroupID); err != nil {
			return rule, err
		}
	}
	if r.RemoteAddressGroupID != "" {
		if _, err := seeAddressGroup(tx, c, r.RemoteAddressGroupID); err != nil {
			return rule, err
		}
	}
	if err := checkQuota(tx, rule.ProjectID, "security_group_rule", 1); err != nil {
		return rule, err
	}
	present, err := tx.SecurityRules.List(store.Where(store.Eq("group_id", g.ID)))
	if err != nil {
		return rule, err
	}
	for _, other := range present {
		if sameRule(rule, other) {
			return rule, conflict("SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.", other.ID)
		}
	}
	rule.ID, rule.CreatedAt = cloud.NewID(), s.clock.Now()
	rule.UpdatedAt = rule.CreatedAt
	if err := tx.SecurityRules.Insert(rule); err != nil {
		return rule, err
	}
	return rule, s.touchGroup(tx, g)
}

func (s *Service) touchGroup(tx *store.Tx, g cloud.SecurityGroup) error {
	g.UpdatedAt, g.Revision = s.clock.Now(), g.Revision+1
	return tx.SecurityGroups.Update(g)
}

// GetRule gives a rule of the caller's groups.
func (s *Service) GetRule(ctx context.Context, c cloud.Caller, id string) (cloud.SecurityRule, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.SecurityRule, error) { return ownRule(tx, c, id) })
}

func ownRule(tx *store.Tx, c cloud.Caller, id string) (cloud.SecurityRule, error) {
	r, err := tx.SecurityRules.Get(id)
	if err == nil && !c.Owns(r.ProjectID) {
		if _, gerr := ownGroup(tx, c, r.GroupID); gerr != nil {
			err = noRule(id)
		}
	}
	return got(r, err, noRule(id))
}

// ListRules lists the rules of the caller's groups.
func (s *Service) ListRules(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.SecurityRule, error) {
	if err := s.ensureDefaultGroup(ctx, c.ProjectID); err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx *store.Tx) ([]cloud.SecurityRule, error) {
		groups, err := tx.SecurityGroups.List(byAge(mine(nil, c)))
		if err != nil {
			return nil, err
		}
		own := indexed(groups, func(g cloud.SecurityGroup) string { return g.ID }) // whoever wrote the rule
		rows, err := tx.SecurityRules.List(byAge(in(in(nil, "id", f.IDs), "group_id", f.GroupIDs)))
		return keep(rows, err, func(r cloud.SecurityRule) bool {
			_, ok := own[r.GroupID]
			return ok || c.Owns(r.ProjectID)
		})
	})
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		r, err := ownRule(tx, c, id)
		if err != nil {
			return err
		}
		g, err := tx.SecurityGroups.Get(r.GroupID)
		if err != nil {
			return err
		}
		if err := tx.SecurityRules.Delete(id); err != nil {
			return err
		}
		return s.touchGroup(tx, g)
	})
}
