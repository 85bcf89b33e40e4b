package keystone_test

import (
	"testing"

	"hearth/internal/openstack/wire"
)

func TestGroups(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	user := admin.Do("POST", "/v3/users", wire.M{"user": wire.M{"name": "ann", "password": secret}}).Want(t, 201).Text("user", "id")
	group := admin.Do("POST", "/v3/groups", wire.M{"group": wire.M{"name": "ops", "colour": "red"}}).Want(t, 201).Text("group", "id")
	admin.Do("POST", "/v3/groups", wire.M{"group": wire.M{"name": "ops"}}).Want(t, 409)
	member, grant := "/v3/groups/"+group+"/users/"+user, "/v3/projects/"+f.made.DemoProjectID+"/groups/"+group+"/roles/"+f.made.MemberRoleID
	admin.Do("GET", member, nil).Want(t, 404)
	admin.Do("PUT", member, nil).Want(t, 204)
	admin.Do("HEAD", member, nil).Want(t, 204)
	f.Do("POST", "/v3/auth/tokens", auth("ann", secret, demo)).Want(t, 401)
	admin.Do("PUT", grant, nil).Want(t, 204)
	ann := f.login("ann", secret, demo)
	if got := ann.Do("GET", "/v3/users/"+user+"/groups", nil).Want(t, 200).Text("groups", 0, "colour"); got != "red" {
		t.Errorf("an attribute of the group's own: %q", got)
	}
	list := admin.Do("GET", "/v3/role_assignments?group.id="+group, nil).Want(t, 200)
	if list.Text("role_assignments", 0, "group", "id") != group || list.Get("role_assignments", 1) != nil {
		t.Errorf("%s", list.Body)
	}
	effective := admin.Do("GET", "/v3/role_assignments?effective&user.id="+user, nil).Want(t, 200)
	if effective.Get("role_assignments", 1) == nil || effective.Text("role_assignments", 0, "links", "membership") == "" {
		t.Errorf("%s", effective.Body)
	}
	admin.Do("DELETE", "/v3/groups/"+group, nil).Want(t, 204)
	ann.Do("GET", "/v3/auth/projects", nil).Want(t, 401)
}

func TestImpliedRoles(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	f.member(admin, "ann")
	role := admin.Do("POST", "/v3/roles", wire.M{"role": wire.M{"name": "auditor"}}).Want(t, 201).Text("role", "id")
	rule := "/v3/roles/" + f.made.ReaderRoleID + "/implies/" + role
	admin.Do("HEAD", rule, nil).Want(t, 404)
	if got := admin.Do("PUT", rule, nil).Want(t, 201); got.Text("role_inference", "implies", "name") != "auditor" {
		t.Errorf("%s", got.Body)
	}
	admin.Do("HEAD", rule, nil).Want(t, 204)
	if got := f.Do("POST", "/v3/auth/tokens", auth("ann", secret, demo)).Want(t, 201).Text("token", "roles", 0, "name"); got != "auditor" {
		t.Errorf("member implies reader implies %q", got)
	}
	admin.Do("PUT", "/v3/roles/"+role+"/implies/"+f.made.AdminRoleID, nil).Want(t, 403)
	admin.Do("DELETE", rule, nil).Want(t, 204)
	admin.Do("GET", rule, nil).Want(t, 404)
}

func TestCatalogAdministration(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, demo)
	svc := admin.Do("POST", "/v3/services", wire.M{"service": wire.M{"type": "dns", "name": "designate"}}).Want(t, 201).Text("service", "id")
	end := wire.M{"service_id": svc, "interface": "public", "url": "http://dns/v1/$(project_id)s", "region": "Elsewhere"}
	id := admin.Do("POST", "/v3/endpoints", wire.M{"endpoint": end}).Want(t, 201).Text("endpoint", "id")
	for name, bad := range map[string]any{"service_id": "x", "interface": "private", "url": "/relative", "enabled": "True", "region_id": "nowhere"} {
		body := wire.M{"service_id": svc, "interface": "public", "url": "http://dns", name: bad}
		admin.Do("POST", "/v3/endpoints", wire.M{"endpoint": body}).Want(t, 400)
	}
	catalog := admin.Do("GET", "/v3/auth/catalog", nil).Want(t, 200)
	if got := catalog.Text("catalog", 1, "endpoints", 0, "url"); got != "http://dns/v1/"+f.made.DemoProjectID {
		t.Errorf("%s", catalog.Body)
	}
	f.login("admin", secret, system).Do("GET", "/v3/auth/catalog", nil).Want(t, 403)
	admin.Do("DELETE", "/v3/regions/Elsewhere", nil).Want(t, 403)
	group := admin.Do("POST", "/v3/OS-EP-FILTER/endpoint_groups", wire.M{"endpoint_group": wire.M{"name": "g", "filters": wire.M{"service_id": svc}}}).Want(t, 201).Text("endpoint_group", "id")
	admin.Do("PUT", "/v3/OS-EP-FILTER/endpoint_groups/"+group+"/projects/"+f.made.DemoProjectID, nil).Want(t, 204)
	if got := admin.Do("GET", "/v3/auth/catalog", nil).Want(t, 200); got.Get("catalog", 0, "endpoints", 0) != nil || got.Get("catalog", 1, "endpoints", 0) == nil {
		t.Errorf("the project sees other endpoints than those linked to it: %s", got.Body)
	}
	admin.Do("PATCH", "/v3/endpoints/"+id, wire.M{"endpoint": wire.M{"enabled": false}}).Want(t, 200)
	admin.Do("DELETE", "/v3/services/"+svc, nil).Want(t, 204)
	admin.Do("GET", "/v3/endpoints/"+id, nil).Want(t, 404)
	admin.Do("DELETE", "/v3/regions/Elsewhere", nil).Want(t, 204)
}

func TestCredentials(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	id := f.member(admin, "ann")
	ann := f.login("ann", secret, demo)
	all := "/v3/users/" + id + "/credentials/OS-EC2"
	pair := ann.Do("POST", all, wire.M{"tenant_id": f.made.DemoProjectID}).Want(t, 201)
	ann.Do("POST", all, wire.M{"tenant_id": f.made.AdminProjectID}).Want(t, 201) // no role there is found out when it is used
	ann.Do("POST", all, wire.M{"tenant_id": "default"}).Want(t, 201)
	ann.Do("POST", all, wire.M{"tenant_id": "nothing"}).Want(t, 404)
	each := all + "/" + pair.Text("credential", "access")
	if got := ann.Do("GET", each, nil).Want(t, 200); got.Text("credential", "secret") != pair.Text("credential", "secret") || got.Text("credential", "tenant_id") != f.made.DemoProjectID {
		t.Errorf("%s", got.Body)
	}
	f.member(admin, "bob")
	bob := f.login("bob", secret, demo)
	bob.Do("GET", each, nil).Want(t, 403)
	if got := bob.Do("GET", "/v3/credentials", nil).Want(t, 200); got.Get("credentials", 0) != nil {
		t.Errorf("bob sees %s", got.Body)
	}
	bob.Do("POST", "/v3/credentials", wire.M{"credential": wire.M{"type": "cert", "blob": "x", "user_id": id}}).Want(t, 403)
	ann.Do("POST", "/v3/credentials", wire.M{"credential": wire.M{"type": "ec2", "blob": "x", "user_id": id}}).Want(t, 400)
	ann.Do("DELETE", each, nil).Want(t, 204)
	ann.Do("GET", each, nil).Want(t, 404)
}

func TestAccessRules(t *testing.T) {
	f := open(t)
	id := f.member(f.login("admin", secret, nil), "ann")
	ann := f.login("ann", secret, demo)
	rules := []wire.M{{"service": "identity", "method": "GET", "path": "/v3/auth/projects"}}
	made := ann.Do("POST", "/v3/users/"+id+"/application_credentials", wire.M{"application_credential": wire.M{"name": "ci", "access_rules": rules}}).Want(t, 201)
	reply := f.Do("POST", "/v3/auth/tokens", wire.M{"auth": wire.M{"identity": wire.M{"methods": []string{"application_credential"}, "application_credential": wire.M{
		"id": made.Text("application_credential", "id"), "secret": made.Text("application_credential", "secret")}}}}).Want(t, 201)
	ci := f.With("X-Auth-Token", reply.Header.Get("X-Subject-Token"))
	ci.Do("GET", "/v3/auth/projects", nil).Want(t, 200)
	ci.Do("GET", "/v3/auth/catalog", nil).Want(t, 401)
	each := "/v3/users/" + id + "/access_rules/" + made.Text("application_credential", "access_rules", 0, "id")
	ann.Do("DELETE", each, nil).Want(t, 403)
	ann.Do("DELETE", "/v3/users/"+id+"/application_credentials/"+made.Text("application_credential", "id"), nil).Want(t, 204)
	ann.Do("DELETE", each, nil).Want(t, 204)

	rules = nil
	for _, path := range []string{"/v3/a", "/v3/b", "/v3/c", "/v3/d", "/v3/e"} {
		rules = append(rules, wire.M{"service": "identity", "method": "GET", "path": path})
	}
	ann.Do("POST", "/v3/users/"+id+"/application_credentials", wire.M{"application_credential": wire.M{"name": "ordered", "access_rules": rules}}).Want(t, 201)
	listed := ann.Do("GET", "/v3/users/"+id+"/access_rules", nil).Want(t, 200)
	for i, rule := range rules {
		if got := listed.Text("access_rules", i, "path"); got != rule["path"] {
			t.Errorf("rule %d of the list is of %s, want %s: the order in which they were made", i, got, rule["path"])
		}
	}
}

func TestHierarchy(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	top := f.made.DemoProjectID
	low := admin.Do("POST", "/v3/projects", wire.M{"project": wire.M{"name": "low", "parent_id": top}}).Want(t, 201).Text("project", "id")
	if got := admin.Do("GET", "/v3/projects/"+low+"?parents_as_ids", nil).Want(t, 200); got.Get("project", "parents", top) == nil {
		t.Errorf("%s", got.Body)
	}
	if got := admin.Do("GET", "/v3/projects/"+top+"?subtree_as_ids", nil).Want(t, 200); len(got.Get("project", "subtree").(map[string]any)) != 1 {
		t.Errorf("%s", got.Body)
	}
	if got := admin.Do("GET", "/v3/projects/"+low+"?parents_as_list", nil).Want(t, 200); got.Text("project", "parents", 0, "project", "id") != top {
		t.Errorf("%s", got.Body)
	}
	admin.Do("GET", "/v3/projects/"+low+"?parents_as_list&parents_as_ids", nil).Want(t, 400)
	d := admin.Do("POST", "/v3/projects", wire.M{"project": wire.M{"name": "dom", "is_domain": true}}).Want(t, 201)
	admin.Do("GET", "/v3/domains/"+d.Text("project", "id"), nil).Want(t, 200)
	if got := admin.Do("GET", "/v3/projects/default", nil).Want(t, 200); got.Text("project", "is_domain") != "true" || got.Get("project", "domain_id") != nil {
		t.Errorf("%s", got.Body)
	}
	admin.Do("DELETE", "/v3/projects/"+d.Text("project", "id"), nil).Want(t, 403)
}

func TestLimits(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	svc := admin.Do("GET", "/v3/services?type=compute", nil).Want(t, 200).Text("services", 0, "id")
	limit := wire.M{"service_id": svc, "resource_name": "cores", "resource_limit": 4, "project_id": f.made.DemoProjectID}
	admin.Do("POST", "/v3/limits", wire.M{"limits": []wire.M{limit}}).Want(t, 403)
	registered := wire.M{"service_id": svc, "resource_name": "cores", "default_limit": 10}
	id := admin.Do("POST", "/v3/registered_limits", wire.M{"registered_limits": []wire.M{registered}}).Want(t, 201).Text("registered_limits", 0, "id")
	admin.Do("POST", "/v3/registered_limits", wire.M{"registered_limits": []wire.M{registered}}).Want(t, 409)
	made := admin.Do("POST", "/v3/limits", wire.M{"limits": []wire.M{limit}}).Want(t, 201).Text("limits", 0, "id")
	admin.Do("DELETE", "/v3/registered_limits/"+id, nil).Want(t, 403)
	f.member(admin, "ann")
	ann := f.login("ann", secret, demo)
	if got := ann.Do("GET", "/v3/limits", nil).Want(t, 200); got.Text("limits", 0, "resource_limit") != "4" {
		t.Errorf("%s", got.Body)
	}
	admin.Do("PATCH", "/v3/limits/"+made, wire.M{"limit": wire.M{"resource_limit": -2}}).Want(t, 400)
	admin.Do("DELETE", "/v3/limits/"+made, nil).Want(t, 204)
	admin.Do("DELETE", "/v3/registered_limits/"+id, nil).Want(t, 204)
	admin.Do("GET", "/v3/limits/model", nil).Want(t, 200)
}
