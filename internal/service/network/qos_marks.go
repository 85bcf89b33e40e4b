package network

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// DSCPMarks are the code points that rules may mark with, as neutron has them: class
// selectors, assured and expedited forwarding (RFC 2474, 2597, 3246).
var DSCPMarks = []int{0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56}

func noMark(policyID, id string) error {
	return refuse(cloud.NotFound, "QosRuleNotFound", "QoS rule of type dscp_marking with rule ID %s for policy ID %s could not be found.", id, policyID)
}

func markIndex(p cloud.QoSPolicy, id string) int {
	return slices.IndexFunc(p.Marks, func(m cloud.DSCPMark) bool { return m.ID == id })
}

// CreateMark adds a mark to a policy that has none.
func (s *Service) CreateMark(ctx context.Context, c cloud.Caller, policyID string, mark int) (cloud.DSCPMark, error) {
	m := cloud.DSCPMark{ID: cloud.NewID(), Mark: mark}
	if !c.IsAdmin() {
		return m, forbidden("(rule:create_policy_dscp_marking_rule)")
	}
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		if len(p.Marks) > 0 {
			return conflict("QoSRulesConflict", "Rule %s conflicts with rule %s which already exists in QoS Policy %s.", m.ID, p.Marks[0].ID, p.ID)
		}
		p.Marks = append(p.Marks, m)
		return nil
	})
	return m, err
}

// UpdateMark changes a mark, if there is one to change it to.
func (s *Service) UpdateMark(ctx context.Context, c cloud.Caller, policyID, id string, mark *int) (cloud.DSCPMark, error) {
	var changed cloud.DSCPMark
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		i := markIndex(*p, id)
		if i < 0 {
			return noMark(policyID, id)
		}
		set(&p.Marks[i].Mark, mark)
		changed = p.Marks[i]
		return nil
	})
	return changed, err
}

// DeleteMark removes a mark.
func (s *Service) DeleteMark(ctx context.Context, c cloud.Caller, policyID, id string) error {
	_, err := s.changeQoS(ctx, c, policyID, func(_ *store.Tx, p *cloud.QoSPolicy) error {
		i := markIndex(*p, id)
		if i < 0 {
			return noMark(policyID, id)
		}
		p.Marks = slices.Delete(p.Marks, i, i+1)
		return nil
	})
	return err
}

// GetMark gives a mark of a policy that the caller may see.
func (s *Service) GetMark(ctx context.Context, c cloud.Caller, policyID, id string) (cloud.DSCPMark, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.DSCPMark, error) {
		p, err := seeQoS(tx, c, policyID)
		if err != nil {
			return cloud.DSCPMark{}, err
		}
		if i := markIndex(p, id); i >= 0 {
			return p.Marks[i], nil
		}
		return cloud.DSCPMark{}, noMark(policyID, id)
	})
}
