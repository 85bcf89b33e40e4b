package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"

	"hearth/internal/cloud"
)

// Route is one operation of an API.
type Route struct {
	Method  string
	Path    string // below the API's prefix, with {name} for a segment, as net/http.ServeMux has it
	Policy  Policy // who may; a route without one does not pass the check
	Handler Handler
	Min     Version // the first microversion that has the route; zero for all
	Max     Version // the last; zero for all
}

// Handler does one operation.
type Handler func(r *Request) (*Response, error)

// Policy says who may use a route: a name from the service's own policy list,
// such as "os_compute_api:servers:create", and the rule behind it.
type Policy struct {
	Name string
	Rule Rule
}

// Rule judges a caller. Whose resource it is, the service judges, except where
// the path itself says so (On).
type Rule struct {
	Name   string
	Public bool // no token is needed
	Allow  func(cloud.Caller) bool
	On     func(c cloud.Caller, path func(name string) string) bool // for callers that Allow does not: may they on this path? nil for no
}

// allows tells whether the caller may use a route that was reached by r.
func (rule Rule) allows(c cloud.Caller, r *http.Request) bool {
	return rule.Allow(c) || rule.On != nil && rule.On(c, r.PathValue)
}

// The rules that policies are made of.
var (
	Public = Rule{Name: "public", Public: true, Allow: func(cloud.Caller) bool { return true }}
	Anyone = Rule{Name: "authenticated", Allow: func(cloud.Caller) bool { return true }}
	Reader = Rule{Name: "project reader", Allow: func(c cloud.Caller) bool {
		return c.IsAdmin() || c.ProjectID != "" && c.Has(cloud.RoleReader)
	}}
	Member = Rule{Name: "project member", Allow: func(c cloud.Caller) bool {
		return c.IsAdmin() || c.ProjectID != "" && c.Has(cloud.RoleMember)
	}}
	Admin = Rule{Name: "admin", Allow: cloud.Caller.IsAdmin}
)

// Allow makes a Policy.
func Allow(rule Rule, name string) Policy { return Policy{Name: name, Rule: rule} }

// Version is a microversion, such as {2, 93}. The zero Version is none.
type Version struct{ Major, Minor int }

// AtLeast tells whether v is at or above major.minor.
func (v Version) AtLeast(minor int) bool { return v.Minor >= minor }

// Request is a request with its caller and its microversion.
type Request struct {
	*http.Request
	Caller  cloud.Caller
	Version Version
	ID      string // "req-" and a UUID; in every log line and in X-Openstack-Request-Id
	BaseURL string // "http://127.0.0.1:5000", as the client reached it

	Project  string // the project's id in the path, where its API has such; else ""
	GlobalID string // the caller's own id of the whole operation, or "" (X-Openstack-Request-Id of the request)
	API      *API   // whose route it is
}

// Link is the address of a path of the request's API, such as "/servers/1".
func (r *Request) Link(path string) string { return r.BaseURL + r.API.Prefix + path }

// MaxBody bounds a JSON body, in bytes.
const MaxBody = 1 << 20

// Decode reads the body's JSON into v. The body is bounded; what is not JSON or
// of the wrong types is Invalid, with a sentence.
func (r *Request) Decode(v any) error {
	const op = "wire.Decode"
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	if err := dec.Decode(v); err != nil {
		var tooBig *http.MaxBytesError
		var typ *json.UnmarshalTypeError
		var said *cloud.Error
		switch {
		case errors.As(err, &said): // by a Bool, an Int
			return err
		case errors.As(err, &tooBig):
			return cloud.E(op, cloud.TooLarge, "the request body is larger than %d bytes", MaxBody)
		case errors.As(err, &typ):
			return typeError(op, typ)
		case errors.Is(err, io.EOF):
			return cloud.E(op, cloud.Invalid, "the request has no body: send a JSON object")
		}
		return cloud.E(op, cloud.Invalid, "Malformed request body: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return cloud.E(op, cloud.Invalid, "Malformed request body: there is more after the JSON value")
	}
	return nil
}

// typeError says which member has the wrong type, in JSON's words and not Go's.
func typeError(op string, err *json.UnmarshalTypeError) error {
	want := err.Type.Kind().String()
	switch err.Type.Kind() {
	case reflect.Map, reflect.Struct, reflect.Pointer:
		want = "object"
	case reflect.Slice, reflect.Array:
		want = "array"
	case reflect.Bool:
		want = "boolean"
	}
	field := strings.TrimPrefix(err.Field, ".")
	if field == "" {
		return cloud.E(op, cloud.Invalid, "Malformed request body: it is a JSON %s, it must be a JSON %s", err.Value, want)
	}
	return cloud.E(op, cloud.Invalid, "Invalid input for field/attribute %s. Value is a JSON %s, it must be a %s", field, err.Value, want)
}

// DecodeObject reads a body that is an object with one member of interest, such
// as {"server": {…}}, into v. Without the member it is Invalid.
func (r *Request) DecodeObject(member string, v any) error {
	const op = "wire.Decode"
	var top map[string]json.RawMessage
	if err := r.Decode(&top); err != nil {
		if cloud.Is(err, cloud.Invalid) && strings.Contains(err.Error(), "it is a JSON") {
			return cloud.E(op, cloud.Invalid, "Malformed request body: it must be a JSON object with the member %q", member)
		}
		return err
	}
	raw, ok := top[member]
	if !ok || string(raw) == "null" {
		return cloud.E(op, cloud.Invalid, "'%s' is a required property", member)
	}
	inner := &Request{Request: &http.Request{Body: io.NopCloser(strings.NewReader(string(raw)))}}
	return inner.Decode(v)
}

// Response is what a handler answers. The zero Status is 200.
type Response struct {
	Status int
	Body   any // marshalled to JSON, or a Raw; nil for no body
	Header http.Header
	Stream io.ReadCloser // instead of Body: bytes as they are, closed by the dispatcher
}

// Raw is a body that is not JSON.
type Raw struct {
	Type  string // its Content-Type
	Bytes []byte
}

// JSON answers 200 with a body.
func JSON(body any) *Response { return &Response{Status: http.StatusOK, Body: body} }

// Created answers 201 with a body.
func Created(body any) *Response { return &Response{Status: http.StatusCreated, Body: body} }

// Accepted answers 202 with a body, which may be nil.
func Accepted(body any) *Response { return &Response{Status: http.StatusAccepted, Body: body} }

// NoContent answers 204.
func NoContent() *Response { return &Response{Status: http.StatusNoContent} }

// M is a JSON object.
type M = map[string]any

// Authenticator turns a token into its caller; Unauthenticated.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (cloud.Caller, error)
}

// API is one service's route table with what is particular to it on the wire.
type API struct {
	Name     string // compute, image, network, identity, volume, placement
	Prefix   string // "/compute/v2.1"
	Routes   []Route
	Versions Microversions
	Fault    func(r *Request, err error) (status int, body any) // the service's way to say an error
	Projects []string                                           // paths below Prefix that a project's id may follow: "/v2.1"
	Media    func(r *Request) error                             // judges the Content-Type; nil for any
	Options  bool                                               // OPTIONS tells the methods of a path, to anybody
}

// Microversions is the range that an API speaks; zero for none.
type Microversions struct {
	Service  string // as in "OpenStack-API-Version: compute 2.93"
	Legacy   string // an older header: "X-OpenStack-Nova-API-Version"; "" for none
	Min, Max Version
}
