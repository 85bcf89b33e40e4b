package compute

import (
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Filter says which servers a list holds, in what order, and which page of it.
// The zero filter is all of the caller's project, newest first.
type Filter struct {
	AllProjects bool // an admin's
	Trash       TrashMode
	ProjectID   string // of an admin's list of all: only these

	Exact    map[string]string // attribute, by nova's name, to its value
	Pattern  map[string]string // attribute to a regular expression that is found in it
	Statuses []string          // any of these, in any case
	VMStates []string

	Tags, TagsAny, NotTags, NotTagsAny []string
	ChangesSince, ChangesBefore        time.Time // zero for none
	Locked                             *bool
	IP, IP6                            string // regular expressions

	Sort   []SortKey // none is the newest first
	Marker string    // the id of the server before the first
	Limit  int       // 0 for none
}

// TrashMode says whether a list holds what is in the trash.
type TrashMode int

// The modes.
const (
	TrashHidden TrashMode = iota
	TrashShown
	TrashOnly
)

// SortKey is an attribute to sort by, by nova's name of its column.
type SortKey struct {
	Name string
	Desc bool
}

// Page is a part of a list of servers.
type Page struct {
	Servers []Detail
	More    bool // there are further ones
}

// Servers lists servers. Without details the ports and what they lead to are
// not read. What the servers lead to, their maps and slices, is for reading only.
func (s *Service) Servers(ctx context.Context, c cloud.Caller, f Filter, details bool) (p Page, err error) {
	const op = "compute.Servers"
	match, err := f.matcher(op)
	if err != nil {
		return p, err
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		var servers []*cloud.Server
		if servers, err = s.pageTx(tx, op, c, f, match); err != nil {
			return err
		}
		if p.More = f.Limit > 0 && len(servers) > f.Limit; p.More {
			servers = servers[:f.Limit]
		}
		p.Servers, err = s.viewsTx(tx, servers, details)
		return err
	})
	return p, err
}

// viewsTx gives servers with or without what belongs to them.
func (s *Service) viewsTx(tx *store.Tx, servers []*cloud.Server, details bool) ([]Detail, error) {
	if details {
		return s.detailsTx(tx, servers)
	}
	out := make([]Detail, len(servers))
	for i := range servers {
		out[i].Server = *servers[i]
	}
	return out, nil
}

// pageTx reads one page and one server more, if there is one. They are the
// store's own.
func (s *Service) pageTx(tx *store.Tx, op string, c cloud.Caller, f Filter, match func(*cloud.Server) bool) ([]*cloud.Server, error) {
	q := store.Query{Where: f.scope(c)}
	order, indexed := f.order()
	if match == nil && f.IP == "" && f.IP6 == "" && indexed {
		q.Order, q.After = order, f.Marker
		if f.Limit > 0 {
			q.Limit = f.Limit + 1
		}
		servers, err := tx.Servers.Shared(q)
		return servers, noMarker(op, f.Marker, err)
	}
	servers, err := tx.Servers.Shared(q)
	if err != nil {
		return nil, err
	}
	if match != nil {
		servers = slices.DeleteFunc(servers, func(v *cloud.Server) bool { return !match(v) && v.ID != f.Marker })
	}
	if servers, err = s.matchAddresses(tx, op, f, servers); err != nil {
		return nil, err
	}
	f.sort(servers)
	return f.after(op, servers)
}

// noMarker is nova's word for a marker that is not there.
func noMarker(op, marker string, err error) error {
	if marker != "" && cloud.Is(err, cloud.NotFound) {
		return cloud.E(op, cloud.Invalid, "marker [%s] not found", marker)
	}
	return err
}

// scope is whose servers, and whether those in the trash: the row's status tells,
// which for these depends on nothing else.
func (f Filter) scope(c cloud.Caller) (out []store.Cond) {
	switch {
	case !f.AllProjects:
		out = append(out, store.Eq("project_id", c.ProjectID))
	case f.ProjectID != "":
		out = append(out, store.Eq("project_id", f.ProjectID))
	}
	switch f.Trash {
	case TrashHidden:
		out = append(out, store.Ne("status", cloud.StatusTrashed))
	case TrashOnly:
		out = append(out, store.Eq("status", cloud.StatusTrashed))
	}
	return out
}

// after cuts the list to what comes after the marker, and to one more than the
// limit.
func (f Filter) after(op string, servers []*cloud.Server) ([]*cloud.Server, error) {
	if f.Marker != "" {
		i := slices.IndexFunc(servers, func(v *cloud.Server) bool { return v.ID == f.Marker })
		if i < 0 {
			return nil, cloud.E(op, cloud.Invalid, "marker [%s] not found", f.Marker)
		}
		servers = servers[i+1:]
	}
	if f.Limit > 0 && len(servers) > f.Limit+1 {
		servers = servers[:f.Limit+1]
	}
	return servers, nil
}

// columns are the sort keys that the store sorts by, nova's name to its.
var columns = map[string]string{
	"created_at": "created_at", "updated_at": "updated_at", "display_name": "name", "name": "name", "host": "node", "node": "node",
	"uuid": "id", "project_id": "project_id", "user_id": "user_id", "image_ref": "image_id", "hostname": "hostname",
	"availability_zone": "availability_zone", "instance_type_id": "flavor_id",
}

// order is the sort order by the store's columns, and whether it has them all.
func (f Filter) order() ([]store.Order, bool) {
	sort := f.sortKeys()
	out := make([]store.Order, len(sort))
	for i, o := range sort {
		column, ok := columns[o.Name]
		if !ok {
			return nil, false
		}
		out[i] = store.Order{Column: column, Desc: o.Desc}
	}
	return out, true
}

// sortKeys is the order asked for, or nova's: newest first.
func (f Filter) sortKeys() []SortKey {
	if len(f.Sort) > 0 {
		return f.Sort
	}
	return []SortKey{{Name: "created_at", Desc: true}}
}

// sort sorts by attributes, and by id among equals.
func (f Filter) sort(servers []*cloud.Server) {
	keys := f.sortKeys()
	slices.SortFunc(servers, func(a, b *cloud.Server) int {
		for _, k := range keys {
			attr, ok := attributes[k.Name]
			if !ok {
				continue
			}
			n := strings.Compare(attr(a), attr(b))
			if k.Desc {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return strings.Compare(a.ID, b.ID)
	})
}
