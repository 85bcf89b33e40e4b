package keystone_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"hearth/internal/cloud"
	"hearth/internal/openstack/keystone"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/identity"
	"hearth/internal/store"
)

const secret = "correct horse"

// front is the whole way: dispatcher, API, service, store.
type front struct {
	*wiretest.Client
	t     *testing.T
	clock *cloud.FakeClock
	made  identity.Result
}

func open(t *testing.T) *front {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, clock: cloud.NewFakeClock()}
	svc := identity.New(st, f.clock, identity.Options{Cost: bcrypt.MinCost, Services: []identity.Endpoint{
		{Type: "identity", Name: "keystone", Path: "/v3"}, {Type: "compute", Name: "nova", Path: "/compute/v2.1"},
	}})
	t.Cleanup(func() { svc.Close(); st.Close() })
	if f.made, err = svc.Bootstrap(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	apis := []wire.API{keystone.New(svc)}
	for _, wrong := range wire.Check(apis) {
		t.Error(wrong)
	}
	f.Client = wiretest.Over(t, wire.NewMux(apis, svc, wire.Options{BaseURL: "http://cloud.test:5000"}))
	return f
}

// auth is the body of a login by password; scope nil for none.
func auth(user, password string, scope wire.M) wire.M {
	in := wire.M{"identity": wire.M{"methods": []string{"password"}, "password": wire.M{
		"user": wire.M{"name": user, "password": password, "domain": wire.M{"name": "Default"}}}}}
	if scope != nil {
		in["scope"] = scope
	}
	return wire.M{"auth": in}
}

var (
	system = wire.M{"system": wire.M{"all": true}}
	demo   = wire.M{"project": wire.M{"name": "demo", "domain": wire.M{"id": "default"}}}
)

// login makes a client with a token.
func (f *front) login(user, password string, scope wire.M) *wiretest.Client {
	f.t.Helper()
	reply := f.Do("POST", "/v3/auth/tokens", auth(user, password, scope)).Want(f.t, 201)
	return f.With("X-Auth-Token", reply.Header.Get("X-Subject-Token"))
}

// member makes a user with the role of a member in demo, and its id.
func (f *front) member(admin *wiretest.Client, name string) string {
	f.t.Helper()
	id := admin.Do("POST", "/v3/users", wire.M{"user": wire.M{"name": name, "password": secret}}).Want(f.t, 201).Text("user", "id")
	admin.Do("PUT", "/v3/projects/"+f.made.DemoProjectID+"/users/"+id+"/roles/"+f.made.MemberRoleID, nil).Want(f.t, 204)
	return id
}

func TestDiscovery(t *testing.T) {
	f := open(t)
	reply := f.Do("GET", "/", nil).Want(t, 300)
	if got := reply.Text("versions", "values", 0, "links", 0, "href"); got != "http://cloud.test:5000/v3/" {
		t.Error(got)
	}
	for _, path := range []string{"/v3", "/v3/"} {
		if got := f.Do("GET", path, nil).Want(t, 200).Text("version", "id"); got != "v3.14" {
			t.Error(got)
		}
	}
	if got := f.Do("GET", "/v2.0", nil).Want(t, 404).Text("error", "title"); got != "Not Found" {
		t.Error(got)
	}
}

func TestTokenBody(t *testing.T) {
	f := open(t)
	reply := f.Do("POST", "/v3/auth/tokens", auth("admin", secret, demo)).Want(t, 201)
	for _, c := range []struct {
		want string
		path []any
	}{
		{"2026-01-02T04:04:05.000000Z", []any{"expires_at"}}, {"2026-01-02T03:04:05.000000Z", []any{"issued_at"}},
		{"password", []any{"methods", 0}}, {"Default", []any{"user", "domain", "name"}}, {"admin", []any{"user", "name"}},
		{f.made.DemoProjectID, []any{"project", "id"}}, {"false", []any{"is_domain"}}, {"admin", []any{"roles", 0, "name"}}, {"reader", []any{"roles", 2, "name"}},
		{"compute", []any{"catalog", 0, "type"}}, {"http://cloud.test:5000/compute/v2.1", []any{"catalog", 0, "endpoints", 0, "url"}},
		{"RegionOne", []any{"catalog", 1, "endpoints", 2, "region_id"}},
	} {
		if got := reply.Text(append([]any{"token"}, c.path...)...); got != c.want {
			t.Errorf("%v: %q, want %q", c.path, got, c.want)
		}
	}
	if v, ok := reply.Get("token", "user").(map[string]any)["password_expires_at"]; !ok || v != nil {
		t.Errorf("password_expires_at: %v", v)
	}
	if got := f.Do("POST", "/v3/auth/tokens?nocatalog", auth("admin", secret, system)).Want(t, 201); got.Get("token", "catalog") != nil || got.Text("token", "system", "all") != "true" {
		t.Errorf("%s", got.Body)
	}
	if got := f.Do("POST", "/v3/auth/tokens", auth("admin", secret, wire.M{"unscoped": wire.M{}})).Want(t, 201); got.Get("token", "catalog") != nil || got.Get("token", "roles") != nil {
		t.Errorf("%s", got.Body)
	}
}

func TestLoginRefused(t *testing.T) {
	f := open(t)
	methods := func(m string) wire.M { return wire.M{"auth": wire.M{"identity": wire.M{"methods": []string{m}}}} }
	for _, c := range []struct {
		name   string
		body   any
		status int
	}{
		{"wrong password", auth("admin", "x", nil), 401}, {"unknown user", auth("nobody", secret, nil), 401},
		{"unknown project", auth("admin", secret, wire.M{"project": wire.M{"id": "x"}}), 401},
		{"unknown method", methods("magic"), 401}, {"no password", methods("password"), 400}, {"nothing", wire.M{}, 400},
		{"no identity", wire.M{"auth": wire.M{}}, 400}, {"no domain of the user", wire.M{"auth": wire.M{"identity": wire.M{"methods": []string{"password"},
			"password": wire.M{"user": wire.M{"name": "admin", "password": secret}}}}}, 400},
		{"two scopes", auth("admin", secret, wire.M{"system": wire.M{"all": true}, "domain": wire.M{"id": "default"}}), 400},
		{"empty scope", auth("admin", secret, wire.M{}), 400}, {"a trust", auth("admin", secret, wire.M{"OS-TRUST:trust": wire.M{"id": "x"}}), 401},
		{"not JSON", "{", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply := f.Do("POST", "/v3/auth/tokens", c.body).Want(t, c.status)
			if c.status == 401 && (reply.Text("error", "message") != "The request you have made requires authentication." || reply.Header.Get("WWW-Authenticate") == "") {
				t.Errorf("it says more than it should: %s", reply.Body)
			}
		})
	}
	admin := f.login("admin", secret, nil)
	failures := admin.Do("GET", "/v3/OS-HEARTH/auth/failures", nil).Want(t, 200)
	if got := failures.Text("failures", 1, "reason") + "," + failures.Text("failures", 2, "reason"); got != "unknown user,wrong password" {
		t.Errorf("%s", failures.Body)
	}
}

func TestSubjectTokens(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	f.member(admin, "ann")
	reply := f.Do("POST", "/v3/auth/tokens", auth("ann", secret, demo)).Want(t, 201)
	token := reply.Header.Get("X-Subject-Token")
	ann := f.With("X-Auth-Token", token)
	subject := func(c *wiretest.Client, token string) *wiretest.Client { return c.With("X-Subject-Token", token) }
	if got := subject(admin, token).Do("GET", "/v3/auth/tokens", nil).Want(t, 200); got.Text("token", "user", "name") != "ann" || got.Header.Get("X-Subject-Token") != token {
		t.Errorf("%s", got.Body)
	}
	subject(ann, token).Do("HEAD", "/v3/auth/tokens", nil).Want(t, 200)
	other := f.Do("POST", "/v3/auth/tokens", auth("admin", secret, nil)).Header.Get("X-Subject-Token")
	subject(ann, other).Do("GET", "/v3/auth/tokens", nil).Want(t, 403)
	subject(admin, "nonsense").Do("GET", "/v3/auth/tokens", nil).Want(t, 404)
	admin.Do("GET", "/v3/auth/tokens", nil).Want(t, 400)
	subject(ann, token).Do("DELETE", "/v3/auth/tokens", nil).Want(t, 204)
	subject(admin, token).Do("GET", "/v3/auth/tokens", nil).Want(t, 404)
	ann.Do("GET", "/v3/auth/projects", nil).Want(t, 401)
}

func TestResources(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, system)
	for _, c := range []struct {
		noun, update string
		create       wire.M
		want         map[string]string // attributes after creation
		required     string
	}{
		{"domain", "description", wire.M{"name": "d", "enabled": false}, map[string]string{"enabled": "false", "description": ""}, "name"},
		{"project", "description", wire.M{"name": "p", "colour": "red"}, map[string]string{"domain_id": "default", "parent_id": "default", "colour": "red", "is_domain": "false"}, "name"},
		{"user", "email", wire.M{"name": "u", "password": "pw", "colour": "red"}, map[string]string{"domain_id": "default", "enabled": "true", "colour": "red", "password": "", "default_project_id": ""}, "name"},
		{"role", "description", wire.M{"name": "r"}, map[string]string{"domain_id": ""}, "name"},
	} {
		t.Run(c.noun, func(t *testing.T) {
			all := "/v3/" + c.noun + "s"
			made := admin.Do("POST", all, wire.M{c.noun: c.create}).Want(t, 201)
			for name, want := range c.want {
				if got := made.Text(c.noun, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			each := all + "/" + made.Text(c.noun, "id")
			if got := made.Text(c.noun, "links", "self"); got != "http://cloud.test:5000"+each {
				t.Errorf("self: %s", got)
			}
			admin.Do("POST", all, wire.M{c.noun: c.create}).Want(t, 409)
			admin.Do("POST", all, wire.M{c.noun: wire.M{}}).Want(t, 400)
			admin.Do("POST", all, wire.M{c.noun: wire.M{"name": 7}}).Want(t, 400)
			admin.Do("POST", all, wire.M{c.noun: wire.M{"name": ""}}).Want(t, 400)
			if got := admin.Do("PATCH", each, wire.M{c.noun: wire.M{c.update: "new"}}).Want(t, 200).Text(c.noun, c.update); got != "new" {
				t.Errorf("updated: %q", got)
			}
			if got := admin.Do("GET", each, nil).Want(t, 200).Text(c.noun, c.update); got != "new" {
				t.Errorf("shown: %q", got)
			}
			found := admin.Do("GET", all+"?name="+c.create["name"].(string), nil).Want(t, 200)
			if found.Text(c.noun+"s", 0, "name") != c.create["name"] || found.Get(c.noun+"s", 1) != nil || found.Text("links", "self") == "" {
				t.Errorf("found: %s", found.Body)
			}
			admin.Do("DELETE", each, nil).Want(t, 204)
			gone := admin.Do("GET", each, nil).Want(t, 404)
			if !strings.HasPrefix(gone.Text("error", "message"), "Could not find "+c.noun+": ") {
				t.Errorf("%s", gone.Body)
			}
			admin.Do("DELETE", each, nil).Want(t, 404)
			admin.Do("PATCH", each, wire.M{c.noun: wire.M{c.update: "new"}}).Want(t, 404)
		})
	}
}

func TestMembersAreKeptOut(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	id := f.member(admin, "ann")
	ann := f.login("ann", secret, demo)
	own := "/v3/projects/" + f.made.DemoProjectID
	for _, c := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", "/v3/users", nil, 403}, {"GET", "/v3/projects", nil, 403}, {"GET", "/v3/roles", nil, 403}, {"GET", "/v3/domains", nil, 403},
		{"GET", "/v3/role_assignments", nil, 403}, {"GET", "/v3/OS-HEARTH/auth/failures", nil, 403}, {"GET", "/v3/services", nil, 403},
		{"POST", "/v3/users", wire.M{"user": wire.M{"name": "x"}}, 403}, {"POST", "/v3/projects", wire.M{"project": wire.M{"name": "x"}}, 403},
		{"PATCH", "/v3/users/" + id, wire.M{"user": wire.M{"enabled": true}}, 403}, {"DELETE", own, nil, 403}, {"PATCH", own, wire.M{}, 403},
		{"PUT", own + "/users/" + id + "/roles/" + f.made.AdminRoleID, nil, 403}, {"GET", "/v3/users/" + f.made.AdminUserID, nil, 403},
		{"PUT", "/v3/system/users/" + id + "/roles/" + f.made.AdminRoleID, nil, 403}, {"GET", "/v3/projects/" + f.made.AdminProjectID, nil, 403},
		{"POST", "/v3/users/" + f.made.AdminUserID + "/application_credentials", wire.M{}, 403},
		{"GET", "/v3/users/" + id, nil, 200}, {"GET", own, nil, 200}, {"GET", "/v3/users/" + id + "/projects", nil, 200}, {"GET", "/v3/domains/default", nil, 200},
		{"GET", "/v3/auth/projects", nil, 200}, {"GET", "/v3/auth/catalog", nil, 200}, {"GET", "/v3/regions", nil, 200}, {"GET", "/v3/groups", nil, 403},
		{"GET", "/v3/OS-OAUTH1/consumers", nil, 403}, {"GET", "/v3/OS-FEDERATION/protocols", nil, 404}, {"GET", "/v3/OS-TRUST/trusts", nil, 403}, {"GET", "/v3/policies", nil, 403},
		{"POST", "/v3/services", wire.M{}, 403}, {"PUT", "/v3/regions/x", wire.M{}, 403}, {"POST", "/v3/limits", wire.M{}, 403},
		{"GET", "/v3/users/" + f.made.AdminUserID + "/credentials/OS-EC2", nil, 403}, {"GET", "/v3/credentials/x", nil, 403},
	} {
		ann.Do(c.method, c.path, c.body).Want(t, c.status)
		if c.status != 404 {
			f.Do(c.method, c.path, c.body).Want(t, 401)
		}
	}
}

func TestGrants(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	id := admin.Do("POST", "/v3/users", wire.M{"user": wire.M{"name": "ann", "password": secret}}).Want(t, 201).Text("user", "id")
	for _, base := range []string{
		"/v3/projects/" + f.made.DemoProjectID + "/users/", "/v3/domains/default/users/", "/v3/system/users/",
	} {
		roles := base + id + "/roles"
		each := roles + "/" + f.made.MemberRoleID
		admin.Do("HEAD", each, nil).Want(t, 404)
		admin.Do("PUT", each, nil).Want(t, 204)
		admin.Do("PUT", each, nil).Want(t, 204)
		admin.Do("HEAD", each, nil).Want(t, 204)
		if got := admin.Do("GET", roles, nil).Want(t, 200); got.Text("roles", 0, "name") != "member" || got.Get("roles", 1) != nil {
			t.Errorf("%s", got.Body)
		}
		admin.Do("DELETE", each, nil).Want(t, 204)
		admin.Do("DELETE", each, nil).Want(t, 404)
		admin.Do("PUT", roles+"/nope", nil).Want(t, 404)
		admin.Do("PUT", base+"nope/roles/"+f.made.MemberRoleID, nil).Want(t, 404)
	}
	inherit := "/v3/OS-INHERIT/domains/default/users/" + id + "/roles/" + f.made.MemberRoleID + "/inherited_to_projects"
	admin.Do("PUT", inherit, nil).Want(t, 204)
	admin.Do("HEAD", inherit, nil).Want(t, 204)
	got := admin.Do("GET", "/v3/role_assignments?include_names&user.id="+id, nil).Want(t, 200)
	if got.Text("role_assignments", 0, "scope", "OS-INHERIT:inherited_to") != "projects" || got.Text("role_assignments", 0, "user", "domain", "name") != "Default" ||
		got.Text("role_assignments", 0, "role", "name") != "member" || got.Text("role_assignments", 0, "links", "assignment") != "http://cloud.test:5000"+inherit {
		t.Errorf("%s", got.Body)
	}
	effective := admin.Do("GET", "/v3/role_assignments?effective&user.id="+id+"&scope.project.id="+f.made.DemoProjectID, nil).Want(t, 200)
	if effective.Text("role_assignments", 1, "scope", "project", "id") != f.made.DemoProjectID || effective.Get("role_assignments", 2) != nil {
		t.Errorf("%s", effective.Body)
	}
	admin.Do("GET", "/v3/role_assignments?scope.system=all&scope.domain.id=default", nil).Want(t, 400)
	if got := admin.Do("GET", "/v3/role_assignments?scope.system=all", nil).Want(t, 200); got.Text("role_assignments", 0, "scope", "system", "all") != "true" || got.Get("role_assignments", 1) != nil {
		t.Errorf("%s", got.Body)
	}
}

func TestAppCredential(t *testing.T) {
	f := open(t)
	id := f.member(f.login("admin", secret, nil), "ann")
	ann := f.login("ann", secret, demo)
	all := "/v3/users/" + id + "/application_credentials"
	made := ann.Do("POST", all, wire.M{"application_credential": wire.M{"name": "ci", "roles": []wire.M{{"name": "reader"}}, "expires_at": "2026-01-03T00:00:00"}}).Want(t, 201)
	if made.Text("application_credential", "expires_at") != "2026-01-03T00:00:00.000000" || made.Text("application_credential", "roles", 0, "name") != "reader" {
		t.Errorf("%s", made.Body)
	}
	each := all + "/" + made.Text("application_credential", "id")
	for _, path := range []string{all, each} {
		if got := ann.Do("GET", path, nil).Want(t, 200); strings.Contains(string(got.Body), "secret") || strings.Contains(string(got.Body), "$2a$") {
			t.Errorf("the secret is shown again: %s", got.Body)
		}
	}
	login := wire.M{"auth": wire.M{"identity": wire.M{"methods": []string{"application_credential"}, "application_credential": wire.M{
		"id": made.Text("application_credential", "id"), "secret": made.Text("application_credential", "secret")}}}}
	token := f.Do("POST", "/v3/auth/tokens", login).Want(t, 201)
	if token.Text("token", "application_credential", "restricted") != "true" || token.Text("token", "roles", 0, "name") != "reader" || token.Text("token", "project", "name") != "demo" {
		t.Errorf("%s", token.Body)
	}
	ann.Do("POST", all, wire.M{"application_credential": wire.M{"name": "x", "access_rules": []wire.M{{"path": "/"}}}}).Want(t, 400)
	ann.Do("POST", all, wire.M{"application_credential": wire.M{"name": "x", "expires_at": "tomorrow"}}).Want(t, 400)
	ann.Do("POST", all, wire.M{"application_credential": wire.M{"name": "x", "roles": []wire.M{{"name": "admin"}}}}).Want(t, 400)
	ann.Do("DELETE", each, nil).Want(t, 204)
	f.Do("POST", "/v3/auth/tokens", login).Want(t, 401)
}

func TestPasswordChange(t *testing.T) {
	f := open(t)
	id := f.member(f.login("admin", secret, nil), "ann")
	change := func(original string) wire.M {
		return wire.M{"user": wire.M{"original_password": original, "password": "another"}}
	}
	f.Do("POST", "/v3/users/"+id+"/password", change("wrong")).Want(t, 401)
	f.Do("POST", "/v3/users/nobody/password", change(secret)).Want(t, 401)
	f.Do("POST", "/v3/users/"+id+"/password", change(secret)).Want(t, 204)
	f.Do("POST", "/v3/auth/tokens", auth("ann", secret, nil)).Want(t, 401)
	f.login("ann", "another", demo)
}

func TestProjectTree(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	parent := f.made.DemoProjectID
	for depth := 2; depth <= 5; depth++ {
		parent = admin.Do("POST", "/v3/projects", wire.M{"project": wire.M{"name": strings.Repeat("p", depth), "parent_id": parent}}).Want(t, 201).Text("project", "id")
	}
	admin.Do("POST", "/v3/projects", wire.M{"project": wire.M{"name": "deep", "parent_id": parent}}).Want(t, 403)
	admin.Do("POST", "/v3/projects", wire.M{"project": wire.M{"name": "x", "parent_id": "nope"}}).Want(t, 404)
	admin.Do("DELETE", "/v3/projects/"+f.made.DemoProjectID, nil).Want(t, 403)
	admin.Do("PATCH", "/v3/projects/"+f.made.DemoProjectID, wire.M{"project": wire.M{"enabled": false}}).Want(t, 403)
	admin.Do("PATCH", "/v3/projects/"+parent, wire.M{"project": wire.M{"domain_id": "other"}}).Want(t, 400)
	tags := "/v3/projects/" + parent + "/tags"
	admin.Do("PUT", tags, wire.M{"tags": []string{"a", "b"}}).Want(t, 200)
	admin.Do("PUT", tags+"/c", nil).Want(t, 201)
	admin.Do("PUT", tags+"/c", nil).Want(t, 400) // it is there
	admin.Do("GET", tags+"/c", nil).Want(t, 204)
	admin.Do("GET", tags+"/d", nil).Want(t, 404)
	admin.Do("DELETE", tags+"/a", nil).Want(t, 204)
	for query, want := range map[string]bool{"tags=b,c": true, "tags=a,b": false, "tags-any=a,b": true, "not-tags=b": false, "not-tags-any=a": true} {
		found := admin.Do("GET", "/v3/projects?"+query, nil).Want(t, 200)
		if got := strings.Contains(string(found.Body), parent+`"`+`,"is_domain"`) || strings.Contains(string(found.Body), `"id":"`+parent+`"`); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestCatalogResources(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	services := admin.Do("GET", "/v3/services?type=compute", nil).Want(t, 200)
	id := services.Text("services", 0, "id")
	if services.Text("services", 0, "name") != "nova" || services.Get("services", 1) != nil {
		t.Errorf("%s", services.Body)
	}
	admin.Do("GET", "/v3/services/"+id, nil).Want(t, 200)
	ends := admin.Do("GET", "/v3/endpoints?interface=public&service_id="+id, nil).Want(t, 200)
	if ends.Text("endpoints", 0, "url") != "http://cloud.test:5000/compute/v2.1" || ends.Get("endpoints", 1) != nil {
		t.Errorf("%s", ends.Body)
	}
	admin.Do("GET", "/v3/endpoints/"+ends.Text("endpoints", 0, "id"), nil).Want(t, 200)
	admin.Do("GET", "/v3/regions/RegionOne", nil).Want(t, 200)
	for _, path := range []string{"/v3/services/x", "/v3/endpoints/x", "/v3/regions/x"} {
		admin.Do("GET", path, nil).Want(t, 404)
	}
	if got := admin.Do("GET", "/v3/role_inferences", nil).Want(t, 200); got.Text("role_inferences", 0, "prior_role", "name") != "admin" || got.Text("role_inferences", 1, "implies", 0, "name") != "reader" {
		t.Errorf("%s", got.Body)
	}
	admin.Do("POST", "/v3/services", wire.M{}).Want(t, 400)
	f.login("admin", secret, wire.M{"unscoped": wire.M{}}).Do("GET", "/v3/auth/catalog", nil).Want(t, 403)
	if got := admin.Do("GET", "/v3/auth/catalog", nil).Want(t, 200).Text("catalog", 1, "name"); got != "keystone" {
		t.Errorf("catalog: %s", got)
	}
}
