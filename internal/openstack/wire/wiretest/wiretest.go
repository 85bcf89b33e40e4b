// Package wiretest tests APIs in process: requests of a chosen caller through the
// real dispatcher, with neither a network nor tokens of a real identity service.
//
//	c := wiretest.New(t, nova.New(svc)).As(wiretest.Member("p1"))
//	reply := c.Do("POST", "/compute/v2.1/servers", wire.M{"server": …})
//	reply.Want(t, 202)
package wiretest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// Client sends requests to APIs. As and With make changed copies.
type Client struct {
	t       testing.TB
	handler http.Handler
	tokens  *tokens
	caller  *cloud.Caller
	header  http.Header
}

// tokens authenticates the token "test" as the caller of the client at work.
type tokens struct{ caller *cloud.Caller }

// Authenticate gives the client's caller.
func (a *tokens) Authenticate(_ context.Context, token string) (cloud.Caller, error) {
	if a.caller == nil || token != "test" {
		return cloud.Caller{}, cloud.E("wiretest.Authenticate", cloud.Unauthenticated, "no such token")
	}
	return *a.caller, nil
}

// New makes a client without a token. It fails the test for what wire.Check finds.
func New(t testing.TB, apis ...wire.API) *Client {
	t.Helper()
	for _, wrong := range wire.Check(apis) {
		t.Error(wrong)
	}
	a := &tokens{}
	return &Client{t: t, handler: wire.NewMux(apis, a, wire.Options{BaseURL: "http://cloud.test:5000"}), tokens: a, header: http.Header{}}
}

// Over makes a client of any handler, such as a Mux with a real Authenticator;
// give it a token by With("X-Auth-Token", …).
func Over(t testing.TB, handler http.Handler) *Client {
	return &Client{t: t, handler: handler, tokens: &tokens{}, header: http.Header{}}
}

// As makes a client that calls as the caller.
func (c *Client) As(caller cloud.Caller) *Client {
	next := *c
	next.caller = &caller
	return next.With("X-Auth-Token", "test")
}

// With makes a client that sends a header, such as OpenStack-API-Version; "" takes it away.
func (c *Client) With(name, value string) *Client {
	next := *c
	next.header = maps.Clone(c.header)
	next.header.Set(name, value)
	if value == "" {
		next.header.Del(name)
	}
	return &next
}

// Admin is the operator, in the project.
func Admin(projectID string) cloud.Caller {
	return caller(projectID, cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader)
}

// Member is a member of the project.
func Member(projectID string) cloud.Caller {
	return caller(projectID, cloud.RoleMember, cloud.RoleReader)
}

// Reader may only read in the project.
func Reader(projectID string) cloud.Caller { return caller(projectID, cloud.RoleReader) }

func caller(projectID string, roles ...string) cloud.Caller {
	return cloud.Caller{
		UserID: "user-" + roles[0] + "-" + projectID, UserName: roles[0], UserDomainID: cloud.DefaultDomainID, UserDomainName: "Default",
		ProjectID: projectID, ProjectName: projectID, ProjectDomainID: cloud.DefaultDomainID, ProjectDomainName: "Default",
		Roles: roles, RoleIDs: roles, Methods: []string{"password"},
	}
}

// Reply is an answer.
type Reply struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   []byte
	what   string
}

// Do sends a request. The body is sent as it is if it is a string, bytes or a
// reader, else as JSON; nil is none.
func (c *Client) Do(method, path string, body any) *Reply {
	c.t.Helper()
	c.tokens.caller = c.caller
	r := httptest.NewRequest(method, path, c.reader(body))
	maps.Copy(r.Header, c.header)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return &Reply{c.t, w.Code, w.Header(), w.Body.Bytes(), method + " " + path}
}

func (c *Client) reader(body any) io.Reader {
	switch b := body.(type) {
	case nil:
		return http.NoBody
	case string:
		return bytes.NewReader([]byte(b))
	case []byte:
		return bytes.NewReader(b)
	case io.Reader:
		return b
	}
	out, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return bytes.NewReader(out)
}

// Want ends the test if the status is another.
func (r *Reply) Want(t testing.TB, status int) *Reply {
	t.Helper()
	if r.Status != status {
		t.Fatalf("%s: status %d, want %d: %s", r.what, r.Status, status, r.Body)
	}
	return r
}

// Into reads the JSON body into v.
func (r *Reply) Into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		r.t.Fatalf("%s: %v: %s", r.what, err, r.Body)
	}
}

// Get is the value in the JSON body at a path of member names and array indexes:
// Get("servers", 0, "name"). nil where there is none.
func (r *Reply) Get(path ...any) any {
	r.t.Helper()
	var v any
	r.Into(&v)
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			a, _ := v.([]any)
			if s >= len(a) {
				return nil
			}
			v = a[s]
		}
	}
	return v
}

// Text is Get as a string, however it is written in JSON; "" where there is nothing.
func (r *Reply) Text(path ...any) string {
	r.t.Helper()
	v := r.Get(path...)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
