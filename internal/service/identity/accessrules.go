package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// AccessRule gives an access rule of a user's; NotFound.
func (s *Service) AccessRule(ctx context.Context, userID, id string) (cloud.AccessRule, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.AccessRule, error) { return ownRule(tx, userID, id) })
}

func ownRule(tx *store.Tx, userID, id string) (cloud.AccessRule, error) {
	r, err := tx.AccessRules.Get(id)
	if err == nil && r.UserID != userID || cloud.Is(err, cloud.NotFound) {
		return cloud.AccessRule{}, cloud.E("identity.AccessRule", cloud.NotFound, "Could not find Access Rule: %s.", id)
	}
	return r, err
}

// AccessRules lists the access rules of a user's in the order in which their
// application credentials had them made; empty fields of the filter do not filter.
func (s *Service) AccessRules(ctx context.Context, f cloud.AccessRule) ([]cloud.AccessRule, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.AccessRule, error) {
		rules, err := tx.AccessRules.List(store.Query{Where: given([]store.Cond{
			store.Eq("user_id", f.UserID), store.Eq("service", f.Service), store.Eq("method", f.Method), store.Eq("path", f.Path),
		})})
		if err != nil {
			return nil, err
		}
		creds, err := tx.AppCreds.List(store.Where(store.Eq("user_id", f.UserID)))
		slices.SortFunc(creds, func(a, b cloud.ApplicationCredential) int { return a.CreatedAt.Compare(b.CreatedAt) })
		place := map[string]int{} // those of no credential come first: theirs are gone
		for _, c := range creds {
			for _, id := range c.AccessRuleIDs {
				if place[id] == 0 {
					place[id] = len(place) + 1
				}
			}
		}
		slices.SortStableFunc(rules, func(a, b cloud.AccessRule) int { return place[a.ID] - place[b.ID] })
		return rules, err
	})
}

// DeleteAccessRule removes an access rule of a user's; Forbidden while an
// application credential has it.
func (s *Service) DeleteAccessRule(ctx context.Context, userID, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if _, err := ownRule(tx, userID, id); err != nil {
			return err
		}
		creds, err := tx.AppCreds.List(store.Where(store.Eq("user_id", userID)))
		if err != nil {
			return err
		}
		for _, c := range creds {
			if slices.Contains(c.AccessRuleIDs, id) {
				return cloud.E("identity.DeleteAccessRule", cloud.Forbidden, "May not delete access rule in use by the application credential %s", c.Name)
			}
		}
		return tx.AccessRules.Delete(id)
	})
}

// ensureRules finds or makes the access rules that an application credential
// shall have: those with an id must be there, the others are made if the user
// has none that says the same.
func ensureRules(tx *store.Tx, userID string, asked []cloud.AccessRule) (ids []string, err error) {
	for _, r := range asked {
		if r.ID != "" {
			if _, err := ownRule(tx, userID, r.ID); err != nil {
				return nil, err
			}
			ids = append(ids, r.ID)
			continue
		}
		r.UserID = userID
		old, err := tx.AccessRules.Find(store.Eq("user_id", userID), store.Eq("service", r.Service), store.Eq("method", r.Method), store.Eq("path", r.Path))
		if cloud.Is(err, cloud.NotFound) {
			r.ID = cloud.NewHexID()
			old, err = r, tx.AccessRules.Insert(r)
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, old.ID) {
			ids = append(ids, old.ID)
		}
	}
	return ids, nil
}

// rulesOf are the access rules of an application credential.
func rulesOf(tx *store.Tx, ids []string) ([]cloud.AccessRule, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rules, err := tx.AccessRules.List(store.Where(store.In("id", ids...)))
	at := func(r cloud.AccessRule) int { return slices.Index(ids, r.ID) } // in the order they were asked for in
	slices.SortFunc(rules, func(a, b cloud.AccessRule) int { return at(a) - at(b) })
	return rules, err
}

// RulesOf are the access rules of an application credential.
func (s *Service) RulesOf(ctx context.Context, c cloud.ApplicationCredential) ([]cloud.AccessRule, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.AccessRule, error) { return rulesOf(tx, c.AccessRuleIDs) })
}
