package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// How long a request waits to be authorized and taken, and how long a consumer may
// act: keystone's request_token_duration and access_token_duration.
const (
	oauthRequestLife = 8 * time.Hour
	oauthAccessLife  = 24 * time.Hour
)

func consumerRows(tx *store.Tx) *store.Table[cloud.OAuthConsumer] { return tx.OAuthConsumers }

// Consumer gives a consumer; NotFound.
func (s *Service) Consumer(ctx context.Context, id string) (cloud.OAuthConsumer, error) {
	return fetch(ctx, s, consumerRows, id)
}

// Consumers lists the consumers.
func (s *Service) Consumers(ctx context.Context) ([]cloud.OAuthConsumer, error) {
	return list(ctx, s, consumerRows)
}

// CreateConsumer makes a consumer with a secret of its own.
func (s *Service) CreateConsumer(ctx context.Context, c cloud.OAuthConsumer) (cloud.OAuthConsumer, error) {
	c.ID, c.Secret = cloud.NewHexID(), cloud.NewHexID()
	return c, s.update(ctx, func(tx *store.Tx) error { return tx.OAuthConsumers.Insert(c) })
}

// UpdateConsumer changes the description if it is not nil, and attributes of the
// consumer's own; NotFound.
func (s *Service) UpdateConsumer(ctx context.Context, id string, description *string, extra map[string]any) (cloud.OAuthConsumer, error) {
	return amend(ctx, s, consumerRows, id, func(_ *store.Tx, c *cloud.OAuthConsumer) error {
		set(&c.Description, description)
		c.Extra = merge(c.Extra, extra)
		return nil
	})
}

// DeleteConsumer removes a consumer; its requests and accesses end. NotFound.
func (s *Service) DeleteConsumer(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		for _, remove := range []func(...store.Cond) (int, error){tx.OAuthRequests.DeleteWhere, tx.OAuthAccesses.DeleteWhere} {
			if _, err := remove(store.Eq("consumer_id", id)); err != nil {
				return err
			}
		}
		return tx.OAuthConsumers.Delete(id)
	})
}

// RequestAccess is a consumer that asks to act in a project: it gets a token to
// show the user whom it asks. NotFound for the consumer and the project;
// Unauthenticated for another's signature.
func (s *Service) RequestAccess(ctx context.Context, r SignedRequest, projectID string) (cloud.OAuthRequest, error) {
	now := s.clock.Now()
	t := cloud.OAuthRequest{
		ID: cloud.NewHexID(), Secret: cloud.NewHexID(), ConsumerID: r.param("oauth_consumer_key"), ProjectID: projectID,
		ExpiresAt: now.Add(oauthRequestLife),
	}
	return t, s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Projects, "project", projectID, cloud.NotFound); err != nil {
			return err
		}
		consumer, err := tx.OAuthConsumers.Get(t.ConsumerID)
		if err != nil {
			return err
		}
		if err := r.signed(consumer.Secret, "", now); err != nil {
			return err
		}
		return tx.OAuthRequests.Insert(t)
	})
}

// AuthorizeRequest is a user who lets a consumer act with some of the user's
// roles, by id or name: the verifier is what the user tells the consumer.
// NotFound; Unauthenticated for a role that the user does not have, or when it is
// too late; Forbidden for one who is there by delegation only.
func (s *Service) AuthorizeRequest(ctx context.Context, caller cloud.Caller, id string, roles []cloud.Role) (verifier string, err error) {
	const op = "identity.AuthorizeRequest"
	if caller.TrustID != "" || caller.OAuthAccessID != "" || caller.ApplicationCredentialID != "" {
		return "", cloud.E(op, cloud.Forbidden, "Cannot authorize a request token with a token issued via delegation.")
	}
	err = s.update(ctx, func(tx *store.Tx) error {
		t, err := s.request(tx, id)
		if err != nil {
			return err
		}
		held, err := rolesAt(tx, caller.UserID, target{project: t.ProjectID})
		if err != nil {
			return err
		}
		ids := make([]string, len(held))
		for i, r := range held {
			ids[i] = r.ID
		}
		if t.RoleIDs, err = delegated(tx, roles, ids); cloud.Is(err, cloud.Forbidden) {
			return cloud.E(op, cloud.Unauthenticated, "authorizing user does not have role required")
		}
		if err != nil {
			return err
		}
		t.UserID, t.Verifier = caller.UserID, newVerifier()
		verifier = t.Verifier
		return tx.OAuthRequests.Update(t)
	})
	return verifier, err
}

// newVerifier is eight letters and digits that people can tell apart.
func newVerifier() string {
	const letters = "abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ34"
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}

// request gives a request that has not ended; NotFound, Unauthenticated.
func (s *Service) request(tx *store.Tx, id string) (cloud.OAuthRequest, error) {
	t, err := tx.OAuthRequests.Get(id)
	if err == nil && !s.clock.Now().Before(t.ExpiresAt) {
		return t, cloud.E("identity.oauth", cloud.Unauthenticated, "Request token is expired")
	}
	return t, err
}

// TakeAccess is a consumer that takes what a user authorized: the request is used
// up. NotFound for the request; Unauthenticated for another's signature or
// verifier, or when nobody authorized it.
func (s *Service) TakeAccess(ctx context.Context, r SignedRequest) (cloud.OAuthAccess, error) {
	const op = "identity.TakeAccess"
	now := s.clock.Now()
	a := cloud.OAuthAccess{ID: cloud.NewHexID(), Secret: cloud.NewHexID(), ExpiresAt: now.Add(oauthAccessLife)}
	return a, s.update(ctx, func(tx *store.Tx) error {
		t, err := s.request(tx, r.param("oauth_token"))
		if err != nil {
			return err
		}
		consumer, err := tx.OAuthConsumers.Get(r.param("oauth_consumer_key"))
		switch {
		case cloud.Is(err, cloud.NotFound):
			return cloud.E(op, cloud.Unauthenticated, "Provided consumer does not exist.")
		case err != nil:
			return err
		case consumer.ID != t.ConsumerID:
			return cloud.E(op, cloud.Unauthenticated, "Provided consumer key does not match stored consumer key.")
		case t.UserID == "":
			return cloud.E(op, cloud.Unauthenticated, "Request Token does not have an authorizing user id.")
		case subtle.ConstantTimeCompare([]byte(t.Verifier), []byte(r.param("oauth_verifier"))) != 1:
			return cloud.E(op, cloud.Unauthenticated, "Provided verifier does not match stored verifier")
		}
		if err := r.signed(consumer.Secret, t.Secret, now); err != nil {
			return err
		}
		a.ConsumerID, a.ProjectID, a.UserID, a.RoleIDs = t.ConsumerID, t.ProjectID, t.UserID, t.RoleIDs
		if err := tx.OAuthRequests.Delete(t.ID); err != nil {
			return err
		}
		return tx.OAuthAccesses.Insert(a)
	})
}

// proveOAuth takes a request signed by an access token as proof of its user.
func (s *Service) proveOAuth(ctx context.Context, in Login, c *claims) (string, error) {
	r := *in.OAuth
	var a cloud.OAuthAccess
	err := s.view(ctx, func(tx *store.Tx) (err error) {
		if a, err = tx.OAuthAccesses.Get(r.param("oauth_token")); err != nil {
			return err
		}
		consumer, err := tx.OAuthConsumers.Get(a.ConsumerID)
		if err != nil {
			return err
		}
		if r.param("oauth_consumer_key") != consumer.ID {
			return deny(BadSignature, a.UserID, "the access token is another consumer's")
		}
		return r.signed(consumer.Secret, a.Secret, s.clock.Now())
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return "", deny(BadSignature, r.param("oauth_consumer_key"), "there is no such access token")
	case err != nil:
		return "", err
	}
	if a.ExpiresAt.Before(c.Expires) {
		c.Expires = a.ExpiresAt
	}
	c.Methods, c.OAuth, c.Project = append(c.Methods, "oauth1"), a.ID, a.ProjectID
	return a.UserID, nil
}

// authorized finds what an access token is worth now: the roles that the user
// gave it, of those that the user still has.
func (s *Service) authorized(tx *store.Tx, c claims, has []cloud.Role, caller *cloud.Caller) ([]cloud.Role, error) {
	a, err := tx.OAuthAccesses.Get(c.OAuth)
	switch {
	case cloud.Is(err, cloud.NotFound):
		return nil, deny(TokenRevoked, c.User, "the access token of the consumer is deleted")
	case err != nil:
		return nil, err
	case !s.clock.Now().Before(a.ExpiresAt):
		return nil, deny(TokenExpired, c.User, "the access token of the consumer ended at %s", a.ExpiresAt.Format(time.RFC3339))
	}
	caller.OAuthAccessID, caller.OAuthConsumerID = a.ID, a.ConsumerID
	held := map[string]bool{}
	for _, r := range has {
		if slices.Contains(a.RoleIDs, r.ID) {
			held[r.ID] = true
		}
	}
	return expand(tx, held)
}

// Accesses lists what consumers a user lets act.
func (s *Service) Accesses(ctx context.Context, userID string) ([]cloud.OAuthAccess, error) {
	return list(ctx, s, func(tx *store.Tx) *store.Table[cloud.OAuthAccess] { return tx.OAuthAccesses }, store.Eq("user_id", userID))
}

// Access gives an access token of a user's with its roles; NotFound.
func (s *Service) Access(ctx context.Context, userID, id string) (a cloud.OAuthAccess, roles []cloud.Role, err error) {
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		if a, err = tx.OAuthAccesses.Get(id); err != nil {
			return err
		}
		if a.UserID != userID {
			return cloud.E("identity.Access", cloud.NotFound, "Could not find access token: %s.", id)
		}
		roles, err = tx.Roles.List(store.Query{Where: []store.Cond{store.In("id", a.RoleIDs...)}, Order: []store.Order{{Column: "name"}}})
		return err
	})
	return a, roles, err
}

// DeleteAccess ends what a consumer may do for a user, and its tokens; NotFound.
func (s *Service) DeleteAccess(ctx context.Context, userID, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		a, err := tx.OAuthAccesses.Get(id)
		if err == nil && a.UserID != userID {
			err = cloud.E("identity.DeleteAccess", cloud.NotFound, "Could not find access token: %s.", id)
		}
		if err != nil {
			return err
		}
		return tx.OAuthAccesses.Delete(id)
	})
}
