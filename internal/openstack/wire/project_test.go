package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

// TestProjectsInPaths: what nova has at /servers it has at /{project_id}/servers
// too, for the token's own project.
func TestProjectsInPaths(t *testing.T) {
	own, other := strings.Repeat("ab12", 8), strings.Repeat("cd34", 8)
	api := compute()
	api.Prefix, api.Projects = "/compute", []string{"/v2.1"}
	for i := range api.Routes {
		api.Routes[i].Path = "/v2.1" + api.Routes[i].Path
	}
	c := wiretest.New(t, api).As(wiretest.Member(own))
	for _, x := range []struct {
		path   string
		status int
		says   string
	}{
		{"/compute/v2.1/servers/detail", 200, `"said":"detail"`},
		{"/compute/v2.1/" + own + "/servers/detail", 200, `"said":"detail"`},
		{"/compute/v2.1/" + own + "/servers/s1", 200, `"id":"s1"`},
		{"/compute/v2.1/servers/" + own, 200, `"id":"` + own},
		{"/compute/v2.1/" + other + "/servers/s1", 400, "doesn't match Context's project_id"},
		{"/compute/v2.1/nonsense/servers/s1", 404, "itemNotFound"},
		{"/compute/v2.1/" + own + "/nonsense", 404, "itemNotFound"},
	} {
		if reply := c.Do("GET", x.path, nil).Want(t, x.status); !strings.Contains(string(reply.Body), x.says) {
			t.Errorf("%s: %s, want %q", x.path, reply.Body, x.says)
		}
	}
}

// TestMediaTypes: a body of another type than JSON is 415.
func TestMediaTypes(t *testing.T) {
	api := compute()
	api.Media = wire.Media("application/json", "application/vnd.x+json")
	c := wiretest.New(t, api).As(wiretest.Member("p1"))
	for header, status := range map[string]int{
		"": 200, "application/json": 200, "application/json; charset=utf-8": 200, "application/vnd.x+json": 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "nonsense/": 415,
	} {
		if reply := c.With("Content-Type", header).Do("GET", "/compute/v2.1/servers/detail", nil).Want(t, status); status == 415 && !strings.Contains(string(reply.Body), `"badMediaType"`) {
			t.Errorf("%q: %s", header, reply.Body)
		}
	}
}

// TestWrongTypesInJSONsWords: no fault speaks of Go.
func TestWrongTypesInJSONsWords(t *testing.T) {
	c := wiretest.New(t, compute()).As(wiretest.Member("p1"))
	for body, says := range map[string]string{
		`[1]`:                            `it must be a JSON object with the member`,
		`{"server": [1]}`:                `it is a JSON array, it must be a JSON object`,
		`{"server": {"name": {"a": 1}}}`: `field/attribute name. Value is a JSON object, it must be a string`,
	} {
		reply := c.Do("POST", "/compute/v2.1/servers", json.RawMessage(body)).Want(t, 400)
		if !strings.Contains(string(reply.Body), says) || strings.Contains(string(reply.Body), "map[") {
			t.Errorf("%s: %s, want %q", body, reply.Body, says)
		}
	}
}
