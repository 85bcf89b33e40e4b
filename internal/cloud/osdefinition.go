package cloud

import (
	"strconv"
	"time"
)

// OSDefinition is one version of how servers are made of images: settings, layout,
// features and hooks. A version is never changed. What the body says is for package
// disk/osdef.
type OSDefinition struct {
	ProjectID string // whose servers may be made by it, before one of all by the same name; "" for all
	Name      string
	Version   int    // from 1
	Body      string // JSON
	UserID    string // who made it
	CreatedAt time.Time
}

// Ref is its name and version, as people say them.
func (d OSDefinition) Ref() string { return d.Name + "@" + strconv.Itoa(d.Version) }

// Key is its identity.
func (d OSDefinition) Key() string {
	if d.ProjectID == "" {
		return d.Ref()
	}
	return d.ProjectID + "/" + d.Ref()
}

// DefaultOSDefinition is the definition of servers that say settings and name none:
// the one that is kept by this name, else ganeti-instance-image's own defaults.
const DefaultOSDefinition = "default"

// The properties of images, extra specs of flavors and metadata of servers by which
// a server is made by a definition; those of the server come first, then those of
// the flavor.
const (
	PropertyOSDefinition = "hearth:os_definition" // NAME, its newest version, or NAME@VERSION
	PropertyOSVariant    = "hearth:os_variant"    // of a foreign definition; its first one if none is said
	PropertyOSSetting    = "hearth:os:"           // and the name of a setting of the definition, or of a parameter of a foreign one

	// PropertyOverlay is of an image whose data is an archive of files that definitions
	// put into guests: its version, from 1, among those of its name.
	PropertyOverlay = "hearth:os_overlay"

	// PropertyOSArchive is of an image whose data is the archive of a foreign definition:
	// NAME@VERSION. What it says is not believed; the definition names its archive by digest.
	PropertyOSArchive = "hearth:os_archive"
)

// DeploySpec is a definition as one server is made by it.
type DeploySpec struct {
	Name    string
	Version int
	Body    string            // JSON of the definition
	Over    map[string]string // settings over it
	Overlay *ImageRef         // the archive of its overlay; nil for none
	Archive *ImageRef         `json:",omitempty"` // of a foreign definition; nil for one of ours
	Variant string            `json:",omitempty"` // of a foreign one
}
