package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// DomainRef names a domain by its id or its name.
type DomainRef struct{ ID, Name string }

// UserRef names a user by id, or by name and domain.
type UserRef struct {
	ID, Name string
	Domain   DomainRef
}

// String is what a log calls the user.
func (u UserRef) String() string { return u.Name + u.ID }

// ProjectRef names a project by id, or by name and domain.
type ProjectRef struct {
	ID, Name string
	Domain   DomainRef
}

// Scope is where a token shall be good. The zero Scope is the user's default
// project, or nowhere.
type Scope struct {
	Unscoped bool
	System   bool
	Trust    string // the id of a trust
	Domain   *DomainRef
	Project  *ProjectRef
}

// PasswordLogin proves a user by password.
type PasswordLogin struct {
	User     UserRef
	Password string
}

// AppCredLogin proves a user by an application credential: by id, or by name and
// user.
type AppCredLogin struct {
	ID, Name string
	User     UserRef
	Secret   string
}

// Login is a request for a token. What is there must all prove the same user.
type Login struct {
	Password *PasswordLogin
	Token    string
	AppCred  *AppCredLogin
	OAuth    *SignedRequest
	KeyPair  *KeyPairLogin
	Scope    Scope
}

// Login proves who asks and makes a token. Unauthenticated (with a Denial) for
// all refusals but of a token, which is NotFound (with a Denial), and of a trust
// by another than its trustee, which is Forbidden; Invalid for a login without a method.
func (s *Service) Login(ctx context.Context, in Login) (token string, caller cloud.Caller, err error) {
	defer func() { s.note(err) }()
	c, err := s.prove(ctx, in)
	if err != nil {
		return "", caller, err
	}
	if in.Scope.Trust != "" {
		caller, c, err = s.useTrust(ctx, c, in.Scope.Trust)
	} else {
		err = s.view(ctx, func(tx *store.Tx) error {
			caller, c, err = s.scoped(tx, c, in.Scope)
			return err
		})
	}
	if err != nil {
		return "", cloud.Caller{}, err
	}
	token, err = s.seal(ctx, c)
	return token, caller, err
}

// prove checks all that a login offers and starts the claims.
func (s *Service) prove(ctx context.Context, in Login) (claims, error) {
	now := s.clock.Now()
	c := claims{Issued: now, Expires: now.Add(s.opts.TokenLife), AuditIDs: []string{newAuditID()}}
	steps := []struct {
		offered bool
		prove   func(context.Context, Login, *claims) (string, error)
	}{{in.Token != "", s.proveToken}, {in.Password != nil, s.provePassword}, {in.AppCred != nil, s.proveAppCred}, {in.OAuth != nil, s.proveOAuth}, {in.KeyPair != nil, s.proveKeyPair}}
	for _, step := range steps {
		if !step.offered {
			continue
		}
		user, err := step.prove(ctx, in, &c)
		if err != nil {
			return c, err
		}
		if c.User != "" && c.User != user {
			return c, deny(UnknownUser, user, "the methods of the login prove different users")
		}
		c.User = user
	}
	if c.User == "" {
		return c, cloud.E("identity.Login", cloud.Invalid, "the login has no method that is known here: password, token, application_credential or oauth1")
	}
	return c, nil
}

func newAuditID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// staleToken is a token that is not good (any more) where it should be a proof:
// keystone does not find it then. Outside the reason is not said.
type staleToken struct{ cause error }

// Error is the sentence.
func (staleToken) Error() string { return "Failed to validate token" }

// Unwrap gives the refusal.
func (e staleToken) Unwrap() error { return e.cause }

// proveToken takes a token as proof. The new one ends when the old one does.
func (s *Service) proveToken(ctx context.Context, in Login, c *claims) (string, error) {
	old, _, err := s.judge(ctx, in.Token, 0)
	if cloud.Is(err, cloud.Unauthenticated) {
		return "", cloud.E("identity.Login", cloud.NotFound, "%w", staleToken{err})
	}
	if err != nil {
		return "", err
	}
	if old.AppCred != "" {
		return "", deny(NoRole, old.User, "the token of an application credential is for its own project only")
	}
	if old.OAuth != "" {
		return "", cloud.E("identity.Login", cloud.Forbidden, "A token of an OAuth consumer is not good for another token.")
	}
	if old.Trust != "" {
		return "", cloud.E("identity.Login", cloud.Forbidden, "Cannot create trust-scoped token: a token of a trust is not good for another token.")
	}
	c.Expires = old.Expires
	c.AuditIDs = append(c.AuditIDs, old.AuditIDs[len(old.AuditIDs)-1])
	c.Methods = append([]string{"token"}, slices.DeleteFunc(slices.Clone(old.Methods), func(m string) bool { return m == "token" })...)
	return old.User, nil
}

// provePassword checks a password, in the time of one bcrypt whoever asks.
func (s *Service) provePassword(ctx context.Context, in Login, c *claims) (string, error) {
	who := in.Password.User
	var user cloud.User
	err := s.view(ctx, func(tx *store.Tx) (err error) {
		user, err = findUser(tx, who)
		return err
	})
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return "", err
	}
	reason, checkErr := s.check(ctx, user.PasswordHash, in.Password.Password)
	if err == nil && checkErr == nil && !s.opts.Compliance.lockedOut(user, s.clock.Now()) {
		checkErr = s.counted(ctx, user, reason != "")
	}
	switch now := s.clock.Now(); {
	case checkErr != nil:
		return "", checkErr
	case err != nil:
		return "", deny(UnknownUser, who.String(), "%s", cloud.Message(err))
	case !user.Enabled:
		return "", deny(UserDisabled, who.String(), "")
	case s.opts.Compliance.lockedOut(user, now):
		return "", deny(LockedOut, who.String(), "after %d wrong passwords, the last at %s", user.FailedLogins, user.FailedAt.Format(time.RFC3339))
	case reason != "":
		return "", deny(reason, who.String(), "")
	case user.PasswordExpiresAt != nil && !now.Before(*user.PasswordExpiresAt):
		return "", deny(PasswordExpired, who.String(), "at %s", user.PasswordExpiresAt.Format(time.RFC3339))
	case now.Before(user.TokensValidAfter):
		return "", deny(ClockSkew, who.String(), "the clock says %s, but the user was changed at %s", now.Format(time.RFC3339), user.TokensValidAfter.Format(time.RFC3339))
	}
	c.Methods = append(c.Methods, "password")
	return user.ID, nil
}

// proveAppCred checks the secret of an application credential.
func (s *Service) proveAppCred(ctx context.Context, in Login, c *claims) (string, error) {
	var cred cloud.ApplicationCredential
	name := in.AppCred.Name + in.AppCred.ID
	err := s.view(ctx, func(tx *store.Tx) (err error) {
		cred, err = findAppCred(tx, *in.AppCred)
		return err
	})
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return "", err
	}
	reason, checkErr := s.check(ctx, cred.SecretHash, secretForm(in.AppCred.Secret))
	switch {
	case checkErr != nil:
		return "", checkErr
	case err != nil:
		return "", deny(UnknownAppCred, in.AppCred.User.String(), "%q: %s", name, cloud.Message(err))
	case reason != "":
		return "", deny(WrongSecret, cred.UserID, "of %q", name)
	}
	if cred.ExpiresAt != nil && cred.ExpiresAt.Before(c.Expires) {
		c.Expires = *cred.ExpiresAt
	}
	c.Methods, c.AppCred, c.Project = append(c.Methods, "application_credential"), cred.ID, cred.ProjectID
	return cred.UserID, nil
}

func findAppCred(tx *store.Tx, in AppCredLogin) (cloud.ApplicationCredential, error) {
	if in.ID != "" {
		return tx.AppCreds.Get(in.ID)
	}
	user, err := findUser(tx, in.User)
	if err != nil {
		return cloud.ApplicationCredential{}, err
	}
	return tx.AppCreds.Find(store.Eq("user_id", user.ID), store.Eq("name", in.Name))
}

// findUser looks a user up; NotFound.
func findUser(tx *store.Tx, who UserRef) (cloud.User, error) {
	if who.ID != "" {
		return tx.Users.Get(who.ID)
	}
	domain, err := findDomain(tx, who.Domain)
	if err != nil {
		return cloud.User{}, err
	}
	return tx.Users.Find(store.Eq("domain_id", domain.ID), store.Eq("name", who.Name))
}

// findDomain looks a domain up; NotFound. The default one is called by its id,
// in any case, where its name is expected: keystone on MySQL takes that, and
// people's files have it.
func findDomain(tx *store.Tx, ref DomainRef) (cloud.Domain, error) {
	if ref.ID != "" {
		return tx.Domains.Get(ref.ID)
	}
	d, err := tx.Domains.Find(store.Eq("name", ref.Name))
	if cloud.Is(err, cloud.NotFound) && strings.EqualFold(ref.Name, cloud.DefaultDomainID) {
		return tx.Domains.Get(cloud.DefaultDomainID)
	}
	return d, err
}

// scoped puts a scope into the claims and finds what the user may do there.
func (s *Service) scoped(tx *store.Tx, c claims, want Scope) (cloud.Caller, claims, error) {
	if err := place(tx, &c, want); err != nil {
		return cloud.Caller{}, c, err
	}
	if want == (Scope{}) && c.AppCred == "" && c.OAuth == "" {
		if caller, home, err := s.atHome(tx, c); err == nil {
			return caller, home, nil
		}
	}
	caller, err := s.resolve(tx, c)
	return caller, c, err
}

// atHome tries the user's default project.
func (s *Service) atHome(tx *store.Tx, c claims) (cloud.Caller, claims, error) {
	user, err := tx.Users.Get(c.User)
	if err != nil {
		return cloud.Caller{}, c, err
	}
	if user.DefaultProjectID == "" {
		return cloud.Caller{}, c, cloud.E("identity.Login", cloud.NotFound, "the user has no default project")
	}
	c.Project = user.DefaultProjectID
	caller, err := s.resolve(tx, c)
	return caller, c, err
}

// place looks the wanted scope up.
func place(tx *store.Tx, c *claims, want Scope) error {
	var err error
	switch {
	case c.OAuth != "":
		return nil // it is for its own project, whatever is asked
	case want.Project != nil:
		var p cloud.Project
		if p, err = findProject(tx, *want.Project); err == nil && c.AppCred != "" && p.ID != c.Project {
			return deny(NoRole, c.User, "the application credential is for another project")
		}
		c.Project = p.ID
	case c.AppCred != "" && (want.System || want.Domain != nil || want.Unscoped):
		return deny(NoRole, c.User, "an application credential is for its project only")
	case want.Domain != nil:
		var d cloud.Domain
		d, err = findDomain(tx, *want.Domain)
		c.Domain = d.ID
	case want.System:
		c.System = true
	}
	if cloud.Is(err, cloud.NotFound) {
		return deny(UnknownScope, c.User, "%s", cloud.Message(err))
	}
	return err
}

func findProject(tx *store.Tx, ref ProjectRef) (cloud.Project, error) {
	if ref.ID != "" {
		return tx.Projects.Get(ref.ID)
	}
	domain, err := findDomain(tx, ref.Domain)
	if err != nil {
		return cloud.Project{}, err
	}
	return tx.Projects.Find(store.Eq("domain_id", domain.ID), store.Eq("name", ref.Name))
}

// Explain tells why a login would be refused, without making a token; nil if it
// would not. It is for the operator at the machine itself.
func (s *Service) Explain(ctx context.Context, in Login) (*Denial, error) {
	_, _, err := s.Login(ctx, in)
	var d *Denial
	if errors.As(err, &d) {
		return d, nil
	}
	return nil, err
}
