package cloud

import (
	"slices"
	"time"
)

// The roles that Hearth's policies know. Admin implies member, member implies
// reader.
const (
	RoleAdmin  = "admin"
	RoleMember = "member"
	RoleReader = "reader"
)

// Caller is who asks, as the token says: the user and the one scope that the
// token has. At most one of ProjectID, DomainID and System is set.
type Caller struct {
	UserID, UserName, UserDomainID, UserDomainName             string
	ProjectID, ProjectName, ProjectDomainID, ProjectDomainName string
	DomainID, DomainName                                       string
	System                                                     bool
	Roles                                                      []string // role names, implied ones included
	RoleIDs                                                    []string // ids of Roles, in the same order
	ApplicationCredentialID                                    string
	Methods                                                    []string // how the token was got: password, token, application_credential
	AuditIDs                                                   []string
	IssuedAt, ExpiresAt                                        time.Time
}

// Has tells whether the caller holds the role in its scope.
func (c Caller) Has(role string) bool { return slices.Contains(c.Roles, role) }

// IsAdmin tells whether the caller is the operator: the admin role in the scope
// of a project or of the system. A domain's admin is not.
func (c Caller) IsAdmin() bool { return c.Has(RoleAdmin) && c.DomainID == "" }

// Owns tells whether a resource of the project is the caller's to see: its own,
// or any for an admin.
func (c Caller) Owns(projectID string) bool {
	return c.IsAdmin() || c.ProjectID != "" && c.ProjectID == projectID
}
