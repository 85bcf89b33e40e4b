package identity

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// judged remembers what tokens turned out to be, as long as nothing about
// identity changes.
type judged struct {
	mu      sync.Mutex
	version uint64
	callers map[[sha256.Size]byte]cloud.Caller
}

// maxJudged bounds how many are remembered.
const maxJudged = 10000

func (j *judged) get(key [sha256.Size]byte, version uint64) (cloud.Caller, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.version != version {
		return cloud.Caller{}, false
	}
	c, ok := j.callers[key]
	return c, ok
}

func (j *judged) put(key [sha256.Size]byte, version uint64, c cloud.Caller) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.version > version {
		return
	}
	if j.version < version || j.callers == nil || len(j.callers) >= maxJudged {
		j.version, j.callers = version, map[[sha256.Size]byte]cloud.Caller{}
	}
	j.callers[key] = c
}

// Authenticate gives the caller that a token is of; Unauthenticated, with a
// Denial, for one that is not good (any more). The caller's slices are shared:
// they are not to be written to.
func (s *Service) Authenticate(ctx context.Context, token string) (cloud.Caller, error) {
	version, key := s.current(), sha256.Sum256([]byte(token))
	if c, ok := s.judged.get(key, version); ok && s.clock.Now().Before(c.ExpiresAt) {
		return c, nil
	}
	_, caller, err := s.judge(ctx, token, 0)
	if err != nil {
		s.note(err)
		return cloud.Caller{}, err
	}
	s.judged.put(key, version, caller)
	return caller, nil
}

// Validate is Authenticate for a token that somebody else asks about; with
// allowExpired one that ended not long ago is good too.
func (s *Service) Validate(ctx context.Context, token string, allowExpired bool) (cloud.Caller, error) {
	if !allowExpired {
		return s.Authenticate(ctx, token)
	}
	_, caller, err := s.judge(ctx, token, s.opts.ExpiredGrace)
	s.note(err)
	return caller, err
}

// judge opens a token and looks at everything that it depends on.
func (s *Service) judge(ctx context.Context, token string, grace time.Duration) (claims, cloud.Caller, error) {
	c, err := s.open(ctx, token)
	if err != nil {
		return c, cloud.Caller{}, err
	}
	if err := s.inTime(c, grace); err != nil {
		return c, cloud.Caller{}, err
	}
	var caller cloud.Caller
	err = s.view(ctx, func(tx *store.Tx) error {
		_, err := tx.Revocations.Get(c.AuditIDs[0])
		if err == nil {
			return deny(TokenRevoked, c.User, "")
		}
		if !cloud.Is(err, cloud.NotFound) {
			return err
		}
		caller, err = s.resolve(tx, c)
		return err
	})
	return c, caller, err
}

// maxSkew is how far ahead another head's clock may be.
const maxSkew = time.Minute

// inTime judges the claims by the clock.
func (s *Service) inTime(c claims, grace time.Duration) error {
	now := s.clock.Now()
	switch {
	case c.Issued.After(now.Add(maxSkew)):
		return deny(ClockSkew, c.User, "the token was issued at %s, but here it is %s", c.Issued.Format(time.RFC3339), now.Format(time.RFC3339))
	case !now.Before(c.Expires.Add(grace)):
		return deny(TokenExpired, c.User, "at %s, %s ago", c.Expires.Format(time.RFC3339), now.Sub(c.Expires).Round(time.Second))
	}
	return nil
}

// resolve finds what the claims are worth now.
func (s *Service) resolve(tx *store.Tx, c claims) (cloud.Caller, error) {
	caller := cloud.Caller{Methods: c.Methods, AuditIDs: c.AuditIDs, IssuedAt: c.Issued, ExpiresAt: c.Expires, System: c.System}
	if err := resolveUser(tx, c, &caller); err != nil {
		return caller, err
	}
	if err := resolveScope(tx, c, &caller); err != nil {
		return caller, err
	}
	t := target{project: c.Project, domain: c.Domain, system: c.System}
	if t.none() && c.Trust == "" {
		return caller, nil
	}
	roles, err := rolesAt(tx, c.User, t)
	switch {
	case err != nil:
	case c.Trust != "":
		roles, err = s.trusted(tx, c, &caller)
	case c.OAuth != "":
		roles, err = s.authorized(tx, c, roles, &caller)
	}
	if err != nil {
		return caller, err
	}
	if c.AppCred != "" {
		if roles, err = s.appCredRoles(tx, c, roles, &caller); err != nil {
			return caller, err
		}
	}
	if len(roles) == 0 && !t.none() {
		return caller, deny(NoRole, caller.UserName, "%s%s%s", caller.ProjectName, caller.DomainName, map[bool]string{true: "system"}[c.System])
	}
	fill(&caller, roles)
	return caller, nil
}

func resolveUser(tx *store.Tx, c claims, caller *cloud.Caller) error {
	user, err := tx.Users.Get(c.User)
	if cloud.Is(err, cloud.NotFound) {
		return deny(UnknownUser, c.User, "the user is deleted")
	}
	if err != nil {
		return err
	}
	domain, err := tx.Domains.Get(user.DomainID)
	if err != nil {
		return err
	}
	switch {
	case !user.Enabled:
		return deny(UserDisabled, user.Name, "")
	case !domain.Enabled:
		return deny(DomainDisabled, user.Name, "domain %q of the user", domain.Name)
	case c.Issued.Before(user.TokensValidAfter):
		return deny(TokenRevoked, user.Name, "the password was changed or the user disabled at %s", user.TokensValidAfter.Format(time.RFC3339))
	}
	caller.UserID, caller.UserName, caller.UserDomainID, caller.UserDomainName = user.ID, user.Name, domain.ID, domain.Name
	return nil
}

func resolveScope(tx *store.Tx, c claims, caller *cloud.Caller) error {
	domainID := c.Domain
	if c.Project != "" {
		p, err := tx.Projects.Get(c.Project)
		if cloud.Is(err, cloud.NotFound) {
			return deny(UnknownScope, caller.UserName, "the project is deleted")
		}
		if err != nil {
			return err
		}
		if !p.Enabled {
			return deny(ProjectDisabled, caller.UserName, "project %q", p.Name)
		}
		caller.ProjectID, caller.ProjectName, domainID = p.ID, p.Name, p.DomainID
	}
	if domainID == "" {
		return nil
	}
	d, err := tx.Domains.Get(domainID)
	if cloud.Is(err, cloud.NotFound) {
		return deny(UnknownScope, caller.UserName, "the domain is deleted")
	}
	if err != nil {
		return err
	}
	if !d.Enabled {
		return deny(DomainDisabled, caller.UserName, "domain %q of the scope", d.Name)
	}
	if c.Project != "" {
		caller.ProjectDomainID, caller.ProjectDomainName = d.ID, d.Name
	} else {
		caller.DomainID, caller.DomainName = d.ID, d.Name
	}
	return nil
}

// appCredRoles are those of the credential's roles that the user still has. It
// notes the credential and what it may be used for in the caller.
func (s *Service) appCredRoles(tx *store.Tx, c claims, has []cloud.Role, caller *cloud.Caller) ([]cloud.Role, error) {
	cred, err := tx.AppCreds.Get(c.AppCred)
	if cloud.Is(err, cloud.NotFound) {
		return nil, deny(UnknownAppCred, c.User, "the application credential is deleted")
	}
	if err != nil {
		return nil, err
	}
	if cred.ExpiresAt != nil && !s.clock.Now().Before(*cred.ExpiresAt) {
		return nil, deny(AppCredExpired, c.User, "%q, at %s", cred.Name, cred.ExpiresAt.Format(time.RFC3339))
	}
	caller.ApplicationCredentialID = cred.ID
	if caller.AccessRules, err = rulesOf(tx, cred.AccessRuleIDs); err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, r := range has {
		if slices.Contains(cred.RoleIDs, r.ID) {
			held[r.ID] = true
		}
	}
	return expand(tx, held)
}

// Revoke ends a token before its time; Unauthenticated for one that is not good.
func (s *Service) Revoke(ctx context.Context, token string) error {
	c, _, err := s.judge(ctx, token, 0)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Revocations.DeleteWhere(store.Le("expires_at", s.clock.Now().Add(-s.opts.ExpiredGrace))); err != nil {
			return err
		}
		return tx.Revocations.Put(cloud.Revocation{AuditID: c.AuditIDs[0], ExpiresAt: c.Expires, RevokedAt: s.clock.Now()})
	})
}
