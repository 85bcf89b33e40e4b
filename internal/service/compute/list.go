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
	AllProjects bool   // an admin's
	Kinds       Kinds  // 0 for KindLive
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

// Kinds are the kinds of servers that a list holds.
type Kinds uint8

// The kinds: what is there, what is in the trash, and the records of what is gone.
const (
	KindLive Kinds = 1 << iota
	KindTrash
	KindGone
	KindAll = KindLive | KindTrash | KindGone
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
		servers, err := f.rows(tx).Shared(q)
		if f.Marker != "" && cloud.Is(err, cloud.NotFound) { // it went since the last page, or is of another kind
			servers, err = tx.EveryServer.Shared(q)
		}
		return servers, noMarker(op, f.Marker, err)
	}
	servers, err := f.rows(tx).Shared(q)
	if err != nil {
		return nil, err
	}
	if match != nil {
		servers = slices.DeleteFunc(servers, func(v *cloud.Server) bool { return !match(v) })
	}
	if servers, err = s.matchAddresses(tx, op, f, servers); err != nil {
		return nil, err
	}
	compare := f.compare()
	slices.SortFunc(servers, compare)
	return f.after(tx, op, servers, compare)
}

// rows are the fewest rows that the list's kinds are among.
func (f Filter) rows(tx *store.Tx) interface {
	Shared(q store.Query) ([]*cloud.Server, error)
} {
	switch {
	case f.Kinds&KindGone == 0:
		return tx.Servers
	case f.Kinds == KindGone:
		return tx.GoneServers
	}
	return tx.EveryServer
}

// noMarker is nova's word for a marker that is not there.
func noMarker(op, marker string, err error) error {
	if marker != "" && cloud.Is(err, cloud.NotFound) {
		return cloud.E(op, cloud.Invalid, "marker [%s] not found", marker)
	}
	return err
}

// scope is whose servers, of which kinds, and changed when. The row's status tells
// those in the trash and those that are gone, which depends on nothing else.
func (f Filter) scope(c cloud.Caller) (out []store.Cond) {
	switch {
	case !f.AllProjects:
		out = append(out, store.Eq("project_id", c.ProjectID))
	case f.ProjectID != "":
		out = append(out, store.Eq("project_id", f.ProjectID))
	}
	if !f.ChangesSince.IsZero() {
		out = append(out, store.Cond{Column: "updated_at", Op: store.OpGe, Value: f.ChangesSince})
	}
	if !f.ChangesBefore.IsZero() {
		out = append(out, store.Le("updated_at", f.ChangesBefore))
	}
	return append(out, f.Kinds.conds()...)
}

// conds are the conditions for servers of the kinds among all.
func (k Kinds) conds() (out []store.Cond) {
	var with []string
	for _, kind := range []struct {
		is     Kinds
		status string
	}{{KindTrash, cloud.StatusTrashed}, {KindGone, cloud.StatusGone}} {
		if k&kind.is != 0 {
			with = append(with, kind.status)
		} else {
			out = append(out, store.Ne("status", kind.status))
		}
	}
	if k != 0 && k&KindLive == 0 {
		return []store.Cond{store.In("status", with...)}
	}
	return out
}

// after cuts the list to what comes after the marker, which need not be in it, and to
// one more than the limit.
func (f Filter) after(tx *store.Tx, op string, servers []*cloud.Server, compare func(a, b *cloud.Server) int) ([]*cloud.Server, error) {
	if f.Marker != "" {
		marker, err := tx.EveryServer.Get(f.Marker)
		if err != nil {
			return nil, noMarker(op, f.Marker, err)
		}
		servers = slices.DeleteFunc(servers, func(v *cloud.Server) bool { return compare(v, &marker) <= 0 })
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

// compare compares by attributes, and by id among equals.
func (f Filter) compare() func(a, b *cloud.Server) int {
	keys := f.sortKeys()
	return func(a, b *cloud.Server) int {
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
	}
}
