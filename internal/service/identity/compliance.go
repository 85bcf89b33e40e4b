package identity

import (
	"context"
	"errors"
	"regexp"
	"time"

	"golang.org/x/crypto/bcrypt"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Compliance is the rules of passwords and of locking users out. The zero value
// asks for nothing.
type Compliance struct {
	LockoutAttempts  int            // wrong passwords in a row that lock a user out; 0 for never
	LockoutDuration  time.Duration  // for how long; 0 until an administrator sets the password or enables the user
	UniqueLast       int            // a user's new password differs from so many before, the present one included
	MinimumAge       time.Duration  // a user keeps a new password for so long
	ExpiresAfter     time.Duration  // a password is good for so long; 0 for ever
	FirstUse         bool           // a password that an administrator set must be changed by the user
	Regex            *regexp.Regexp // that a password must match; nil for none
	RegexDescription string         // says it for people
}

// The options of a user that lift a rule.
const (
	IgnoreLockout  = "ignore_lockout_failure_attempts"
	IgnoreExpiry   = "ignore_password_expiry"
	IgnoreFirstUse = "ignore_change_password_upon_first_use"
	LockPassword   = "lock_password" // the user cannot change its own
)

// UserOptions are the options that a user can have, all of them booleans.
var UserOptions = []string{IgnoreLockout, IgnoreExpiry, IgnoreFirstUse, LockPassword}

func option(u cloud.User, name string) bool {
	on, _ := u.Options[name].(bool)
	return on
}

// suits judges a new password by its form; Invalid.
func (c Compliance) suits(password string) error {
	if c.Regex == nil || c.Regex.MatchString(password) {
		return nil
	}
	detail := c.RegexDescription
	if detail == "" {
		detail = "it must match " + c.Regex.String()
	}
	return cloud.E("identity.password", cloud.Invalid, "The password does not match the requirements: %s.", detail)
}

// lockedOut tells whether a user is locked out now.
func (c Compliance) lockedOut(u cloud.User, now time.Time) bool {
	if c.LockoutAttempts < 1 || u.FailedAt == nil || u.FailedLogins < c.LockoutAttempts || option(u, IgnoreLockout) {
		return false
	}
	return c.LockoutDuration <= 0 || now.Before(u.FailedAt.Add(c.LockoutDuration))
}

// counted keeps the count of wrong passwords of a user, if somebody is locked out
// by it.
func (s *Service) counted(ctx context.Context, u cloud.User, wrong bool) error {
	c := s.opts.Compliance
	if c.LockoutAttempts < 1 || !wrong && u.FailedLogins == 0 {
		return nil
	}
	return s.update(ctx, func(tx *store.Tx) error {
		u, err := tx.Users.Get(u.ID)
		if cloud.Is(err, cloud.NotFound) {
			return nil // deleted meanwhile: the login will find out
		}
		if err != nil {
			return err
		}
		now := s.clock.Now()
		over := u.FailedAt != nil && u.FailedLogins >= c.LockoutAttempts && !c.lockedOut(u, now)
		if !wrong || over {
			u.FailedLogins, u.FailedAt = 0, nil
		}
		if wrong {
			u.FailedLogins++
			u.FailedAt = &now
		}
		return tx.Users.Update(u)
	})
}

// renew puts a new password's hash into a user; own if the user itself set it.
func (s *Service) renew(u *cloud.User, hash string, own bool) {
	c, now := s.opts.Compliance, s.clock.Now()
	if u.PasswordHash != "" && c.UniqueLast > 0 {
		u.PasswordHistory = append(u.PasswordHistory, cloud.PasswordRecord{Hash: u.PasswordHash, CreatedAt: u.PasswordChangedAt})
		u.PasswordHistory = u.PasswordHistory[max(0, len(u.PasswordHistory)-c.UniqueLast):]
	}
	u.PasswordHash, u.PasswordChangedAt, u.PasswordExpiresAt = hash, now, nil
	u.FailedLogins, u.FailedAt = 0, nil
	switch {
	case !own && c.FirstUse && !option(*u, IgnoreFirstUse):
		u.PasswordExpiresAt = &now
	case c.ExpiresAfter > 0 && !option(*u, IgnoreExpiry):
		end := now.Add(c.ExpiresAfter)
		u.PasswordExpiresAt = &end
	}
}

// mayChange judges a user's change of its own password, beyond the password's
// form; Invalid.
func (s *Service) mayChange(ctx context.Context, u cloud.User, password string) error {
	const op = "identity.ChangePassword"
	c := s.opts.Compliance
	if option(u, LockPassword) {
		return cloud.E(op, cloud.Invalid, "You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.")
	}
	old := s.clock.Now().Sub(u.PasswordChangedAt)
	if forced := u.PasswordExpiresAt != nil && !s.clock.Now().Before(*u.PasswordExpiresAt); old < c.MinimumAge && !forced {
		return cloud.E(op, cloud.Invalid, "You cannot change your password at this time due to the minimum password age: it can be changed in %s.", (c.MinimumAge - old).Round(time.Second))
	}
	if c.UniqueLast < 1 {
		return nil
	}
	hashes := []string{u.PasswordHash}
	for i := len(u.PasswordHistory) - 1; i >= 0 && len(hashes) < c.UniqueLast; i-- {
		hashes = append(hashes, u.PasswordHistory[i].Hash)
	}
	for _, hash := range hashes {
		same, err := s.fits(ctx, hash, password)
		if err == nil && same {
			err = cloud.E(op, cloud.Invalid, "The new password cannot be identical to a previous password. The total number which includes the new password must be unique is %d.", c.UniqueLast)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fits tells whether a password is that of a hash.
func (s *Service) fits(ctx context.Context, hash, password string) (bool, error) {
	if err := s.hashing.enter(ctx); err != nil {
		return false, err
	}
	defer s.hashing.leave()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password[:min(len(password), maxPassword)]))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil // not a hash that can be compared with
	}
	return err == nil, nil
}
