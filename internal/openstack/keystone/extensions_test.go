package keystone_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
)

func TestEndpointPolicy(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	policy := func() string {
		return admin.Do("POST", "/v3/policies", wire.M{"policy": wire.M{"type": "application/json", "blob": "{}"}}).Want(t, 201).Text("policy", "id")
	}
	svc := admin.Do("POST", "/v3/services", wire.M{"service": wire.M{"type": "dns", "name": "designate"}}).Want(t, 201).Text("service", "id")
	admin.Do("PUT", "/v3/regions/outer", wire.M{"region": wire.M{}}).Want(t, 201)
	admin.Do("POST", "/v3/regions", wire.M{"region": wire.M{"id": "inner", "parent_region_id": "outer"}}).Want(t, 201)
	end := admin.Do("POST", "/v3/endpoints", wire.M{"endpoint": wire.M{"service_id": svc, "interface": "public", "url": "http://dns", "region_id": "inner"}}).Want(t, 201).Text("endpoint", "id")
	found := "/v3/endpoints/" + end + "/OS-ENDPOINT-POLICY/policy"
	admin.Do("GET", found, nil).Want(t, 404)
	of := func(id, rest string) string { return "/v3/policies/" + id + "/OS-ENDPOINT-POLICY" + rest }
	// The nearest wins: the endpoint's, the region's around it, the service's.
	ways := []string{"/services/" + svc, "/services/" + svc + "/regions/outer", "/endpoints/" + end}
	var ids []string
	for _, way := range ways {
		id := policy()
		ids = append(ids, id)
		admin.Do("GET", of(id, way), nil).Want(t, 404)
		admin.Do("PUT", of(id, way), nil).Want(t, 204)
		admin.Do("HEAD", of(id, way), nil).Want(t, 204)
		if got := admin.Do("GET", found, nil).Want(t, 200).Text("policy", "id"); got != id {
			t.Errorf("by %s: %s", way, got)
		}
		if got := admin.Do("GET", of(id, "/endpoints"), nil).Want(t, 200); got.Text("endpoints", 0, "id") != end || got.Get("endpoints", 1) != nil {
			t.Errorf("by %s: %s", way, got.Body)
		}
	}
	admin.Do("DELETE", of(ids[2], ways[2]), nil).Want(t, 204)
	admin.Do("DELETE", of(ids[2], ways[2]), nil).Want(t, 404)
	admin.Do("DELETE", "/v3/policies/"+ids[1], nil).Want(t, 204)
	if got := admin.Do("GET", found, nil).Want(t, 200).Text("policy", "id"); got != ids[0] {
		t.Errorf("of those that are left: %s", got)
	}
	other := policy() // takes the place of the one before
	admin.Do("PUT", of(other, ways[0]), nil).Want(t, 204)
	admin.Do("GET", of(ids[0], ways[0]), nil).Want(t, 404)
	admin.Do("PUT", of(other, "/services/none"), nil).Want(t, 404)
	f.member(admin, "ann")
	f.login("ann", secret, demo).Do("GET", found, nil).Want(t, 403)
}

func TestRevokeEvents(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	f.member(admin, "ann")
	token := f.Do("POST", "/v3/auth/tokens", auth("ann", secret, demo)).Want(t, 201).Header.Get("X-Subject-Token")
	f.With("X-Auth-Token", token).Do("GET", "/v3/OS-REVOKE/events", nil).Want(t, 403)
	audit := admin.With("X-Subject-Token", token).Do("GET", "/v3/auth/tokens", nil).Want(t, 200).Text("token", "audit_ids", 0)
	admin.With("X-Subject-Token", token).Do("DELETE", "/v3/auth/tokens", nil).Want(t, 204)
	got := admin.Do("GET", "/v3/OS-REVOKE/events", nil).Want(t, 200)
	if got.Text("events", 0, "audit_id") != audit || got.Text("events", 0, "issued_before") == "" || got.Get("events", 1) != nil {
		t.Errorf("%s, not of %s", got.Body, audit)
	}
	if got := admin.Do("GET", "/v3/OS-REVOKE/events?since=2999-01-01T00:00:00Z", nil).Want(t, 200); got.Get("events", 0) != nil {
		t.Errorf("%s", got.Body)
	}
	admin.Do("GET", "/v3/OS-REVOKE/events?since=yesterday", nil).Want(t, 400)
	admin.Do("GET", "/v3/OS-SIMPLE-CERT/ca", nil).Want(t, 410)
}

// TestJSONHome holds the document against the route table: every resource is
// there, and every path of the table is told or is one of those that have no name.
func TestJSONHome(t *testing.T) {
	f := open(t)
	nobody := f.With("Accept", "application/json-home")
	got := nobody.Do("GET", "/v3", nil).Want(t, 200)
	if media := got.Header.Get("Content-Type"); media != "application/json-home" {
		t.Errorf("it is %s", media)
	}
	var doc struct {
		Resources map[string]struct {
			Href     string            `json:"href"`
			Template string            `json:"href-template"`
			Vars     map[string]string `json:"href-vars"`
		}
	}
	if err := json.Unmarshal(got.Body, &doc); err != nil {
		t.Fatal(err)
	}
	const base = "https://docs.openstack.org/api/openstack-identity/3/"
	if at := doc.Resources[base+"rel/user"]; at.Template != "/users/{user_id}" || at.Vars["user_id"] != base+"param/user_id" {
		t.Errorf("a user: %+v", at)
	}
	if len(doc.Resources) < 100 {
		t.Errorf("%d resources", len(doc.Resources))
	}
	for name, r := range doc.Resources {
		if r.Href == "" {
			continue
		}
		if code := f.Do(http.MethodOptions, "/v3"+r.Href, nil).Status; code != 200 {
			t.Errorf("%s at %s: %d", name, r.Href, code)
		}
	}
	below := nobody.Do("GET", "/", nil).Want(t, 200)
	if !strings.Contains(string(below.Body), `"/v3/users/{user_id}"`) {
		t.Errorf("at the root: %s", below.Body)
	}
	for accept, status := range map[string]int{"*/*": 300, "application/json, application/json-home": 300, "application/json;q=0.5, application/json-home": 200, "text/html": 300} {
		f.With("Accept", accept).Do("GET", "/", nil).Want(t, status)
	}
}

func TestOptions(t *testing.T) {
	f := open(t)
	if got := f.Do("OPTIONS", "/v3/users", nil).Want(t, 200).Header.Get("Allow"); got != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("users: %s", got)
	}
	f.Do("OPTIONS", "/v3/nothing", nil).Want(t, 404)
}
