package glance_test

import (
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

const namespaces = "/image/v2/metadefs/namespaces"

// flavors is a namespace with one of everything.
func flavors(more wire.M) wire.M {
	body := wire.M{
		"namespace": "OS::Test", "display_name": "Test", "visibility": "public",
		"resource_type_associations": []wire.M{{"name": "OS::Nova::Flavor", "prefix": "hw:"}},
		"properties":                 wire.M{"cpus": wire.M{"title": "CPUs", "type": "integer", "minimum": 1}},
		"objects":                    []wire.M{{"name": "size", "required": []string{"mb"}, "properties": wire.M{"mb": wire.M{"title": "MB", "type": "integer"}}}},
		"tags":                       []wire.M{{"name": "quick"}},
	}
	for k, v := range more {
		body[k] = v
	}
	return body
}

func TestNamespaces(t *testing.T) {
	c := client(t)
	ops := c.As(wiretest.Admin("ops"))
	c.Do("POST", namespaces, flavors(nil)).Want(t, 403)
	r := ops.Do("POST", namespaces, flavors(nil)).Want(t, 201)
	if r.Text("self") != "/v2/metadefs/namespaces/OS::Test" || r.Text("owner") != "ops" || r.Text("objects", 0, "self") != "/v2/metadefs/namespaces/OS::Test/objects/size" {
		t.Errorf("%s", r.Body)
	}
	ops.Do("POST", namespaces, flavors(nil)).Want(t, 409)
	r = c.Do("GET", namespaces+"/OS::Test?resource_type=OS::Nova::Flavor", nil).Want(t, 200)
	if r.Text("properties", "hw:cpus", "title") != "CPUs" || r.Text("objects", 0, "required", 0) != "hw:mb" || r.Text("tags", 0, "name") != "quick" {
		t.Errorf("%s", r.Body)
	}
	if r = c.Do("GET", namespaces, nil).Want(t, 200); r.Text("namespaces", 0, "namespace") != "OS::Test" {
		t.Errorf("%s", r.Body)
	}
	ops.Do("PUT", namespaces+"/OS::Test", wire.M{"namespace": "OS::Test", "protected": true}).Want(t, 200)
	c.Do("GET", namespaces+"/OS::Test", nil).Want(t, 404) // private by default
	ops.Do("DELETE", namespaces+"/OS::Test", nil).Want(t, 403)
	ops.Do("DELETE", namespaces+"/OS::Test/tags/quick", nil).Want(t, 403)
	ops.Do("PUT", namespaces+"/OS::Test", wire.M{"namespace": "OS::Other"}).Want(t, 200)
	ops.Do("GET", namespaces+"/OS::Test", nil).Want(t, 404)
	ops.Do("GET", namespaces+"/OS::Other/objects/size", nil).Want(t, 200)
	ops.Do("DELETE", namespaces+"/OS::Other", nil).Want(t, 204)
	ops.Do("GET", namespaces+"/OS::Other", nil).Want(t, 404)
}

func TestBrokenDefinitions(t *testing.T) {
	ops := client(t).As(wiretest.Admin("ops"))
	for _, c := range []struct {
		body wire.M
		says string
	}{
		{wire.M{}, "namespace"},
		{wire.M{"namespace": strings.Repeat("x", 81)}, "maxLength"},
		{wire.M{"namespace": "a", "visibility": "shared"}, "visibility"},
		{wire.M{"namespace": "a", "colour": "red"}, "colour"},
		{wire.M{"namespace": "a", "properties": wire.M{"p": wire.M{"title": "no type"}}}, "/properties/p"},
		{wire.M{"namespace": "a", "tags": []wire.M{{}}}, "/tags/0"},
	} {
		if r := ops.Do("POST", namespaces, c.body).Want(t, 400); !strings.Contains(string(r.Body), c.says) {
			t.Errorf("%v: %s, want %q", c.body, r.Body, c.says)
		}
	}
	ops.Do("POST", namespaces, wire.M{"namespace": "a", "self": "x"}).Want(t, 403)
}

func TestDefinitions(t *testing.T) {
	c := client(t)
	ops := c.As(wiretest.Admin("ops"))
	ops.Do("POST", namespaces, wire.M{"namespace": "n", "visibility": "public"}).Want(t, 201)
	for plural, body := range map[string]wire.M{
		"objects": {"name": "a", "description": "d"}, "properties": {"name": "a", "title": "A", "type": "string"},
	} {
		c.Do("POST", namespaces+"/n/"+plural, body).Want(t, 403)
		ops.Do("POST", namespaces+"/n/"+plural, body).Want(t, 201)
		ops.Do("POST", namespaces+"/n/"+plural, body).Want(t, 409)
		body["name"] = "b"
		ops.Do("PUT", namespaces+"/n/"+plural+"/a", body).Want(t, 200)
		c.Do("GET", namespaces+"/n/"+plural+"/a", nil).Want(t, 404)
		if r := c.Do("GET", namespaces+"/n/"+plural+"/b", nil).Want(t, 200); r.Text("name") != "b" {
			t.Errorf("%s", r.Body)
		}
		c.Do("GET", namespaces+"/n/"+plural, nil).Want(t, 200)
		ops.Do("DELETE", namespaces+"/n/"+plural+"/b", nil).Want(t, 204)
		ops.Do("DELETE", namespaces+"/n/"+plural+"/b", nil).Want(t, 404)
		ops.Do("DELETE", namespaces+"/n/"+plural, nil).Want(t, 204)
	}
	ops.Do("POST", namespaces+"/n/tags", wire.M{"tags": []wire.M{{"name": "a"}, {"name": "b"}}}).Want(t, 201)
	ops.Do("POST", namespaces+"/n/tags", wire.M{"tags": []wire.M{{"name": "c"}}}).Want(t, 201)
	ops.With("X-Openstack-Append", "true").Do("POST", namespaces+"/n/tags", wire.M{"tags": []wire.M{{"name": "d"}}}).Want(t, 201)
	ops.Do("POST", namespaces+"/n/tags/e", nil).Want(t, 201)
	r := c.Do("GET", namespaces+"/n/tags", nil).Want(t, 200)
	for _, name := range []string{"c", "d", "e"} {
		if !strings.Contains(string(r.Body), `"name":"`+name+`"`) || strings.Contains(string(r.Body), `"name":"a"`) {
			t.Errorf("%s", r.Body)
		}
	}
	ops.Do("POST", namespaces+"/n/resource_types", wire.M{"name": "Mine::Thing"}).Want(t, 201)
	if r := c.Do("GET", "/image/v2/metadefs/resource_types", nil).Want(t, 200); !strings.Contains(string(r.Body), "Mine::Thing") || !strings.Contains(string(r.Body), "OS::Glance::Image") {
		t.Errorf("%s", r.Body)
	}
	ops.Do("DELETE", namespaces+"/n/resource_types/Mine::Thing", nil).Want(t, 204)
	ops.Do("DELETE", namespaces+"/n/resource_types/Mine::Thing", nil).Want(t, 404)
}
