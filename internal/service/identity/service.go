package identity

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Options are what the service can be told. The zero Options are good.
type Options struct {
	Log          *slog.Logger  // nil for none
	Cost         int           // of bcrypt; 12 if 0. Tests take bcrypt.MinCost
	TokenLife    time.Duration // one hour if 0
	KeyLife      time.Duration // after which a new key seals tokens; one day if 0
	Remember     time.Duration // how long a right password is remembered; 5 minutes if 0, never if negative
	Region       string        // RegionOne if ""
	Services     []Endpoint    // what the catalog lists
	Compliance   Compliance    // of passwords; asks for nothing if zero
	ExpiredGrace time.Duration // how long after its end a token can be validated with allow_expired; 48 hours if 0
}

// Service is the identity service. It is safe for concurrent use.
type Service struct {
	store    *store.Store
	clock    cloud.Clock
	opts     Options
	log      *slog.Logger
	failures failures
	hashing  limiter
	verified verified
	judged   judged
	keys     keyring
	dummy    []byte // a hash to compare with for unknown users
	changed  <-chan struct{}
	stop     func()
	version  atomic.Uint64 // of all that is about identity, as this process knows it
}

// tables are those that a judgement of a token depends on.
var tables = []string{
	"domains", "projects", "users", "roles", "assignments", "application_credentials", "revocations", "memberships", "implied_roles", "trusts",
	"access_rules", "oauth_accesses",
}

// New makes the service over a store. Close it.
func New(st *store.Store, clock cloud.Clock, opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Cost == 0 {
		opts.Cost = 12
	}
	if opts.TokenLife == 0 {
		opts.TokenLife = time.Hour
	}
	if opts.KeyLife == 0 {
		opts.KeyLife = 24 * time.Hour
	}
	if opts.Remember == 0 {
		opts.Remember = 5 * time.Minute
	}
	if opts.ExpiredGrace == 0 {
		opts.ExpiredGrace = 48 * time.Hour
	}
	if opts.Region == "" {
		opts.Region = "RegionOne"
	}
	s := &Service{store: st, clock: clock, opts: opts, log: opts.Log}
	s.hashing = newLimiter(runtime.GOMAXPROCS(0), 64)
	s.verified = newVerified(opts.Remember)
	// A salt and a digest that no password is known for.
	s.dummy = fmt.Appendf(nil, "$2a$%02d$%s", opts.Cost, strings.Repeat("u", 53))
	s.changed, s.stop = st.Watch(tables...)
	return s
}

// Close ends the service. The store stays open.
func (s *Service) Close() { s.stop() }

// view reads from the store.
func (s *Service) view(ctx context.Context, fn func(tx *store.Tx) error) error {
	return s.store.View(ctx, fn)
}

// update writes to the store, and forgets all judgements before it returns: the
// store's own signal may come a moment later.
func (s *Service) update(ctx context.Context, fn func(tx *store.Tx) error) error {
	err := s.store.Update(ctx, fn)
	if err == nil {
		s.version.Add(1)
	}
	return err
}

// current is the version of identity; it takes in what others wrote.
func (s *Service) current() uint64 {
	select {
	case <-s.changed:
		return s.version.Add(1)
	default:
		return s.version.Load()
	}
}
