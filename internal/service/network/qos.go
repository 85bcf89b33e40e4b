package network

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// QoSCreate asks for a QoS policy.
type QoSCreate struct {
	ProjectID, Name, Description string
	Shared, IsDefault            bool
}

// QoSUpdate changes what is not nil.
type QoSUpdate struct {
	Name, Description *string
	Shared, IsDefault *bool
}

func noQoS(id string) error {
	return refuse(cloud.NotFound, "QosPolicyNotFound", "QoS policy %s could not be found.", id)
}

// seeQoS gives a QoS policy of the caller's, or one shared with it.
func seeQoS(tx *store.Tx, c cloud.Caller, id string) (cloud.QoSPolicy, error) {
	p, err := tx.QoSPolicies.Get(id)
	if err == nil && !c.Owns(p.ProjectID) && !p.Shared {
		p.Shared, err = shares(tx, c, objectQoS, id) // with the caller, which is what it is told
		if err == nil && !p.Shared {
			err = noQoS(id)
		}
	}
	return got(p, err, noQoS(id))
}

// CreateQoSPolicies makes QoS policies with no rules yet, all or none. Only admins may.
func (s *Service) CreateQoSPolicies(ctx context.Context, c cloud.Caller, reqs ...QoSCreate) ([]cloud.QoSPolicy, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r QoSCreate) (cloud.QoSPolicy, error) {
		owner, err := project(c, r.ProjectID)
		if err == nil && !c.IsAdmin() {
			err = forbidden("(rule:create_policy)")
		}
		if err != nil {
			return cloud.QoSPolicy{}, err
		}
		now := s.clock.Now()
		p := cloud.QoSPolicy{
			ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description, Shared: r.Shared, IsDefault: r.IsDefault,
			CreatedAt: now, UpdatedAt: now,
		}
		if err := checkDefaultQoS(tx, p); err != nil {
			return p, err
		}
		if err := tx.QoSPolicies.Insert(p); err != nil {
			return p, err
		}
		return p, s.shareWithAll(tx, objectQoS, p.ID, owner, cloud.AccessShared, p.Shared)
	})
}

// checkDefaultQoS refuses a second default policy of a project.
func checkDefaultQoS(tx *store.Tx, p cloud.QoSPolicy) error {
	if !p.IsDefault {
		return nil
	}
	other, err := defaultQoS(tx, p.ProjectID)
	if err == nil && other != "" && other != p.ID {
		err = conflict("QoSPolicyDefaultAlreadyExists", "A default QoS policy exists for project %s: %s.", p.ProjectID, other)
	}
	return err
}

// defaultQoS gives the id of a project's default policy; "" if it has none.
func defaultQoS(tx *store.Tx, projectID string) (string, error) {
	rows, err := tx.QoSPolicies.List(store.Where(store.Eq("project_id", projectID)))
	i := slices.IndexFunc(rows, func(p cloud.QoSPolicy) bool { return p.IsDefault })
	if i < 0 {
		return "", err
	}
	return rows[i].ID, err
}

// GetQoSPolicy gives a QoS policy that the caller may see.
func (s *Service) GetQoSPolicy(ctx context.Context, c cloud.Caller, id string) (cloud.QoSPolicy, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.QoSPolicy, error) { return seeQoS(tx, c, id) })
}

// ListQoSPolicies lists the QoS policies that the caller may see.
func (s *Service) ListQoSPolicies(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.QoSPolicy, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.QoSPolicy, error) {
		g, err := granted(tx, c, objectQoS)
		if err != nil {
			return nil, err
		}
		rows, err := tx.QoSPolicies.List(byAge(in(nil, "id", f.IDs)))
		for i := range rows {
			rows[i].Shared = rows[i].Shared || g[rows[i].ID][cloud.AccessShared]
		}
		return keep(rows, err, func(p cloud.QoSPolicy) bool { return c.Owns(p.ProjectID) || p.Shared })
	})
}

// UpdateQoSPolicy changes a QoS policy.
func (s *Service) UpdateQoSPolicy(ctx context.Context, c cloud.Caller, id string, r QoSUpdate) (cloud.QoSPolicy, error) {
	return s.changeQoS(ctx, c, id, func(tx *store.Tx, p *cloud.QoSPolicy) error {
		set(&p.Name, r.Name)
		set(&p.Description, r.Description)
		set(&p.IsDefault, r.IsDefault)
		if err := checkDefaultQoS(tx, *p); err != nil || r.Shared == nil || *r.Shared == p.Shared {
			return err
		}
		p.Shared = *r.Shared
		if !p.Shared {
			grant, err := tx.RBACPolicies.Find(store.Eq("object_id", id), store.Eq("action", cloud.AccessShared), store.Eq("target", cloud.EveryProject))
			if err == nil {
				err = checkGrantUnused(tx, grant, "")
			}
			if err != nil && !cloud.Is(err, cloud.NotFound) {
				return err
			}
		}
		return s.shareWithAll(tx, objectQoS, id, p.ProjectID, cloud.AccessShared, p.Shared)
	})
}

func (s *Service) changeQoS(ctx context.Context, c cloud.Caller, id string, change func(*store.Tx, *cloud.QoSPolicy) error) (cloud.QoSPolicy, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.QoSPolicy, error) {
		p, err := seeQoS(tx, c, id)
		if err == nil && !c.IsAdmin() {
			err = forbidden("(rule:update_policy)")
		}
		if err != nil {
			return p, err
		}
		if err := change(tx, &p); err != nil {
			return p, err
		}
		p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
		return p, tx.QoSPolicies.Update(p)
	})
}

// DeleteQoSPolicy removes a QoS policy that no port and no network has.
func (s *Service) DeleteQoSPolicy(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := seeQoS(tx, c, id); err != nil {
			return err
		}
		if !c.IsAdmin() {
			return forbidden("(rule:delete_policy)")
		}
		ports, err := tx.Ports.List(store.Query{})
		if err != nil {
			return err
		}
		for _, p := range ports {
			if p.QoSPolicyID == id {
				return conflict("QosPolicyInUse", "QoS Policy %s is used by port %s.", id, p.ID)
			}
		}
		nets, err := tx.Networks.List(store.Query{})
		if err != nil {
			return err
		}
		for _, n := range nets {
			if n.QoSPolicyID == id {
				return conflict("QosPolicyInUse", "QoS Policy %s is used by network %s.", id, n.ID)
			}
		}
		if err := dropGrants(tx, id); err != nil {
			return err
		}
		return tx.QoSPolicies.Delete(id)
	})
}

// LimitChange changes of a bandwidth limit what is not nil.
type LimitChange struct {
	Direction     *string
	Kbps, BurstKb *int
}

func noLimit(policyID, id string) error {
	return refuse(cloud.NotFound, "QosRuleNotFound", "QoS rule of type bandwidth_limit with rule ID %s for policy ID %s could not be found.", id, policyID)
}

// CreateLimit adds a bandwidth limit to a policy: one for each direction at most.
func (s *Service) CreateLimit(ctx context.Context, c cloud.Caller, policyID string, r LimitChange) (cloud.BandwidthLimit, error) {
	l := cloud.BandwidthLimit{ID: cloud.NewID(), Direction: or(r.Direction, cloud.Egress), Kbps: or(r.Kbps, 0), BurstKb: or(r.BurstKb, 0)}
	if !c.IsAdmin() {
		return l, forbidden("(rule:create_policy_bandwidth_limit_rule)")
	}
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		p.Limits = append(p.Limits, l)
		return checkLimits(*p)
	})
	return l, err
}

func checkLimits(p cloud.QoSPolicy) error {
	seen := map[string]string{}
	for _, l := range p.Limits {
		if l.Kbps == 0 && l.BurstKb == 0 {
			return badRequest("bandwidth_limit_rule", "Either 'max_kbps' or 'max_burst_kbps' value must be greater than 0")
		}
		if other, twice := seen[l.Direction]; twice {
			return conflict("QoSRulesConflict", "Rule %s conflicts with rule %s which already exists in QoS Policy %s.", l.ID, other, p.ID)
		}
		seen[l.Direction] = l.ID
	}
	return nil
}

// UpdateLimit changes a bandwidth limit.
func (s *Service) UpdateLimit(ctx context.Context, c cloud.Caller, policyID, id string, r LimitChange) (cloud.BandwidthLimit, error) {
	var changed cloud.BandwidthLimit
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		i := limitIndex(*p, id)
		if i < 0 {
			return noLimit(policyID, id)
		}
		set(&p.Limits[i].Direction, r.Direction)
		set(&p.Limits[i].Kbps, r.Kbps)
		set(&p.Limits[i].BurstKb, r.BurstKb)
		changed = p.Limits[i]
		return checkLimits(*p)
	})
	return changed, err
}

// DeleteLimit removes a bandwidth limit.
func (s *Service) DeleteLimit(ctx context.Context, c cloud.Caller, policyID, id string) error {
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		i := limitIndex(*p, id)
		if i < 0 {
			return noLimit(policyID, id)
		}
		p.Limits = slices.Delete(p.Limits, i, i+1)
		return nil
	})
	return err
}

// GetLimit gives a bandwidth limit of a policy that the caller may see.
func (s *Service) GetLimit(ctx context.Context, c cloud.Caller, policyID, id string) (cloud.BandwidthLimit, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.BandwidthLimit, error) {
		p, err := seeQoS(tx, c, policyID)
		if err != nil {
			return cloud.BandwidthLimit{}, err
		}
		if i := limitIndex(p, id); i >= 0 {
			return p.Limits[i], nil
		}
		return cloud.BandwidthLimit{}, noLimit(policyID, id)
	})
}

func limitIndex(p cloud.QoSPolicy, id string) int {
	return slices.IndexFunc(p.Limits, func(l cloud.BandwidthLimit) bool { return l.ID == id })
}

// chooseQoS judges the policy that a port or a network asks for; "" is none.
func chooseQoS(tx *store.Tx, c cloud.Caller, id *string) error {
	if id == nil || *id == "" {
		return nil
	}
	_, err := seeQoS(tx, c, *id)
	return err
}
