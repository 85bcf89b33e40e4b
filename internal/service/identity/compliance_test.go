package identity_test

import (
	"regexp"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/identity"
	"hearth/internal/store"
)

func strict(change func(*identity.Compliance)) func(*identity.Options) {
	return func(o *identity.Options) { change(&o.Compliance) }
}

// denied wants a login to be refused for the reason; "" for none.
func (h *house) denied(password string, want identity.Reason) {
	h.t.Helper()
	d, err := h.Explain(h.t.Context(), byPassword("ann", password, identity.Scope{}))
	if err != nil {
		h.t.Fatal(err)
	}
	if d == nil && want != "" || d != nil && d.Reason != want {
		h.t.Errorf("%v, want %q", d, want)
	}
}

func TestLockout(t *testing.T) {
	h := build(t, strict(func(c *identity.Compliance) { c.LockoutAttempts, c.LockoutDuration = 2, time.Minute }))
	ann := h.member("ann")
	h.denied("wrong", identity.WrongPassword)
	h.denied(password, "") // which starts the count again
	h.denied("wrong", identity.WrongPassword)
	h.denied("wrong", identity.WrongPassword)
	h.denied(password, identity.LockedOut)
	if err := h.ChangePassword(t.Context(), ann.ID, password, "another"); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("a locked out user changed its password: %v", err)
	}
	h.clock.Advance(time.Minute)
	h.denied("wrong", identity.WrongPassword) // the first of a new count
	h.denied(password, "")
	if _, err := h.UpdateUser(t.Context(), ann.ID, identity.UserPatch{Options: map[string]any{identity.IgnoreLockout: true}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.denied("wrong", identity.WrongPassword)
	}
	h.denied(password, "")
}

func TestPasswordRules(t *testing.T) {
	h := build(t, strict(func(c *identity.Compliance) {
		c.UniqueLast, c.MinimumAge, c.ExpiresAfter, c.Regex = 2, time.Hour, 24*time.Hour, regexp.MustCompile(`^.{6,}$`)
	}))
	ann := h.member("ann")
	change := func(from, to string, want cloud.Kind, ok bool) {
		t.Helper()
		if err := h.ChangePassword(t.Context(), ann.ID, from, to); ok != (err == nil) || !ok && cloud.KindOf(err) != want {
			t.Errorf("%s to %s: %v", from, to, err)
		}
	}
	if _, err := h.CreateUser(t.Context(), cloud.User{Name: "bob"}, "short"); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a password that does not match: %v", err)
	}
	change(password, "second one", cloud.Invalid, false) // too young
	h.clock.Advance(time.Hour)
	change(password, "short", cloud.Invalid, false)
	change(password, password, cloud.Invalid, false)
	change(password, "second one", 0, true)
	h.clock.Advance(time.Hour)
	change("second one", password, cloud.Invalid, false) // one of the last two
	change("second one", "third one", 0, true)
	h.clock.Advance(24 * time.Hour)
	h.denied("third one", identity.PasswordExpired)
	change("third one", password, 0, true) // the first is long enough ago
	h.denied(password, "")
}

func TestTrust(t *testing.T) {
	h := build(t)
	ctx, ann, bob := t.Context(), h.member("ann"), must[cloud.User](t)(h.CreateUser(t.Context(), cloud.User{Name: "bob", Enabled: true}, password))
	_, caller, err := h.Login(ctx, byPassword("ann", password, toProject("demo")))
	if err != nil {
		t.Fatal(err)
	}
	uses := 1
	want := cloud.Trust{TrustorUserID: ann.ID, TrusteeUserID: bob.ID, ProjectID: h.made.DemoProjectID, Impersonation: true, RemainingUses: &uses}
	if _, err := h.CreateTrust(ctx, caller, want, []cloud.Role{{Name: "admin"}}); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("a role that the trustor does not have: %v", err)
	}
	trust := must[cloud.Trust](t)(h.CreateTrust(ctx, caller, want, []cloud.Role{{Name: "reader"}}))
	scope := identity.Scope{Trust: trust.ID}
	if _, _, err := h.Login(ctx, byPassword("ann", password, scope)); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("another than the trustee: %v", err)
	}
	token, got, err := h.Login(ctx, byPassword("bob", password, scope))
	if err != nil || got.UserID != ann.ID || got.TrustID != trust.ID || len(got.Roles) != 1 || got.Roles[0] != "reader" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, _, err := h.Login(ctx, byPassword("bob", password, scope)); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("a second use: %v", err)
	}
	if _, _, err := h.Login(ctx, identity.Login{Token: token, Scope: toProject("demo")}); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("another token of a trust's: %v", err)
	}
	if _, _, err := h.CreateAppCred(ctx, got, identity.NewAppCred{Name: "x"}); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("an application credential by a trust: %v", err)
	}
	if err := h.DeleteTrust(ctx, trust.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authenticate(ctx, token); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("the token outlived the trust: %v", err)
	}
}

// TestMadePasswords lets the operator in whatever the rules ask of people.
func TestMadePasswords(t *testing.T) {
	h := build(t, strict(func(c *identity.Compliance) { c.FirstUse, c.Regex = true, regexp.MustCompile(`[!?]|correct`) }))
	reset := must[string](t)(h.ResetAdmin(t.Context()))
	h.token(byPassword("admin", reset, toProject("admin")))
	h.member("ann")
	h.denied(password, identity.PasswordExpired) // an administrator set it
}

// TestSeedOnce starts the service again over the same store: what the operator
// deleted stays away, what the configuration says anew is followed.
func TestSeedOnce(t *testing.T) {
	ctx := t.Context()
	st, err := store.Open(ctx, "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	start := func(path string) *identity.Service {
		s := identity.New(st, cloud.NewFakeClock(), identity.Options{Cost: 4, Services: []identity.Endpoint{{Type: "image", Name: "glance", Path: path}, {Type: "dns", Name: "d", Path: "/d"}}})
		t.Cleanup(s.Close)
		if _, err := s.Bootstrap(ctx, password); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start("/image")
	dns, err := s.CatalogServices(ctx, "dns", "")
	if err != nil || len(dns) != 1 {
		t.Fatal(dns, err)
	}
	if err := s.DeleteCatalogService(ctx, dns[0].ID); err != nil {
		t.Fatal(err)
	}
	got, err := start("/images").Catalog(ctx, "")
	if err != nil || len(got) != 1 || len(got[0].Endpoints) != 3 || got[0].Endpoints[0].URL != "/images" {
		t.Errorf("%+v, %v", got, err)
	}
}
