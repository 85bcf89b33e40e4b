package config

import "regexp"

// check refuses rules of passwords that cannot work.
func (c Identity) check(say func(ok bool, format string, args ...any)) {
	say(c.LockoutAttempts >= 0, "identity.lockout_attempts is %d: it must be 0, for never, or more", c.LockoutAttempts)
	say(c.LockoutDuration >= 0, "identity.lockout_duration is %s: it must not be negative", c.LockoutDuration)
	say(c.UniqueLastPasswordCount >= 0, "identity.unique_last_password_count is %d: it must not be negative", c.UniqueLastPasswordCount)
	say(c.MinimumPasswordAge >= 0, "identity.minimum_password_age is %s: it must not be negative", c.MinimumPasswordAge)
	say(c.PasswordExpiresAfter == 0 || c.PasswordExpiresAfter > c.MinimumPasswordAge,
		"identity.password_expires_after is %s: it must be 0, for never, or more than minimum_password_age", c.PasswordExpiresAfter)
	_, err := regexp.Compile(c.PasswordRegex)
	say(err == nil, "identity.password_regex is %q: %v", c.PasswordRegex, err)
}
