package identity

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// maxRedelegation bounds how often a trust can be handed on (keystone:
// max_redelegation_count).
const maxRedelegation = 3

// Trust gives a trust with the roles that it delegates; NotFound.
func (s *Service) Trust(ctx context.Context, id string) (t cloud.Trust, roles []cloud.Role, err error) {
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if t, err = tx.Trusts.Get(id); err != nil {
			return err
		}
		if t.ExpiresAt != nil && !s.clock.Now().Before(*t.ExpiresAt) {
			return cloud.E("identity.Trust", cloud.NotFound, "Could not find trust: %s.", id)
		}
		roles, err = tx.Roles.List(store.Query{Where: []store.Cond{store.In("id", t.RoleIDs...)}, Order: []store.Order{{Column: "name"}}})
		return err
	})
	return t, roles, err
}

// Trusts lists trusts that have not ended, of a trustor and a trustee if they are
// not "".
func (s *Service) Trusts(ctx context.Context, trustorID, trusteeID string) ([]cloud.Trust, error) {
	all, err := list(ctx, s, func(tx *store.Tx) *store.Table[cloud.Trust] { return tx.Trusts },
		store.Eq("trustor_user_id", trustorID), store.Eq("trustee_user_id", trusteeID))
	now := s.clock.Now()
	return slices.DeleteFunc(all, func(t cloud.Trust) bool { return t.ExpiresAt != nil && !now.Before(*t.ExpiresAt) }), err
}

// CreateTrust makes a trust of the caller's with some of its roles in the
// project, by id or name. A caller that came by a trust hands that one on, if it
// allows so. Forbidden for another's trust, for no role, or for one that the
// trustor does not have.
func (s *Service) CreateTrust(ctx context.Context, caller cloud.Caller, t cloud.Trust, roles []cloud.Role) (cloud.Trust, error) {
	const op = "identity.CreateTrust"
	now := s.clock.Now()
	switch {
	case caller.UserID != t.TrustorUserID:
		return t, cloud.E(op, cloud.Forbidden, "a trust is made by its trustor alone")
	case caller.ApplicationCredentialID != "":
		return t, cloud.E(op, cloud.Forbidden, "Using method 'application_credential' is not allowed for managing trusts.")
	case caller.OAuthAccessID != "":
		return t, cloud.E(op, cloud.Forbidden, "Oauth is not a valid method for managing trusts.")
	case t.ProjectID != "" && len(roles) == 0:
		return t, cloud.E(op, cloud.Forbidden, "At least one role should be specified.")
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return t, cloud.E(op, cloud.Invalid, "The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect.")
	}
	t.ID, t.CreatedAt = cloud.NewHexID(), now
	return t, s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Users, "user", t.TrusteeUserID, cloud.NotFound); err != nil {
			return err
		}
		if err := refer(tx.Projects, "project", t.ProjectID, cloud.NotFound); err != nil {
			return err
		}
		held, err := s.delegable(tx, caller, &t)
		if err != nil {
			return err
		}
		if t.RoleIDs, err = delegated(tx, roles, held); err != nil {
			return err
		}
		return tx.Trusts.Insert(t)
	})
}

// delegable are the roles that the trustor can delegate. It puts the trust's place
// in a chain of them.
func (s *Service) delegable(tx *store.Tx, caller cloud.Caller, t *cloud.Trust) ([]string, error) {
	const op = "identity.CreateTrust"
	t.RedelegationCount = min(t.RedelegationCount, maxRedelegation)
	if caller.TrustID != "" {
		from, err := tx.Trusts.Get(caller.TrustID)
		switch {
		case err != nil:
			return nil, err
		case from.RedelegationCount < 1:
			return nil, cloud.E(op, cloud.Forbidden, "Redelegation allowed for delegated by trust only, and this one cannot be handed on (any more).")
		case t.RemainingUses != nil:
			return nil, cloud.E(op, cloud.Invalid, "remaining_uses cannot be set in a trust that hands another on.")
		case from.ProjectID != t.ProjectID:
			return nil, cloud.E(op, cloud.Forbidden, "a trust that hands another on is for the same project")
		case from.ExpiresAt != nil && (t.ExpiresAt == nil || t.ExpiresAt.After(*from.ExpiresAt)):
			t.ExpiresAt = from.ExpiresAt
		}
		t.RedelegatedTrustID, t.RedelegationCount = from.ID, min(t.RedelegationCount, from.RedelegationCount-1)
		return from.RoleIDs, nil
	}
	if t.AllowRedelegation && t.RedelegationCount == 0 {
		t.RedelegationCount = maxRedelegation
	}
	if !t.AllowRedelegation {
		t.RedelegationCount = 0
	}
	roles, err := rolesAt(tx, t.TrustorUserID, target{project: t.ProjectID})
	ids := make([]string, len(roles))
	for i, r := range roles {
		ids[i] = r.ID
	}
	return ids, err
}

// delegated are the ids of the roles that are asked for, all of which must be held.
func delegated(tx *store.Tx, asked []cloud.Role, held []string) (ids []string, err error) {
	for _, r := range asked {
		if r.ID == "" {
			if r, err = tx.Roles.Find(store.Eq("domain_id", ""), store.Eq("name", r.Name)); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(held, r.ID) {
			return nil, cloud.E("identity.CreateTrust", cloud.Forbidden, "the trustor does not have the role %s in the project", r.ID)
		}
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// DeleteTrust removes a trust with those that it was handed on by; their tokens
// end. NotFound.
func (s *Service) DeleteTrust(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return deleteTrust(tx, id) })
}

func deleteTrust(tx *store.Tx, id string) error {
	further, err := tx.Trusts.List(store.Where(store.Eq("redelegated_trust_id", id)))
	if err != nil {
		return err
	}
	for _, t := range further {
		if err := deleteTrust(tx, t.ID); err != nil {
			return err
		}
	}
	return tx.Trusts.Delete(id)
}

// useTrust puts a trust into the claims of its trustee, and counts the use.
func (s *Service) useTrust(ctx context.Context, c claims, id string) (cloud.Caller, claims, error) {
	const op = "identity.Login"
	var caller cloud.Caller
	if c.AppCred != "" || c.OAuth != "" {
		return caller, c, deny(NoRole, c.User, "an application credential, and an OAuth consumer, is for its project only")
	}
	err := s.update(ctx, func(tx *store.Tx) error {
		t, err := tx.Trusts.Get(id)
		switch {
		case cloud.Is(err, cloud.NotFound):
			return deny(UnknownScope, c.User, "the trust is not there")
		case err != nil:
			return err
		case t.TrusteeUserID != c.User:
			return cloud.E(op, cloud.Forbidden, "User is not a trustee.")
		case t.RemainingUses != nil && *t.RemainingUses < 1:
			return cloud.E(op, cloud.Forbidden, "No remaining uses for trust: %s.", id)
		}
		c.Trust, c.Project = t.ID, t.ProjectID
		if t.ExpiresAt != nil && t.ExpiresAt.Before(c.Expires) {
			c.Expires = *t.ExpiresAt
		}
		if caller, err = s.resolve(tx, c); err != nil || t.RemainingUses == nil {
			return err
		}
		left := *t.RemainingUses - 1
		t.RemainingUses = &left
		return tx.Trusts.Update(t)
	})
	return caller, c, err
}

// trusted finds what a trust is worth now: the user that the token says it is of,
// and the roles that the trustor delegated and still has.
func (s *Service) trusted(tx *store.Tx, c claims, caller *cloud.Caller) ([]cloud.Role, error) {
	t, err := tx.Trusts.Get(c.Trust)
	if cloud.Is(err, cloud.NotFound) {
		return nil, deny(UnknownScope, c.User, "the trust is deleted")
	}
	if err != nil {
		return nil, err
	}
	if t.ExpiresAt != nil && !s.clock.Now().Before(*t.ExpiresAt) {
		return nil, deny(UnknownScope, c.User, "the trust ended at %s", t.ExpiresAt.Format(time.RFC3339))
	}
	trustor := claims{User: t.TrustorUserID, Issued: c.Issued}
	var as cloud.Caller
	if err := resolveUser(tx, trustor, &as); err != nil {
		return nil, err
	}
	if t.Impersonation {
		caller.UserID, caller.UserName, caller.UserDomainID, caller.UserDomainName = as.UserID, as.UserName, as.UserDomainID, as.UserDomainName
	}
	caller.TrustID = t.ID
	if t.ProjectID == "" {
		return nil, nil
	}
	has, err := rolesAt(tx, t.TrustorUserID, target{project: t.ProjectID})
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, r := range has {
		if slices.Contains(t.RoleIDs, r.ID) {
			held[r.ID] = true
		}
	}
	if len(held) < len(t.RoleIDs) {
		return nil, deny(NoRole, c.User, "the trustor does not have all roles of the trust any more")
	}
	return expand(tx, held)
}
