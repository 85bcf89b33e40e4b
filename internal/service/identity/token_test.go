package identity_test

import (
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"hearth/internal/cloud"
	"hearth/internal/service/identity"
	"hearth/internal/store"
)

// FuzzAuthenticate: whatever is sent as a token is refused, and nothing falls
// over.
func FuzzAuthenticate(f *testing.F) {
	st, err := store.Open(f.Context(), "sqlite::memory:")
	if err != nil {
		f.Fatal(err)
	}
	s := identity.New(st, cloud.NewFakeClock(), identity.Options{Cost: bcrypt.MinCost})
	defer st.Close()
	defer s.Close()
	if _, err := s.Bootstrap(f.Context(), password); err != nil {
		f.Fatal(err)
	}
	good, _, err := s.Login(f.Context(), byPassword("admin", password, identity.Scope{}))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "A", "AQE", "AQEAAAAAAAAAAAAAAAAA", "gAAAAABh", good[:40], good + "A", good[4:], good + "\n", good[:9] + "\r" + good[9:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == good {
			return
		}
		if c, err := s.Authenticate(t.Context(), token); !cloud.Is(err, cloud.Unauthenticated) {
			t.Errorf("%q: %+v, %v", token, c, err)
		}
	})
}

// BenchmarkAuthenticate is what every request pays for its token.
func BenchmarkAuthenticate(b *testing.B) {
	st, err := store.Open(b.Context(), "sqlite::memory:")
	if err != nil {
		b.Fatal(err)
	}
	s := identity.New(st, cloud.NewFakeClock(), identity.Options{Cost: bcrypt.MinCost})
	defer st.Close()
	defer s.Close()
	if _, err := s.Bootstrap(b.Context(), password); err != nil {
		b.Fatal(err)
	}
	token, _, err := s.Login(b.Context(), byPassword("admin", password, identity.Scope{}))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTogether logs in, changes and asks at the same time; it is for -race.
func TestTogether(t *testing.T) {
	h := build(t)
	token := h.token(byPassword("admin", password, identity.Scope{}))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				if _, err := h.Authenticate(t.Context(), token); err != nil {
					t.Error(err)
				}
				switch i % 4 {
				case 0:
					if _, _, err := h.Login(t.Context(), byPassword("admin", password, identity.Scope{System: true})); err != nil {
						t.Error(err)
					}
				case 1:
					if _, err := h.CreateUser(t.Context(), cloud.User{Name: cloud.NewID()}, ""); err != nil {
						t.Error(err)
					}
				case 2:
					if err := h.RotateKeys(t.Context()); err != nil {
						t.Error(err)
					}
				case 3:
					if _, _, err := h.Login(t.Context(), byPassword("admin", "wrong", identity.Scope{})); err == nil {
						t.Error("a wrong password is good")
					}
					h.Failures()
				}
			}
		})
	}
	all.Wait()
}
