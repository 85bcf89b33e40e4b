package keystone

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// grantRoutes are the roles of a user or a group on a project, a domain and the system, and
// those that are inherited by the projects below.
func (a *api) grantRoutes() []wire.Route {
	var out []wire.Route
	add := func(base, end string, policy string) {
		out = append(out,
			route("GET", base+end, systemReader, "list_"+policy+"s", a.grants),
			route("GET", base+"/{role_id}"+end, systemReader, "check_"+policy, a.granted),
			route("PUT", base+"/{role_id}"+end, wire.Admin, "create_"+policy, a.grant),
			route("DELETE", base+"/{role_id}"+end, wire.Admin, "revoke_"+policy, a.ungrant),
		)
	}
	for _, actor := range []string{"/users/{user_id}/roles", "/groups/{group_id}/roles"} {
		project, domain := "/projects/{project_id}"+actor, "/domains/{domain_id}"+actor
		add("/v3"+project, "", "grant")
		add("/v3"+domain, "", "grant")
		add("/v3/OS-INHERIT"+project, inherited, "grant")
		add("/v3/OS-INHERIT"+domain, inherited, "grant")
	}
	add("/v3/system/users/{user_id}/roles", "", "system_grant_for_user")
	add("/v3/system/groups/{group_id}/roles", "", "system_grant_for_group")
	return out
}

// inherited ends the path of a grant that is for the projects below.
const inherited = "/inherited_to_projects"

// assignmentOf reads a grant from the path.
func assignmentOf(r *wire.Request) cloud.Assignment {
	a := cloud.Assignment{
		UserID: r.PathValue("user_id"), GroupID: r.PathValue("group_id"), RoleID: r.PathValue("role_id"), ProjectID: r.PathValue("project_id"), DomainID: r.PathValue("domain_id"),
	}
	a.System = a.ProjectID == "" && a.DomainID == ""
	a.Inherited = strings.HasPrefix(r.Pattern, "/v3/OS-INHERIT/")
	return a
}

func (a *api) grants(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Grants(r.Context(), assignmentOf(r))
	if err != nil {
		return nil, err
	}
	return list(r, "roles", found, showRole), nil
}

func (a *api) granted(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Granted(r.Context(), assignmentOf(r)))
}

func (a *api) grant(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Grant(r.Context(), assignmentOf(r)))
}

func (a *api) ungrant(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Ungrant(r.Context(), assignmentOf(r)))
}
