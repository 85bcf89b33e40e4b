// Package store is the pantry: the only room that speaks SQL. It keeps every
// noun of cloud as a row of its table: the columns that queries need, and the
// noun itself as JSON. One query set serves two engines, SQLite (embedded) and
// PostgreSQL; storetest is the suite that both pass.
//
// Use it by transactions:
//
//	err := st.Update(ctx, func(tx *store.Tx) error {
//		server, err := tx.Servers.Get(id)
//		…
//		return tx.Servers.Update(server)
//	})
//
// What a transaction wrote is there, whole, when Update returns nil, also after
// kill -9. The function may be run again when the engine found a conflict with
// another transaction: it must have no effects outside of tx.
package store

import "hearth/internal/cloud"

// Tx is a transaction: one table for each noun. It is valid only inside the
// function it was given to, and not for concurrent use.
type Tx struct {
	Domains     *Table[cloud.Domain]
	Projects    *Table[cloud.Project]
	Users       *Table[cloud.User]
	Roles       *Table[cloud.Role]
	Assignments *Table[cloud.Assignment]
	AppCreds    *Table[cloud.ApplicationCredential]
	Revocations *Table[cloud.Revocation]

	Groups           *Table[cloud.Group]
	Memberships      *Table[cloud.Membership]
	ImpliedRoles     *Table[cloud.ImpliedRole]
	Regions          *Table[cloud.Region]
	DomainConfigs    *Table[cloud.DomainConfig]
	OAuthConsumers   *Table[cloud.OAuthConsumer]
	OAuthRequests    *Table[cloud.OAuthRequest]
	OAuthAccesses    *Table[cloud.OAuthAccess]
	CatalogServices  *Table[cloud.CatalogService]
	CatalogEndpoints *Table[cloud.CatalogEndpoint]
	EndpointGroups   *Table[cloud.EndpointGroup]
	EndpointLinks    *Table[cloud.EndpointLink]
	Credentials      *Table[cloud.Credential]
	Trusts           *Table[cloud.Trust]
	AccessRules      *Table[cloud.AccessRule]
	PolicyBlobs      *Table[cloud.PolicyBlob]
	PolicyLinks      *Table[cloud.PolicyAssociation]
	RegisteredLimits *Table[cloud.RegisteredLimit]
	Limits           *Table[cloud.Limit]

	Images       *Table[cloud.Image]
	ImageMembers *Table[cloud.ImageMember]
	ImageTasks   *Table[cloud.ImageTask]
	ImageLogs    *Table[cloud.ImageLog]

	MetadefNamespaces *Table[cloud.MetadefNamespace]
	MetadefItems      *Table[cloud.MetadefItem]

	Flavors  *Table[cloud.Flavor]
	Keypairs *Table[cloud.Keypair]
	Servers  *Table[cloud.Server]

	GoneServers *Table[cloud.Server] // records of those that are gone; see cloud.Server.Gone
	EveryServer Union[cloud.Server]  // both: those that are there and those that are gone

	Actions *Table[cloud.ActionRecord]

	Migrations    *Table[cloud.Migration]
	ConsoleTokens *Table[cloud.ConsoleToken]

	Hosts *Table[cloud.Host]

	Networks       *Table[cloud.Network]
	Subnets        *Table[cloud.Subnet]
	Ports          *Table[cloud.Port]
	Allocations    *Table[cloud.IPAllocation]
	Routers        *Table[cloud.Router]
	FloatingIPs    *Table[cloud.FloatingIP]
	SecurityGroups *Table[cloud.SecurityGroup]
	SecurityRules  *Table[cloud.SecurityRule]

	AddressScopes   *Table[cloud.AddressScope]
	SubnetPools     *Table[cloud.SubnetPool]
	RBACPolicies    *Table[cloud.RBACPolicy]
	QoSPolicies     *Table[cloud.QoSPolicy]
	PortForwardings *Table[cloud.PortForwarding]
	NetworkAgents   *Table[cloud.NetworkAgent]
	AutoTopologies  *Table[cloud.AutoTopology]
	Trunks          *Table[cloud.Trunk]
	SubPorts        *Table[cloud.SubPort]
	MeteringLabels  *Table[cloud.MeteringLabel]
	MeteringRules   *Table[cloud.MeteringRule]
	AddressGroups   *Table[cloud.AddressGroup]

	Volumes           *Table[cloud.Volume]
	VolumeAttachments *Table[cloud.VolumeAttachment]
	Snapshots         *Table[cloud.Snapshot]
	VolumeUploads     *Table[cloud.VolumeUpload]
	VolumeTypes       *Table[cloud.VolumeType]
	VolumeQoS         *Table[cloud.VolumeQoS]
	VolumeTransfers   *Table[cloud.VolumeTransfer]
	VolumeMessages    *Table[cloud.VolumeMessage]
	GroupTypes        *Table[cloud.GroupType]
	VolumeGroups      *Table[cloud.VolumeGroup]
	GroupSnapshots    *Table[cloud.GroupSnapshot]
	Backups           *Table[cloud.Backup]
	DefaultTypes      *Table[cloud.VolumeDefaultType]

	Aggregates     *Table[cloud.Aggregate]
	ServerGroups   *Table[cloud.ServerGroup]
	PastServers    *Table[cloud.PastServer]
	Providers      *Table[cloud.ResourceProvider] // those that clients said something about
	Consumers      *Table[cloud.Consumer]
	PlacementNames *Table[cloud.PlacementName]
	OSDefinitions  *Table[cloud.OSDefinition]

	Quotas   *Table[cloud.Quota]
	Settings *Table[Setting] // small things of the cloud itself: ids of the default project, signing keys, schema notes

	run *run
}

// Setting is a named value of the cloud itself.
type Setting struct{ Name, Value string }

// Query says which rows a list holds, in what order, from where, and how many.
// The zero Query is all rows by key.
type Query struct {
	Where []Cond
	Order []Order // further ordered by key, so that a page ends at a place
	After string  // the key of the row before the first: a marker; NotFound if it does not exist
	Limit int     // 0 for no limit
}

// Where makes a Query of conditions alone.
func Where(conds ...Cond) Query { return Query{Where: conds} }

// Cond is a condition on an indexed column (see schema.go for each table's).
type Cond struct {
	Column string
	Op     Op
	Value  any // string, bool, int, int64, time.Time; a []string for In
}

// Op compares.
type Op string

// The comparisons of a Cond.
const (
	OpEq     Op = "="
	OpNe     Op = "<>"
	OpLt     Op = "<"
	OpLe     Op = "<="
	OpGt     Op = ">"
	OpGe     Op = ">="
	OpIn     Op = "in"
	OpPrefix Op = "prefix" // of a string
)

// Eq is column = value.
func Eq(column string, value any) Cond { return Cond{column, OpEq, value} }

// Ne is column <> value.
func Ne(column string, value any) Cond { return Cond{column, OpNe, value} }

// Le is column <= value.
func Le(column string, value any) Cond { return Cond{column, OpLe, value} }

// In is column in values; no values, no rows.
func In(column string, values ...string) Cond { return Cond{column, OpIn, values} }

// Order is a sort key.
type Order struct {
	Column string
	Desc   bool
}
