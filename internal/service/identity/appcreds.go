package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// NewAppCred is a request for an application credential.
type NewAppCred struct {
	Name, Description string
	Secret            string // "" to have one made
	Roles             []cloud.Role
	ExpiresAt         *time.Time
	Unrestricted      bool
	AccessRules       []cloud.AccessRule // by id, or what they say; none: it is good for everything
}

// CreateAppCred makes an application credential of the caller's for the project
// of its token, with some of its roles there, by id or name, or with all. The
// secret is shown this once. Forbidden for roles that the caller does not have.
func (s *Service) CreateAppCred(ctx context.Context, caller cloud.Caller, in NewAppCred) (cloud.ApplicationCredential, string, error) {
	const op = "identity.CreateAppCred"
	var cred cloud.ApplicationCredential
	if caller.ProjectID == "" {
		return cred, "", cloud.E(op, cloud.Invalid, "an application credential is for a project: log in to one first")
	}
	if in.ExpiresAt != nil && !s.clock.Now().Before(*in.ExpiresAt) {
		return cred, "", cloud.E(op, cloud.Invalid, "the application credential would have expired already, at %s", in.ExpiresAt.Format(time.RFC3339))
	}
	if err := s.MayMakeCredentials(ctx, caller); err != nil {
		return cred, "", err
	}
	secret := in.Secret
	if secret == "" {
		var b [64]byte
		_, _ = rand.Read(b[:])
		secret = base64.RawURLEncoding.EncodeToString(b[:])
	}
	hash, err := s.hash(ctx, secretForm(secret))
	if err != nil {
		return cred, "", err
	}
	cred = cloud.ApplicationCredential{
		ID: cloud.NewHexID(), Name: in.Name, Description: in.Description, UserID: caller.UserID, ProjectID: caller.ProjectID,
		SecretHash: hash, ExpiresAt: in.ExpiresAt, Unrestricted: in.Unrestricted, CreatedAt: s.clock.Now(),
	}
	if cred.RoleIDs, err = chosenRoles(caller, in.Roles); err != nil {
		return cred, "", err
	}
	err = s.update(ctx, func(tx *store.Tx) error {
		var err error
		if cred.AccessRuleIDs, err = ensureRules(tx, caller.UserID, in.AccessRules); err != nil {
			return err
		}
		return taken(tx.AppCreds.Insert(cred), "application_credential", cred.Name)
	})
	return cred, secret, err
}

// MayMakeCredentials refuses a caller that itself came by a trust or by a
// restricted application credential: what it made would outlive them. Forbidden.
func (s *Service) MayMakeCredentials(ctx context.Context, caller cloud.Caller) error {
	if caller.TrustID != "" {
		return cloud.E("identity.appcred", cloud.Forbidden, "The token of a trust is not good for managing credentials.")
	}
	if caller.OAuthAccessID != "" {
		return cloud.E("identity.appcred", cloud.Forbidden, "The token of an OAuth consumer is not good for managing credentials.")
	}
	if caller.ApplicationCredentialID == "" {
		return nil
	}
	own, err := s.AppCred(ctx, caller.UserID, caller.ApplicationCredentialID)
	if err == nil && !own.Unrestricted {
		err = cloud.E("identity.appcred", cloud.Forbidden, "Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return err
}

// chosenRoles are the ids of those of the caller's roles that are asked for.
func chosenRoles(caller cloud.Caller, asked []cloud.Role) ([]string, error) {
	if len(asked) == 0 {
		return slices.Clone(caller.RoleIDs), nil
	}
	var out []string
	for _, r := range asked {
		i := slices.Index(caller.RoleIDs, r.ID)
		if r.ID == "" {
			i = slices.Index(caller.Roles, r.Name)
		}
		if i < 0 {
			return nil, cloud.E("identity.CreateAppCred", cloud.Invalid, "Invalid application credential: the user does not have the role %s in the project.", r.Name+r.ID)
		}
		out = append(out, caller.RoleIDs[i])
	}
	return out, nil
}

// AppCred gives an application credential of a user's; NotFound.
func (s *Service) AppCred(ctx context.Context, userID, id string) (cloud.ApplicationCredential, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.ApplicationCredential, error) { return ownAppCred(tx, userID, id) })
}

func ownAppCred(tx *store.Tx, userID, id string) (cloud.ApplicationCredential, error) {
	cred, err := tx.AppCreds.Get(id)
	if err == nil && cred.UserID != userID {
		return cloud.ApplicationCredential{}, cloud.E("identity.AppCred", cloud.NotFound, "Could not find Application Credential: %s.", id)
	}
	return cred, err
}

// AppCreds lists the application credentials of a user's, by name if one is given.
func (s *Service) AppCreds(ctx context.Context, userID, name string) ([]cloud.ApplicationCredential, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.ApplicationCredential, error) {
		q := Filter{Name: name}.query("name")
		q.Where = append(q.Where, store.Eq("user_id", userID))
		return tx.AppCreds.List(q)
	})
}

// DeleteAppCred removes an application credential of a user's; its tokens end.
func (s *Service) DeleteAppCred(ctx context.Context, caller cloud.Caller, userID, id string) error {
	if err := s.MayMakeCredentials(ctx, caller); err != nil {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error {
		if _, err := ownAppCred(tx, userID, id); err != nil {
			return err
		}
		return tx.AppCreds.Delete(id)
	})
}
