package cloud

import (
	"slices"
	"strings"
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
	AccessRules                                                []AccessRule // of the application credential: all that it may be used for; none: everything
	TrustID                                                    string       // of the trust that the token was got by; its user is the trustor if the trust impersonates
	OAuthAccessID, OAuthConsumerID                             string       // of the OAuth access token that the token was got by
	Methods                                                    []string     // how the token was got: password, token, application_credential
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

// Permits tells whether the caller's access rules, if there are any, allow a
// request to a service. The path is the service's own: "/v2.1/servers".
func (c Caller) Permits(service, method, path string) bool {
	if c.ApplicationCredentialID == "" || len(c.AccessRules) == 0 {
		return true
	}
	return slices.ContainsFunc(c.AccessRules, func(r AccessRule) bool {
		return serviceTypes(r.Service) == serviceTypes(service) && r.Method == method && matchPath(segmentsOf(r.Path), segmentsOf(path))
	})
}

// serviceTypes makes one of the names that the volume service goes by.
func serviceTypes(name string) string {
	switch name {
	case "volumev2", "volumev3", "block-storage", "block-store":
		return "volume"
	}
	return name
}

func segmentsOf(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// matchPath matches the segments of a path with those of a pattern, in which *
// and {name} are any one, and ** is any number.
func matchPath(pattern, path []string) bool {
	if len(pattern) == 0 {
		return len(path) == 0
	}
	first := pattern[0]
	if first == "**" {
		for i := range len(path) + 1 {
			if matchPath(pattern[1:], path[i:]) {
				return true
			}
		}
		return false
	}
	if len(path) == 0 {
		return false
	}
	wild := first == "*" || strings.HasPrefix(first, "{") && strings.HasSuffix(first, "}")
	return (wild || first == path[0]) && matchPath(pattern[1:], path[1:])
}
