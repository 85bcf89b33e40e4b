package neutron

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// badRequest refuses a request by its form.
func badRequest(format string, args ...any) error {
	return cloud.E("neutron.body", cloud.Invalid, format, args...)
}

// body is one resource of a request: its members, read one by one. The first
// that cannot be meant is the error.
type body struct {
	members map[string]any
	err     error
}

// decode reads the resources of a creation: one, or several in bulk.
func decode(r *wire.Request, k kind) (bodies []*body, bulk bool, err error) {
	var top map[string]any
	if err := r.Decode(&top); err != nil {
		return nil, false, err
	}
	one, ok := top[k.name]
	items := []any{one}
	if !ok {
		many, isMany := top[k.collection]
		if !isMany {
			return nil, false, badRequest("Unable to find '%s' in request body", k.name)
		}
		items, bulk = nil, true
		if list, isList := many.([]any); isList {
			items = list
		}
		if len(items) == 0 {
			return nil, true, badRequest("Resources required")
		}
	}
	for _, item := range items {
		if members, ok := item.(map[string]any); ok && bulk && len(members) == 1 {
			if inner, wrapped := members[k.name]; wrapped { // neutron takes a list of bodies too
				item = inner
			}
		}
		b, err := makeBody(r, k, item, true)
		if err != nil {
			return nil, bulk, err
		}
		bodies = append(bodies, b)
	}
	return bodies, bulk, nil
}

// decodeUpdate reads the one resource of an update.
func decodeUpdate(r *wire.Request, k kind) (*body, error) {
	var top map[string]any
	if err := r.Decode(&top); err != nil {
		return nil, err
	}
	one, ok := top[k.name]
	if !ok {
		return nil, badRequest("Unable to find '%s' in request body", k.name)
	}
	return makeBody(r, k, one, false)
}

// makeBody checks the names of a resource's members, in neutron's order.
func makeBody(r *wire.Request, k kind, item any, create bool) (*body, error) {
	members, ok := item.(map[string]any)
	if !ok {
		return nil, badRequest("Object '%s' contains invalid data", k.name)
	}
	b := &body{members: members}
	if err := b.project(r.Caller); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(members))
	var unknown []string
	for _, name := range names {
		if a, ok := k.attrs[name]; !ok || a.hidden && !a.create {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, badRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
	}
	for _, name := range names {
		switch a := k.attrs[name]; {
		case create && !a.create:
			return nil, badRequest("Attribute '%s' not allowed in POST", name)
		case !create && !a.update:
			return nil, badRequest("Cannot update read-only attribute %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.attrs)) {
		if _, given := members[name]; create && k.attrs[name].required && !given {
			return nil, badRequest("Failed to parse request. Required attribute '%s' not specified", name)
		}
	}
	return b, nil
}

// project makes one of the two names of the owner.
func (b *body) project(c cloud.Caller) error {
	old, hasOld := b.members["tenant_id"]
	now, hasNow := b.members["project_id"]
	switch {
	case hasOld && hasNow && old != now:
		return badRequest("'project_id' and 'tenant_id' do not match")
	case hasOld:
		b.members["project_id"] = old
		delete(b.members, "tenant_id")
	}
	if id, ok := b.members["project_id"].(string); ok && id != c.ProjectID && !c.IsAdmin() {
		return badRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges")
	}
	return nil
}

// fail notes the first error.
func (b *body) fail(name, format string, args ...any) {
	if b.err == nil {
		b.err = badRequest("Invalid input for %s. Reason: %s.", name, fmt.Sprintf(format, args...))
	}
}

// get gives a member, and whether it is there and not null.
func (b *body) get(name string) (any, bool) {
	v, ok := b.members[name]
	return v, ok && v != nil
}

// has tells whether a member is there, perhaps as null.
func (b *body) has(name string) bool {
	_, ok := b.members[name]
	return ok
}

// text reads a string of at most 255 characters; nil if it is not there.
func (b *body) text(name string) *string {
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	s, ok := v.(string)
	switch {
	case !ok:
		b.fail(name, "'%v' is not a valid string", v)
	case utf8.RuneCountInString(s) > 255:
		b.fail(name, "'%s' exceeds maximum length of 255", s)
	case strings.ContainsRune(s, 0):
		b.fail(name, "a string has no NUL character")
	}
	return &s
}

// word is text, "" if it is not there or null.
func (b *body) word(name string) string {
	if _, ok := b.get(name); !ok {
		return ""
	}
	return *b.text(name)
}

// flag reads a boolean; nil if it is not there.
func (b *body) flag(name string) *bool {
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	out, err := wire.ParseBool(name, fmt.Sprint(v))
	if err != nil && b.err == nil {
		b.err = badRequest("Invalid input for operation: '%v' cannot be converted to boolean.", v)
	}
	return &out
}

// whole reads a number that may be a string; nil if it is not there or null.
func (b *body) whole(name string) *int {
	v, ok := b.get(name)
	if !ok {
		return nil
	}
	n := 0
	switch x := v.(type) {
	case float64:
		if n = int(x); float64(n) == x && math.Abs(x) < 1<<40 {
			return &n
		}
	case string:
		var err error
		if n, err = strconv.Atoi(x); err == nil {
			return &n
		}
	}
	if b.err == nil {
		b.err = badRequest("Invalid input for operation: '%v' is not an integer.", v)
	}
	return &n
}

// id reads a UUID, or null as "".
func (b *body) id(name string) *string {
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	s, _ := v.(string)
	if v != nil && !cloud.IsID(s) {
		b.fail(name, "'%v' is not a valid UUID", v)
	}
	return &s
}

// addr reads an address, or null as the zero one; nil if it is not there.
func (b *body) addr(name string) *netip.Addr {
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	var a netip.Addr
	if v != nil {
		a = b.parseAddr(name, v)
	}
	return &a
}

func (b *body) parseAddr(name string, v any) netip.Addr {
	s, _ := v.(string)
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		b.fail(name, "'%v' is not a valid IP address", v)
	}
	return a.Unmap()
}

// prefix reads a prefix, or an address as the prefix of itself.
func (b *body) prefix(name string, v any) netip.Prefix {
	s, _ := v.(string)
	p, err := netip.ParsePrefix(s)
	if err == nil {
		return p
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		b.fail(name, "'%v' is not a valid IP subnet", v)
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// mac reads a MAC address.
func (b *body) mac(name string, v any) string {
	s, _ := v.(string)
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		b.fail(name, "'%v' is not a valid MAC address", v)
		return ""
	}
	return hw.String()
}

// list reads a list, or null as an empty one; nil if it is not there.
func (b *body) list(name string) *[]any {
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	out, ok := v.([]any)
	if !ok && v != nil {
		b.fail(name, "'%v' is not a list", v)
	}
	return &out
}

// words reads a list of strings; nil if it is not there.
func (b *body) words(name string) *[]string {
	list := b.list(name)
	if list == nil {
		return nil
	}
	out := []string{}
	for _, v := range *list {
		s, ok := v.(string)
		if !ok {
			b.fail(name, "'%v' is not a valid string", v)
		}
		out = append(out, s)
	}
	return &out
}

// object reads an item of a list as an object of certain members.
func (b *body) object(name string, v any, known ...string) *body {
	members, ok := v.(map[string]any)
	if !ok {
		b.fail(name, "'%v' is not a dictionary", v)
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, key) {
			b.fail(name, "'%s' is not one of the keys %s", key, strings.Join(known, ", "))
		}
	}
	return &body{members: members}
}

// take takes over the error of a part.
func (b *body) take(part *body) {
	if b.err == nil {
		b.err = part.err
	}
}

// value is *p, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
