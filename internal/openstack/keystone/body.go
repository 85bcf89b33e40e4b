package keystone

import (
	"maps"
	"mime"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// body is the attributes of a resource in a request, of which some are known and
// the others kept. The first attribute of a wrong type is kept in err.
type body struct {
	attrs map[string]any
	known []string
	err   error
}

// decode reads the object of a resource.
func decode(r *wire.Request, name string) (*body, error) {
	b := &body{known: []string{"id", "links", "options"}}
	err := r.DecodeObject(name, &b.attrs)
	return b, err
}

// take gives an attribute and notes that it is known.
func (b *body) take(name string) (any, bool) {
	b.known = append(b.known, name)
	v, ok := b.attrs[name]
	return v, ok
}

func (b *body) fail(name, want string, v any) {
	if b.err == nil {
		b.err = cloud.E("keystone.body", cloud.Invalid, "Invalid input for field '%s': %v is not of type '%s'", name, v, want)
	}
}

// text is a string; nil if it is not there, "" for null.
func (b *body) text(name string) *string {
	v, ok := b.take(name)
	if !ok {
		return nil
	}
	s, isText := v.(string)
	if !isText && v != nil {
		b.fail(name, "string", v)
	}
	return &s
}

// name is a string of 1 to most characters; nil if it is not there.
func (b *body) name(name string, most int) *string {
	s := b.text(name)
	if s != nil && b.err == nil {
		b.err = wire.First(wire.Name(name, *s), wire.Length(name, *s, 1, most))
	}
	return s
}

// boolean is true or false; nil if it is not there.
func (b *body) boolean(name string) *bool {
	v, ok := b.take(name)
	if !ok {
		return nil
	}
	t, isBool := v.(bool)
	if !isBool {
		b.fail(name, "boolean", v)
	}
	return &t
}

// texts is a list of strings; nil if it is not there.
func (b *body) texts(name string) *[]string {
	v, ok := b.take(name)
	if !ok {
		return nil
	}
	out := []string{}
	items, isList := v.([]any)
	if !isList {
		b.fail(name, "array", v)
	}
	for _, item := range items {
		s, isText := item.(string)
		if !isText {
			b.fail(name, "string", item)
		}
		out = append(out, s)
	}
	return &out
}

// need refuses a body without an attribute.
func (b *body) need(name string, there bool) {
	if !there && b.err == nil {
		b.err = cloud.E("keystone.body", cloud.Invalid, "'%s' is a required property", name)
	}
}

// fixed refuses another value for an attribute that does not change.
func (b *body) fixed(name, is string) {
	if v := b.text(name); v != nil && *v != is && b.err == nil {
		b.err = cloud.E("keystone.body", cloud.Invalid, "The %s of an existing resource is immutable.", name)
	}
}

// extra is what is left: attributes that are kept as they are.
func (b *body) extra() map[string]any {
	out := maps.Clone(b.attrs)
	maps.DeleteFunc(out, func(k string, _ any) bool { return slices.Contains(b.known, k) })
	if len(out) == 0 {
		return nil
	}
	return out
}

// or is the value of a pointer, or another.
func valueOr[T any](p *T, other T) T {
	if p == nil {
		return other
	}
	return *p
}

// onlyJSON refuses bodies that say they are something else
// (keystone/server/flask/request_processing/json_body.py). OAuth 1.0a signs its
// requests in headers; some of its clients call their empty body a form.
func onlyJSON(r *wire.Request) error {
	header := r.Header.Get("Content-Type")
	if header == "" || r.ContentLength == 0 || strings.HasPrefix(r.URL.Path, "/v3/OS-OAUTH1/") {
		return nil
	}
	got, _, err := mime.ParseMediaType(header)
	if err == nil && (got == "application/json" || strings.HasPrefix(got, "application/") && strings.HasSuffix(got, "+json")) {
		return nil
	}
	return cloud.E("keystone.body", cloud.Invalid, "Expecting to find application/json in Content-Type header. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
}
