package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Inference is a role with those that it implies directly, by name.
type Inference struct {
	Prior   cloud.Role
	Implied []cloud.Role
}

// implications are the rules: the ids of what a role implies directly.
func implications(tx *store.Tx) (map[string][]string, error) {
	rules, err := tx.ImpliedRoles.List(store.Query{})
	out := make(map[string][]string, len(rules))
	for _, r := range rules {
		out[r.PriorID] = append(out[r.PriorID], r.ImpliedID)
	}
	return out, err
}

// closure is a role with all that it brings along, however far.
func closure(rules map[string][]string, roleID string) []string {
	out := []string{roleID}
	for i := 0; i < len(out); i++ {
		for _, id := range rules[out[i]] {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// Inferences are the roles that imply others, or those of one role alone, which
// may imply none; NotFound.
func (s *Service) Inferences(ctx context.Context, priorID string) (out []Inference, err error) {
	err = s.view(ctx, func(tx *store.Tx) error {
		out = nil
		if err := refer(tx.Roles, "role", priorID, cloud.NotFound); err != nil {
			return err
		}
		rules, err := implications(tx)
		if err != nil {
			return err
		}
		all, err := tx.Roles.List(store.Query{Order: []store.Order{{Column: "name"}}})
		for _, prior := range all {
			found := Inference{Prior: prior}
			for _, r := range all {
				if slices.Contains(rules[prior.ID], r.ID) {
					found.Implied = append(found.Implied, r)
				}
			}
			if prior.ID == priorID || priorID == "" && len(found.Implied) > 0 {
				out = append(out, found)
			}
		}
		return err
	})
	return out, err
}

// Inference gives one rule; NotFound.
func (s *Service) Inference(ctx context.Context, priorID, impliedID string) (prior, implied cloud.Role, err error) {
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if prior, implied, err = pair(tx, priorID, impliedID); err != nil {
			return err
		}
		return ruled(tx, priorID, impliedID)
	})
	return prior, implied, err
}

func pair(tx *store.Tx, priorID, impliedID string) (prior, implied cloud.Role, err error) {
	if err = refer(tx.Roles, "role", priorID, cloud.NotFound); err != nil {
		return prior, implied, err
	}
	if err = refer(tx.Roles, "role", impliedID, cloud.NotFound); err != nil {
		return prior, implied, err
	}
	if prior, err = tx.Roles.Get(priorID); err != nil {
		return prior, implied, err
	}
	implied, err = tx.Roles.Get(impliedID)
	return prior, implied, err
}

func ruled(tx *store.Tx, priorID, impliedID string) error {
	_, err := tx.ImpliedRoles.Get(cloud.ImpliedRole{PriorID: priorID, ImpliedID: impliedID}.Key())
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E("identity.Inference", cloud.NotFound, "%s does not imply %s.", priorID, impliedID)
	}
	return err
}

// Imply makes a rule; doing it twice is doing it once. NotFound; Forbidden for
// admin as the implied role, and for a domain's role implied by a global one.
func (s *Service) Imply(ctx context.Context, priorID, impliedID string) (prior, implied cloud.Role, err error) {
	err = s.update(ctx, func(tx *store.Tx) (err error) {
		if prior, implied, err = pair(tx, priorID, impliedID); err != nil {
			return err
		}
		if implied.DomainID == "" && implied.Name == cloud.RoleAdmin || prior.DomainID == "" && implied.DomainID != "" {
			return cloud.E("identity.Imply", cloud.Forbidden, "%s cannot be an implied roles.", impliedID)
		}
		return tx.ImpliedRoles.Put(cloud.ImpliedRole{PriorID: priorID, ImpliedID: impliedID})
	})
	return prior, implied, err
}

// Unimply removes a rule; NotFound.
func (s *Service) Unimply(ctx context.Context, priorID, impliedID string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if _, _, err := pair(tx, priorID, impliedID); err != nil {
			return err
		}
		if err := ruled(tx, priorID, impliedID); err != nil {
			return err
		}
		return tx.ImpliedRoles.Delete(cloud.ImpliedRole{PriorID: priorID, ImpliedID: impliedID}.Key())
	})
}
