package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"hearth/internal/cloud"
)

// maxPassword is what bcrypt takes, in bytes.
const maxPassword = 72

// alphabet has no characters that look alike.
const alphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewPassword makes a random password of 20 characters (116 bits) that are hard
// to mistake and need no quoting.
func NewPassword() string {
	var b strings.Builder
	for range 20 {
		i, _ := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet)))) // never fails
		b.WriteByte(alphabet[i.Int64()])
	}
	return b.String()
}

// hash makes the hash to keep of a password; Invalid for one that cannot be kept.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	const op = "identity.hash"
	switch {
	case password == "":
		return "", cloud.E(op, cloud.Invalid, "the password is empty")
	case len(password) > maxPassword:
		return "", cloud.E(op, cloud.Invalid, "the password is %d bytes long; at most %d are possible", len(password), maxPassword)
	}
	if err := s.hashing.enter(ctx); err != nil {
		return "", err
	}
	defer s.hashing.leave()
	out, err := bcrypt.GenerateFromPassword([]byte(password), s.opts.Cost)
	if err != nil {
		return "", cloud.E(op, cloud.Internal, "hashing a password: %w", err)
	}
	return string(out), nil
}

// check compares a password with a hash in the time of one bcrypt whatever comes
// out, except for a password that was right lately. It says why it is not right;
// "" if it is.
func (s *Service) check(ctx context.Context, hash, password string) (Reason, error) {
	compare, wrong := []byte(hash), WrongPassword
	switch {
	case hash == "":
		compare, wrong = s.dummy, NoPassword
	case !strings.HasPrefix(hash, "$2a$") && !strings.HasPrefix(hash, "$2b$") && !strings.HasPrefix(hash, "$2y$"):
		compare, wrong = s.dummy, HashScheme
	}
	mark := s.verified.mark(hash, password)
	if wrong == WrongPassword && s.verified.has(mark, s.clock.Now()) {
		return "", nil
	}
	if err := s.hashing.enter(ctx); err != nil {
		return "", err
	}
	defer s.hashing.leave()
	err := bcrypt.CompareHashAndPassword(compare, []byte(password[:min(len(password), maxPassword)]))
	switch {
	case wrong != WrongPassword:
		return wrong, nil
	case err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return HashScheme, nil
	case err != nil || len(password) > maxPassword:
		return WrongPassword, nil
	}
	s.verified.add(mark, s.clock.Now())
	return "", nil
}

// secretForm is what is hashed of an application credential's secret, which can
// be longer than bcrypt takes.
func secretForm(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}

// limiter lets some work at once and some wait; the others are sent away.
type limiter struct{ places, queue chan struct{} }

func newLimiter(work, wait int) limiter {
	return limiter{places: make(chan struct{}, work), queue: make(chan struct{}, work+wait)}
}

// enter waits for a place; Unavailable when too many wait already.
func (l limiter) enter(ctx context.Context) error {
	const op = "identity.login"
	select {
	case l.queue <- struct{}{}:
	default:
		return cloud.E(op, cloud.Unavailable, "too many logins at once: try again in a moment")
	}
	select {
	case l.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-l.queue
		return cloud.E(op, cloud.Unavailable, "the client gave up waiting for the login: %w", ctx.Err())
	}
}

func (l limiter) leave() {
	<-l.places
	<-l.queue
}

// verified remembers passwords that were right, as marks.
type verified struct {
	life  time.Duration
	key   []byte
	mu    *sync.Mutex
	until map[mark]time.Time
}

// mark is an HMAC of a stored hash and the password that fits it.
type mark [sha256.Size]byte

// maxVerified bounds how many are remembered.
const maxVerified = 4096

func newVerified(life time.Duration) verified {
	v := verified{life: life, key: make([]byte, 32), mu: &sync.Mutex{}, until: map[mark]time.Time{}}
	_, _ = rand.Read(v.key)
	return v
}

func (v verified) mark(hash, password string) mark {
	h := hmac.New(sha256.New, v.key)
	h.Write([]byte(hash))
	h.Write([]byte{0})
	h.Write([]byte(password))
	return mark(h.Sum(nil))
}

func (v verified) has(m mark, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	until, ok := v.until[m]
	return ok && now.Before(until)
}

func (v verified) add(m mark, now time.Time) {
	if v.life <= 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.until) >= maxVerified {
		for old, until := range v.until {
			if !now.Before(until) {
				delete(v.until, old)
			}
		}
	}
	if len(v.until) < maxVerified {
		v.until[m] = now.Add(v.life)
	}
}
