package cloud

import "time"

// MetadefNamespace is a catalog of definitions that say which properties images,
// flavors and the like may have (glance's metadata definitions).
type MetadefNamespace struct {
	ID                   string
	Name                 string // what the API calls the namespace; unique in the cloud
	DisplayName          string
	Description          string
	ProjectID            string // of the owner
	Public, Protected    bool
	ResourceTypes        []MetadefResourceType
	CreatedAt, UpdatedAt time.Time
}

// MetadefResourceType ties a namespace to a kind of resource, such as
// OS::Glance::Image.
type MetadefResourceType struct {
	Name                 string
	Prefix               string // of the namespace's property names on this kind of resource
	PropertiesTarget     string // "image" where the resource has several sets of properties
	CreatedAt, UpdatedAt time.Time
}

// MetadefKind says what a definition defines.
type MetadefKind string

// The kinds of definition that a namespace holds.
const (
	MetadefObject   MetadefKind = "object"
	MetadefProperty MetadefKind = "property"
	MetadefTag      MetadefKind = "tag"
)

// MetadefItem is one definition of a namespace.
type MetadefItem struct {
	ID          string
	NamespaceID string
	Kind        MetadefKind
	Name        string         // unique in the namespace and kind
	Definition  map[string]any // as JSON has it, without the name: a property's JSON schema, an object's description, properties and required ones
	CreatedAt   time.Time
	UpdatedAt   time.Time
}
