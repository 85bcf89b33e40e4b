package cloud

import "time"

// Group is users that get roles together.
type Group struct {
	ID, Name, Description, DomainID string
	Extra                           map[string]any
}

// Membership puts a user into a group.
type Membership struct{ UserID, GroupID string }

// Key is the identity of a membership, which has no id on the wire.
func (m Membership) Key() string { return m.GroupID + "/" + m.UserID }

// ImpliedRole says that who holds the prior role holds the implied one too.
type ImpliedRole struct{ PriorID, ImpliedID string }

// Key is the identity of a rule, which has no id on the wire.
func (r ImpliedRole) Key() string { return r.PriorID + "/" + r.ImpliedID }

// Region is a part of the catalog, perhaps inside of another.
type Region struct {
	ID, Description, ParentID string
	Extra                     map[string]any
}

// CatalogService is a service that the catalog lists.
type CatalogService struct {
	ID, Type, Name, Description string
	Enabled                     bool
	Extra                       map[string]any
}

// CatalogEndpoint is an address of a service. A URL that begins with a slash is
// below the address that the client reached the cloud at.
type CatalogEndpoint struct {
	ID, ServiceID, Interface, RegionID, URL string // Interface: public, internal, admin
	Name, Description                       string
	Enabled                                 bool
	Extra                                   map[string]any
}

// EndpointGroup is the endpoints that filters hold for: interface, service_id,
// region_id, enabled.
type EndpointGroup struct {
	ID, Name, Description string
	Filters               map[string]any
}

// EndpointLink shows an endpoint, or a group of them, to a project. A project
// with links sees what they name, and nothing else.
type EndpointLink struct {
	ProjectID string
	Target    string // the id of an endpoint or of an endpoint group
	Group     bool
}

// Key is the identity of a link, which has no id on the wire.
func (l EndpointLink) Key() string { return l.ProjectID + "/" + l.Target }

// Credential is something that a user proves itself with elsewhere: an EC2 key
// pair, a TOTP seed, a certificate.
type Credential struct {
	ID, UserID, ProjectID, Type string
	Blob                        string // as the user gave it; of type ec2 it is JSON with access and secret
	Extra                       map[string]any
}

// Trust lets the trustee act on a project with some of the trustor's roles.
type Trust struct {
	ID, TrustorUserID, TrusteeUserID, ProjectID string
	RoleIDs                                     []string
	Impersonation                               bool // the token says that the user is the trustor
	ExpiresAt                                   *time.Time
	RemainingUses                               *int // nil for no bound
	AllowRedelegation                           bool
	RedelegationCount                           int    // how often it can still be handed on
	RedelegatedTrustID                          string // the trust that this one was made of, or ""
	CreatedAt                                   time.Time
}

// AccessRule is a request that an application credential may be used for: a
// service's type, a method and a path, in which * is a segment, ** any number of
// them and {name} a segment too.
type AccessRule struct{ ID, UserID, Service, Method, Path string }

// PolicyBlob is a document that services once fetched their policies from.
type PolicyBlob struct {
	ID, Type, Blob string
	Extra          map[string]any
}

// PolicyAssociation says which policy holds for an endpoint, for a service, or for
// a service in a region.
type PolicyAssociation struct {
	PolicyID                        string
	EndpointID, ServiceID, RegionID string // an endpoint, or a service with or without a region
}

// Key is the identity of an association: what it is for has one policy.
func (a PolicyAssociation) Key() string { return a.EndpointID + "/" + a.ServiceID + "/" + a.RegionID }

// RegisteredLimit is the default of a limit.
type RegisteredLimit struct {
	ID, ServiceID, RegionID, ResourceName, Description string
	DefaultLimit                                       int
}

// Limit is a limit of one project or one domain.
type Limit struct {
	ID, ProjectID, DomainID, RegisteredLimitID, Description string
	ResourceLimit                                           int
}

// PasswordRecord is a password that a user has or had, as its bcrypt hash.
type PasswordRecord struct {
	Hash      string
	CreatedAt time.Time
}
