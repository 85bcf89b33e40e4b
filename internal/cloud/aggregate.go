package cloud

import (
	"slices"
	"strconv"
	"time"
)

// ZoneKey is the metadata of an aggregate that makes its hosts an availability
// zone.
const ZoneKey = "availability_zone"

// Aggregate is a group of hosts that an operator made, with metadata that the
// scheduler reads.
type Aggregate struct {
	Number               int    // its id in the compute API
	UUID                 string // its id in placement
	Name                 string // unique
	Metadata             map[string]string
	Hosts                []string // names, in the order they came
	CreatedAt, UpdatedAt time.Time
}

// Key is the identity of an aggregate.
func (a Aggregate) Key() string { return strconv.Itoa(a.Number) }

// Zone is the availability zone that the aggregate makes; "" for none.
func (a Aggregate) Zone() string { return a.Metadata[ZoneKey] }

// AggregatesOf are those that a host is in.
func AggregatesOf(host string, all []Aggregate) (in []Aggregate) {
	for _, a := range all {
		if slices.Contains(a.Hosts, host) {
			in = append(in, a)
		}
	}
	return in
}

// ZoneOf is the availability zone of a host: that of one of its aggregates, else
// the one it was set up with.
func ZoneOf(h Host, all []Aggregate) string {
	for _, a := range AggregatesOf(h.Name, all) {
		if a.Zone() != "" {
			return a.Zone()
		}
	}
	return h.AvailabilityZone
}

// The policies of server groups.
const (
	PolicyAffinity         = "affinity"
	PolicyAntiAffinity     = "anti-affinity"
	PolicySoftAffinity     = "soft-affinity"
	PolicySoftAntiAffinity = "soft-anti-affinity"
)

// ServerGroup is a wish of servers about each other's hosts. Its members are the
// servers that were made with its id as their hint "group".
type ServerGroup struct {
	ID, Name, ProjectID, UserID string
	Policy                      string
	MaxPerHost                  int // of anti-affinity: so many of its servers to a host; 0 for 1
	CreatedAt                   time.Time
}

// PastServer is what is left of a server that is gone: what the report of usage
// needs.
type PastServer struct {
	ID, Name, ProjectID, UserID string
	Node                        string
	Flavor                      Flavor
	CreatedAt                   time.Time
	LaunchedAt                  *time.Time
	EndedAt                     time.Time
}
