package cloud

import "time"

// DefaultDomainID is the id of the domain that always exists.
const DefaultDomainID = "default"

// Domain holds projects, users and roles of its own.
type Domain struct {
	ID, Name, Description string
	Enabled               bool
	Tags                  []string
}

// Project owns resources. ParentID is the domain's id for a top one.
type Project struct {
	ID, Name, Description, DomainID, ParentID string
	Enabled                                   bool
	Tags                                      []string
	Extra                                     map[string]any // unknown attributes, kept as given
}

// User can log in. PasswordHash is bcrypt; empty means no password login.
type User struct {
	ID, Name, Description, DomainID, DefaultProjectID, Email string
	Enabled                                                  bool
	PasswordHash                                             string
	PasswordExpiresAt                                        *time.Time
	PasswordChangedAt                                        time.Time        // zero: never
	PasswordHistory                                          []PasswordRecord // the passwords before, the newest last
	FailedLogins                                             int              // wrong passwords since the last right one
	FailedAt                                                 *time.Time       // the last of them
	Options                                                  map[string]any   // such as ignore_lockout_failure_attempts
	TokensValidAfter                                         time.Time        // tokens issued before are revoked (password change, disable)
	Extra                                                    map[string]any
}

// Role is a name that policies know. DomainID is empty for a global role.
type Role struct {
	ID, Name, Description, DomainID string
	Extra                           map[string]any // attributes that clients put there
}

// Assignment gives a user, or the users of a group, a role on exactly one target.
type Assignment struct {
	ID      string // computed: UserID/RoleID/target
	UserID  string // or
	GroupID string
	RoleID  string
	// One of the three:
	ProjectID, DomainID string
	System              bool
	Inherited           bool
}

// Key is the identity of an assignment, which has no id of its own on the wire.
func (a Assignment) Key() string {
	target := "system"
	switch {
	case a.ProjectID != "":
		target = "project:" + a.ProjectID
	case a.DomainID != "":
		target = "domain:" + a.DomainID
	}
	if a.Inherited {
		target += ":inherited"
	}
	actor := a.UserID
	if a.GroupID != "" {
		actor = "group:" + a.GroupID
	}
	return actor + "/" + a.RoleID + "/" + target
}

// ApplicationCredential is a secret of a user's for one project, with some of
// the user's roles there. SecretHash is bcrypt.
type ApplicationCredential struct {
	ID, Name, Description, UserID, ProjectID string
	SecretHash                               string
	RoleIDs                                  []string
	ExpiresAt                                *time.Time
	Unrestricted                             bool
	AccessRuleIDs                            []string // what it can be used for; none: everything
	CreatedAt                                time.Time
}

// Revocation is a revoked token, by its audit id, kept until it would have
// expired.
type Revocation struct {
	AuditID   string
	ExpiresAt time.Time
	RevokedAt time.Time // zero for what older versions revoked
}
