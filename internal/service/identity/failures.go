package identity

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
)

// Reason is why a login or a token was refused. Outside, all are the same 401.
type Reason string

// The reasons.
const (
	UnknownUser     Reason = "unknown user"
	WrongPassword   Reason = "wrong password"
	NoPassword      Reason = "user has no password"
	HashScheme      Reason = "unknown password hash scheme"
	PasswordExpired Reason = "password expired"
	UserDisabled    Reason = "user disabled"
	LockedOut       Reason = "user locked out"
	DomainDisabled  Reason = "domain disabled"
	ProjectDisabled Reason = "project disabled"
	UnknownScope    Reason = "unknown scope"
	NoRole          Reason = "no role in the scope"
	UnknownAppCred  Reason = "unknown application credential"
	AppCredExpired  Reason = "application credential expired"
	WrongSecret     Reason = "wrong application credential secret"
	BadSignature    Reason = "not a valid OAuth signature"
	TokenInvalid    Reason = "not a valid token"
	TokenExpired    Reason = "token expired"
	TokenRevoked    Reason = "token revoked"
	ClockSkew       Reason = "clock skew"
)

// advice is what the operator can do.
var advice = map[Reason]string{
	UnknownUser:     "look for the name and the domain in `openstack user list`",
	WrongPassword:   "`openstack user set --password`, or for the admin `hearth auth reset admin`",
	NoPassword:      "`openstack user set --password`",
	HashScheme:      "the stored hash is not bcrypt: set the password anew, for the admin by `hearth auth reset admin`",
	PasswordExpired: "`openstack user password set` by the user, or `openstack user set --password`",
	UserDisabled:    "`openstack user set --enable`, or for the admin `hearth auth reset admin`",
	LockedOut:       "wait identity.lockout_duration, or `openstack user set --password`, for the admin `hearth auth reset admin`",
	DomainDisabled:  "`openstack domain set --enable`",
	ProjectDisabled: "`openstack project set --enable`",
	UnknownScope:    "look for the project or domain in `openstack project list`",
	NoRole:          "`openstack role add`",
	UnknownAppCred:  "`openstack application credential create`",
	AppCredExpired:  "`openstack application credential create`",
	WrongSecret:     "`openstack application credential create`: a secret cannot be shown again",
	BadSignature:    "the consumer signs with the secrets that it was given; `openstack consumer list`, and authorize it anew",
	TokenInvalid:    "log in again: `openstack token issue`",
	TokenExpired:    "log in again: `openstack token issue`; a token's life is identity.token_life in the configuration",
	TokenRevoked:    "log in again: `openstack token issue`",
	ClockSkew:       "set the clocks right (timedatectl, chrony), then log in again",
}

// Denial is the cause of an Unauthenticated error.
type Denial struct {
	Reason Reason
	User   string // the user's name or id as it was given, "" if unknown
	Detail string
}

// Error is the sentence.
func (d *Denial) Error() string {
	text := string(d.Reason)
	if d.User != "" {
		text += fmt.Sprintf(" (user %q)", d.User)
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	return text
}

// Advice is what the operator can do about it.
func (d *Denial) Advice() string { return advice[d.Reason] }

// deny is the error of a refused login or token.
func deny(reason Reason, user, format string, args ...any) error {
	return cloud.E("identity.authenticate", cloud.Unauthenticated, "%w", &Denial{reason, user, fmt.Sprintf(format, args...)})
}

// Failure is one kind of refusal that happened lately.
type Failure struct {
	Denial
	Count       int
	First, Last time.Time
}

// failures keeps the last kinds of refusals.
type failures struct {
	mu   sync.Mutex
	list []Failure
}

// maxFailures bounds how many are kept.
const maxFailures = 100

// note keeps an error if it is a refusal, and logs it. A refusal like an earlier
// one counts there.
func (s *Service) note(err error) {
	var d *Denial
	if !errors.As(err, &d) {
		return
	}
	s.log.Warn("authentication refused", "reason", string(d.Reason), "user", d.User, "detail", d.Detail, "advice", d.Advice())
	f := &s.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	now := s.clock.Now()
	next := Failure{Denial: *d, First: now}
	if i := slices.IndexFunc(f.list, func(o Failure) bool { return o.Reason == d.Reason && o.User == d.User }); i >= 0 {
		next.First, next.Count = f.list[i].First, f.list[i].Count
		f.list = slices.Delete(f.list, i, i+1)
	}
	next.Last = now
	next.Count++
	f.list = append(f.list, next)
	if len(f.list) > maxFailures {
		f.list = slices.Delete(f.list, 0, 1)
	}
}

// Failures are the refusals since the process began, the last first; one entry
// for each user and reason.
func (s *Service) Failures() []Failure {
	s.failures.mu.Lock()
	defer s.failures.mu.Unlock()
	out := slices.Clone(s.failures.list)
	slices.Reverse(out)
	return out
}
