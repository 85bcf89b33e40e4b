package identity_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"hearth/internal/cloud"
	"hearth/internal/service/identity"
	"hearth/internal/store"
)

const password = "correct horse"

// house is a bootstrapped identity service with a clock to turn.
type house struct {
	*identity.Service
	t     *testing.T
	store *store.Store
	clock *cloud.FakeClock
	made  identity.Result
}

func build(t *testing.T, change ...func(*identity.Options)) *house {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	opts := identity.Options{Cost: bcrypt.MinCost}
	for _, c := range change {
		c(&opts)
	}
	h := &house{t: t, store: st, clock: cloud.NewFakeClock()}
	h.Service = identity.New(st, h.clock, opts)
	t.Cleanup(func() { h.Close(); st.Close() })
	if h.made, err = h.Bootstrap(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	return h
}

// must ends the test at an error.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var inDefault = identity.DomainRef{ID: cloud.DefaultDomainID}

func byPassword(user, password string, scope identity.Scope) identity.Login {
	return identity.Login{Password: &identity.PasswordLogin{User: identity.UserRef{Name: user, Domain: inDefault}, Password: password}, Scope: scope}
}

func toProject(name string) identity.Scope {
	return identity.Scope{Project: &identity.ProjectRef{Name: name, Domain: inDefault}}
}

// member makes a user with the role of a member in demo.
func (h *house) member(name string) cloud.User {
	h.t.Helper()
	u, err := h.CreateUser(h.t.Context(), cloud.User{Name: name, Enabled: true}, password)
	if err == nil {
		err = h.Grant(h.t.Context(), cloud.Assignment{UserID: u.ID, RoleID: h.made.MemberRoleID, ProjectID: h.made.DemoProjectID})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// token logs in.
func (h *house) token(in identity.Login) string {
	h.t.Helper()
	token, _, err := h.Login(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// reason is why an error was refused, "" if it was not.
func reason(t *testing.T, err error) identity.Reason {
	t.Helper()
	var d *identity.Denial
	if err == nil {
		return ""
	}
	if !errors.As(err, &d) || !cloud.Is(err, cloud.Unauthenticated) {
		t.Fatalf("not a denial: %v", err)
	}
	return d.Reason
}

func TestScopes(t *testing.T) {
	h := build(t)
	h.member("ann")
	for _, c := range []struct {
		name  string
		in    identity.Login
		why   identity.Reason
		where string // project, domain or system
		roles string
	}{
		{"default project", byPassword("admin", password, identity.Scope{}), "", "admin", "admin,member,reader"},
		{"none to default to", byPassword("ann", password, identity.Scope{}), "", "", ""},
		{"unscoped", byPassword("admin", password, identity.Scope{Unscoped: true}), "", "", ""},
		{"project", byPassword("ann", password, toProject("demo")), "", "demo", "member,reader"},
		{"project by id", byPassword("ann", password, identity.Scope{Project: &identity.ProjectRef{ID: h.made.DemoProjectID}}), "", "demo", "member,reader"},
		{"domain", byPassword("admin", password, identity.Scope{Domain: &identity.DomainRef{Name: "Default"}}), "", "Default", "admin,member,reader"},
		{"domain in lower case", byPassword("admin", password, identity.Scope{Domain: &identity.DomainRef{Name: "default"}}), "", "Default", "admin,member,reader"},
		{"system", byPassword("admin", password, identity.Scope{System: true}), "", "system", "admin,member,reader"},
		{"not hers", byPassword("ann", password, toProject("admin")), identity.NoRole, "", ""},
		{"not her domain", byPassword("ann", password, identity.Scope{Domain: &inDefault}), identity.NoRole, "", ""},
		{"not her system", byPassword("ann", password, identity.Scope{System: true}), identity.NoRole, "", ""},
		{"no such project", byPassword("ann", password, toProject("nope")), identity.UnknownScope, "", ""},
		{"no such domain", byPassword("ann", password, identity.Scope{Domain: &identity.DomainRef{Name: "x"}}), identity.UnknownScope, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, caller, err := h.Login(t.Context(), c.in)
			if got := reason(t, err); got != c.why {
				t.Fatalf("reason %q, want %q: %v", got, c.why, err)
			}
			if err != nil {
				return
			}
			again, err := h.Authenticate(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []cloud.Caller{caller, again} {
				where := got.ProjectName + got.DomainName
				if got.System {
					where = "system"
				}
				if where != c.where || strings.Join(got.Roles, ",") != c.roles || len(got.RoleIDs) != len(got.Roles) {
					t.Errorf("%+v", got)
				}
				if !got.ExpiresAt.Equal(h.clock.Now().Add(time.Hour)) || len(got.AuditIDs) != 1 {
					t.Errorf("expires %v, audit %v", got.ExpiresAt, got.AuditIDs)
				}
			}
		})
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	h := build(t)
	ctx, no := t.Context(), false
	for _, c := range []struct {
		name    string
		prepare func(u cloud.User) error
		login   func(u cloud.User) identity.Login
		why     identity.Reason
	}{
		{"right", nil, nil, ""},
		{"wrong password", nil, func(u cloud.User) identity.Login { return byPassword(u.Name, "wrong", identity.Scope{}) }, identity.WrongPassword},
		{"unknown user", nil, func(cloud.User) identity.Login { return byPassword("nobody", password, identity.Scope{}) }, identity.UnknownUser},
		{"unknown domain", nil, func(u cloud.User) identity.Login {
			return identity.Login{Password: &identity.PasswordLogin{User: identity.UserRef{Name: u.Name, Domain: identity.DomainRef{Name: "x"}}, Password: password}}
		}, identity.UnknownUser},
		{"right with more behind 72 bytes", func(u cloud.User) error {
			long := strings.Repeat("x", 72)
			_, err := h.UpdateUser(ctx, u.ID, identity.UserPatch{Password: &long})
			return err
		}, func(u cloud.User) identity.Login {
			return byPassword(u.Name, strings.Repeat("x", 73), identity.Scope{})
		}, identity.WrongPassword},
		{"disabled", func(u cloud.User) error {
			_, err := h.UpdateUser(ctx, u.ID, identity.UserPatch{Enabled: &no})
			return err
		}, nil, identity.UserDisabled},
		{"other hash scheme", func(u cloud.User) error { return h.alter(u, func(u *cloud.User) { u.PasswordHash = "$6$salt$sha512" }) }, nil, identity.HashScheme},
		{"broken hash", func(u cloud.User) error { return h.alter(u, func(u *cloud.User) { u.PasswordHash = "$2a$12$short" }) }, nil, identity.HashScheme},
		{"no password", func(u cloud.User) error { return h.alter(u, func(u *cloud.User) { u.PasswordHash = "" }) }, nil, identity.NoPassword},
		{"expired", func(u cloud.User) error {
			return h.alter(u, func(u *cloud.User) { now := h.clock.Now(); u.PasswordExpiresAt = &now })
		}, nil, identity.PasswordExpired},
		{"clock turned back", func(u cloud.User) error {
			return h.alter(u, func(u *cloud.User) { u.TokensValidAfter = h.clock.Now().Add(time.Hour) })
		}, nil, identity.ClockSkew},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := h.member("u " + c.name)
			if c.prepare != nil {
				if err := c.prepare(u); err != nil {
					t.Fatal(err)
				}
			}
			in := byPassword(u.Name, password, identity.Scope{})
			if c.login != nil {
				in = c.login(u)
			}
			_, _, err := h.Login(ctx, in)
			if got := reason(t, err); got != c.why {
				t.Fatalf("reason %q, want %q: %v", got, c.why, err)
			}
			if c.why == "" {
				return
			}
			if last := h.Failures()[0]; last.Reason != c.why || last.Advice() == "" || last.User != in.Password.User.Name {
				t.Errorf("failure: %+v", last)
			}
			if d, err := h.Explain(ctx, in); err != nil || d.Reason != c.why || h.Failures()[0].Count != 2 {
				t.Errorf("explained as %v, %v", d, err)
			}
		})
	}
}

// alter changes a user in the store, past the service.
func (h *house) alter(u cloud.User, change func(*cloud.User)) error {
	return h.store.Update(h.t.Context(), func(tx *store.Tx) error {
		u, err := tx.Users.Get(u.ID)
		if err != nil {
			return err
		}
		change(&u)
		return tx.Users.Update(u)
	})
}

func TestTokensEnd(t *testing.T) {
	no := false
	empty := ""
	for _, c := range []struct {
		name string
		end  func(ctx context.Context, h *house, u cloud.User, token string) error
		why  identity.Reason
	}{
		{"not at all", func(context.Context, *house, cloud.User, string) error { return nil }, ""},
		{"expired", func(_ context.Context, h *house, _ cloud.User, _ string) error {
			h.clock.Advance(time.Hour)
			return nil
		}, identity.TokenExpired},
		{"a microsecond left", func(_ context.Context, h *house, _ cloud.User, _ string) error {
			h.clock.Advance(time.Hour - time.Microsecond)
			return nil
		}, ""},
		{"clock behind", func(_ context.Context, h *house, _ cloud.User, _ string) error {
			h.clock.Advance(-2 * time.Minute)
			return h.RotateKeys(t.Context())
		}, identity.ClockSkew},
		{"revoked", func(ctx context.Context, h *house, _ cloud.User, token string) error { return h.Revoke(ctx, token) }, identity.TokenRevoked},
		{"key rotated", func(ctx context.Context, h *house, _ cloud.User, _ string) error { return h.RotateKeys(ctx) }, ""},
		{"password changed", func(ctx context.Context, h *house, u cloud.User, _ string) error {
			h.clock.Advance(time.Second)
			return h.ChangePassword(ctx, u.ID, password, "another")
		}, identity.TokenRevoked},
		{"user disabled", func(ctx context.Context, h *house, u cloud.User, _ string) error {
			_, err := h.UpdateUser(ctx, u.ID, identity.UserPatch{Enabled: &no})
			return err
		}, identity.UserDisabled},
		{"user renamed", func(ctx context.Context, h *house, u cloud.User, _ string) error {
			_, err := h.UpdateUser(ctx, u.ID, identity.UserPatch{Email: &empty})
			return err
		}, ""},
		{"user deleted", func(ctx context.Context, h *house, u cloud.User, _ string) error { return h.DeleteUser(ctx, u.ID) }, identity.UnknownUser},
		{"project disabled", func(ctx context.Context, h *house, _ cloud.User, _ string) error {
			_, err := h.UpdateProject(ctx, h.made.DemoProjectID, identity.ProjectPatch{Enabled: &no})
			return err
		}, identity.ProjectDisabled},
		{"project deleted", func(ctx context.Context, h *house, _ cloud.User, _ string) error {
			return h.DeleteProject(ctx, h.made.DemoProjectID)
		}, identity.UnknownScope},
		{"role taken away", func(ctx context.Context, h *house, u cloud.User, _ string) error {
			return h.Ungrant(ctx, cloud.Assignment{UserID: u.ID, RoleID: h.made.MemberRoleID, ProjectID: h.made.DemoProjectID})
		}, identity.NoRole},
		{"written by another head", func(_ context.Context, h *house, u cloud.User, _ string) error {
			return h.alter(u, func(u *cloud.User) { u.Enabled = false })
		}, identity.UserDisabled},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := build(t)
			u := h.member("ann")
			token := h.token(byPassword("ann", password, toProject("demo")))
			if _, err := h.Authenticate(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			if err := c.end(t.Context(), h, u, token); err != nil {
				t.Fatal(err)
			}
			if c.name == "clock behind" { // what is remembered is not judged again
				h.member("bob")
			}
			_, err := h.Authenticate(t.Context(), token)
			if got := reason(t, err); got != c.why {
				t.Fatalf("reason %q, want %q: %v", got, c.why, err)
			}
		})
	}
}

func TestNotTokens(t *testing.T) {
	h, other := build(t), build(t)
	good := h.token(byPassword("admin", password, identity.Scope{}))
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	for name, token := range map[string]string{
		"empty": "", "nonsense": "nonsense", "short": "AQE", "flipped": string(flipped), "cut": good[:len(good)-3],
		"of another cloud": other.token(byPassword("admin", password, identity.Scope{})), "long": strings.Repeat("A", 1<<20),
	} {
		if _, err := h.Authenticate(t.Context(), token); reason(t, err) != identity.TokenInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldKeysAreDropped(t *testing.T) {
	h := build(t)
	token := h.token(byPassword("admin", password, identity.Scope{}))
	for range 5 {
		h.clock.Advance(25 * time.Hour)
		h.token(byPassword("admin", password, identity.Scope{}))
	}
	if _, err := h.Authenticate(t.Context(), token); reason(t, err) != identity.TokenInvalid {
		t.Errorf("a token of a key that is gone: %v", err)
	}
	again := identity.New(h.store, h.clock, identity.Options{Cost: bcrypt.MinCost})
	defer again.Close()
	if _, err := again.Authenticate(t.Context(), h.token(byPassword("admin", password, identity.Scope{}))); err != nil {
		t.Errorf("a token after a restart: %v", err)
	}
}

func TestRescope(t *testing.T) {
	h := build(t)
	first := h.token(byPassword("admin", password, identity.Scope{Unscoped: true}))
	h.clock.Advance(10 * time.Minute)
	_, c, err := h.Login(t.Context(), identity.Login{Token: first, Scope: toProject("demo")})
	if err != nil {
		t.Fatal(err)
	}
	if !c.ExpiresAt.Equal(h.clock.Now().Add(50*time.Minute)) || !slices.Equal(c.Methods, []string{"token", "password"}) || len(c.AuditIDs) != 2 || c.ProjectName != "demo" {
		t.Errorf("%+v", c)
	}
}

func TestValidateExpired(t *testing.T) {
	h := build(t)
	token := h.token(byPassword("admin", password, identity.Scope{}))
	h.clock.Advance(2 * time.Hour)
	if _, err := h.Validate(t.Context(), token, false); reason(t, err) != identity.TokenExpired {
		t.Error(err)
	}
	if c, err := h.Validate(t.Context(), token, true); err != nil || c.UserName != "admin" {
		t.Error(c, err)
	}
	h.clock.Advance(48 * time.Hour)
	if _, err := h.Validate(t.Context(), token, true); err == nil {
		t.Error("expired long ago, and valid")
	}
}

func TestAppCreds(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	u := h.member("ann")
	_, ann, err := h.Login(ctx, byPassword("ann", password, toProject("demo")))
	if err != nil {
		t.Fatal(err)
	}
	soon := h.clock.Now().Add(10 * time.Minute)
	cred, secret, err := h.CreateAppCred(ctx, ann, identity.NewAppCred{Name: "ci", Roles: []cloud.Role{{Name: "reader"}}, ExpiresAt: &soon})
	if err != nil || strings.Contains(cred.SecretHash, secret) {
		t.Fatal(cred, err)
	}
	login := func(secret string) identity.Login {
		return identity.Login{AppCred: &identity.AppCredLogin{ID: cred.ID, Secret: secret}}
	}
	token, c, err := h.Login(ctx, login(secret))
	if err != nil || !slices.Equal(c.Roles, []string{"reader"}) || c.ProjectID != h.made.DemoProjectID || !c.ExpiresAt.Equal(soon) {
		t.Fatalf("%+v, %v", c, err)
	}
	named := identity.Login{AppCred: &identity.AppCredLogin{Name: "ci", User: identity.UserRef{ID: u.ID}, Secret: secret}}
	if _, _, err := h.Login(ctx, named); err != nil {
		t.Error(err)
	}
	if _, _, err := h.Login(ctx, login(secret+"x")); reason(t, err) != identity.WrongSecret {
		t.Error(err)
	}
	if _, _, err := h.Login(ctx, identity.Login{AppCred: &identity.AppCredLogin{ID: "nope", Secret: secret}}); reason(t, err) != identity.UnknownAppCred {
		t.Error(err)
	}
	if _, _, err := h.Login(ctx, identity.Login{Token: token, Scope: toProject("demo")}); reason(t, err) != identity.NoRole {
		t.Errorf("a restricted token makes another: %v", err)
	}
	if _, _, err := h.CreateAppCred(ctx, c, identity.NewAppCred{Name: "more"}); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("a restricted credential makes another: %v", err)
	}
	if _, _, err := h.CreateAppCred(ctx, ann, identity.NewAppCred{Name: "root", Roles: []cloud.Role{{Name: "admin"}}}); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a role that she does not have: %v", err)
	}
	if _, _, err := h.CreateAppCred(ctx, ann, identity.NewAppCred{Name: "ci"}); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("the same name twice: %v", err)
	}
	if err := h.DeleteAppCred(ctx, ann, "other", cred.ID); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("another's: %v", err)
	}
	h.clock.Advance(10 * time.Minute)
	if _, _, err := h.Login(ctx, login(secret)); err == nil {
		t.Error("an expired credential logs in")
	}
	if err := h.DeleteAppCred(ctx, ann, u.ID, cred.ID); err != nil {
		t.Error(err)
	}
	if _, err := h.Authenticate(ctx, token); err == nil {
		t.Error("the token outlives its credential")
	}
}

func TestInheritedRoles(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	u := must[cloud.User](t)(h.CreateUser(ctx, cloud.User{Name: "ann", Enabled: true}, password))
	parent := must[cloud.Project](t)(h.CreateProject(ctx, cloud.Project{Name: "parent", Enabled: true}))
	child := must[cloud.Project](t)(h.CreateProject(ctx, cloud.Project{Name: "child", ParentID: parent.ID, Enabled: true}))
	if err := h.Grant(ctx, cloud.Assignment{UserID: u.ID, RoleID: h.made.MemberRoleID, ProjectID: parent.ID, Inherited: true}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Login(ctx, byPassword("ann", password, toProject("parent"))); reason(t, err) != identity.NoRole {
		t.Errorf("inherited on the parent itself: %v", err)
	}
	if _, c, err := h.Login(ctx, byPassword("ann", password, toProject("child"))); err != nil || !c.Has("member") {
		t.Errorf("on the child: %v", err)
	}
	if got := must[[]cloud.Project](t)(h.UserProjects(ctx, u.ID)); len(got) != 1 || got[0].ID != child.ID {
		t.Errorf("projects: %+v", got)
	}
	list, _, err := h.Assignments(ctx, identity.AssignmentFilter{UserID: u.ID, Effective: true})
	if err != nil || len(list) != 2 || list[0].ProjectID != child.ID || list[0].Inherited {
		t.Errorf("effective: %+v, %v", list, err)
	}
	if err := h.DeleteProject(ctx, parent.ID); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("a project with a child: %v", err)
	}
}

func TestDomainsGoWhole(t *testing.T) {
	h := build(t)
	ctx, no := t.Context(), false
	d := must[cloud.Domain](t)(h.CreateDomain(ctx, cloud.Domain{Name: "d", Enabled: true}))
	u := must[cloud.User](t)(h.CreateUser(ctx, cloud.User{Name: "ann", DomainID: d.ID, Enabled: true}, password))
	p := must[cloud.Project](t)(h.CreateProject(ctx, cloud.Project{Name: "p", DomainID: d.ID, Enabled: true}))
	if err := h.Grant(ctx, cloud.Assignment{UserID: u.ID, RoleID: h.made.MemberRoleID, ProjectID: p.ID}); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteDomain(ctx, d.ID); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("an enabled domain: %v", err)
	}
	must[cloud.Domain](t)(h.UpdateDomain(ctx, d.ID, identity.DomainPatch{Enabled: &no}))
	in := identity.Login{Password: &identity.PasswordLogin{User: identity.UserRef{ID: u.ID}, Password: password}}
	if _, _, err := h.Login(ctx, in); reason(t, err) != identity.DomainDisabled {
		t.Errorf("login in a disabled domain: %v", err)
	}
	if err := h.DeleteDomain(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"user":    func() error { _, err := h.User(ctx, u.ID); return err }(),
		"project": func() error { _, err := h.Project(ctx, p.ID); return err }(),
	} {
		if !cloud.Is(err, cloud.NotFound) {
			t.Errorf("%s is left: %v", what, err)
		}
	}
	if list, _, _ := h.Assignments(ctx, identity.AssignmentFilter{UserID: u.ID}); len(list) != 0 {
		t.Errorf("assignments are left: %+v", list)
	}
	if err := h.DeleteDomain(ctx, cloud.DefaultDomainID); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("the default domain: %v", err)
	}
}

func TestBootstrapAndReset(t *testing.T) {
	h := build(t)
	ctx, no := t.Context(), false
	if h.made.AdminPassword != password {
		t.Errorf("the password of a made admin: %q", h.made.AdminPassword)
	}
	again := must[identity.Result](t)(h.Bootstrap(ctx, "ignored"))
	if again.AdminPassword != "" || again.AdminUserID != h.made.AdminUserID || again.DemoProjectID != h.made.DemoProjectID {
		t.Errorf("the second time: %+v", again)
	}
	h.token(byPassword("admin", password, identity.Scope{}))
	must[cloud.User](t)(h.UpdateUser(ctx, h.made.AdminUserID, identity.UserPatch{Enabled: &no}))
	must[cloud.Project](t)(h.UpdateProject(ctx, h.made.AdminProjectID, identity.ProjectPatch{Enabled: &no}))
	if err := h.Ungrant(ctx, cloud.Assignment{UserID: h.made.AdminUserID, RoleID: h.made.AdminRoleID, ProjectID: h.made.AdminProjectID}); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Second)
	fresh := must[string](t)(h.ResetAdmin(ctx))
	h.token(byPassword("admin", fresh, toProject("admin")))
	if _, _, err := h.Login(ctx, byPassword("admin", password, identity.Scope{})); reason(t, err) != identity.WrongPassword {
		t.Errorf("the old password: %v", err)
	}
	if err := h.DeleteUser(ctx, h.made.AdminUserID); err != nil {
		t.Fatal(err)
	}
	h.token(byPassword("admin", must[string](t)(h.ResetAdmin(ctx)), identity.Scope{System: true}))
}

func TestNames(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	for what, err := range map[string]error{
		"project": func() error { _, err := h.CreateProject(ctx, cloud.Project{Name: "demo"}); return err }(),
		"user":    func() error { _, err := h.CreateUser(ctx, cloud.User{Name: "admin"}, ""); return err }(),
		"role":    func() error { _, err := h.CreateRole(ctx, cloud.Role{Name: "admin"}); return err }(),
		"domain":  func() error { _, err := h.CreateDomain(ctx, cloud.Domain{Name: "Default"}); return err }(),
	} {
		if !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := h.DeleteRole(ctx, h.made.ReaderRoleID); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("deleting reader: %v", err)
	}
	long := strings.Repeat("x", 73)
	if _, err := h.CreateUser(ctx, cloud.User{Name: "long"}, long); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a long password: %v", err)
	}
}

func TestNewPassword(t *testing.T) {
	if a, b := identity.NewPassword(), identity.NewPassword(); a == b || len(a) != 20 || strings.ContainsAny(a+b, "0O1lIi") {
		t.Errorf("passwords %q %q", a, b)
	}
}
