package keystone

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) assignmentRoutes() []wire.Route {
	return []wire.Route{route("GET", "/v3/role_assignments", systemReader, "list_role_assignments", a.assignments)}
}

func (a *api) assignments(r *wire.Request) (*wire.Response, error) {
	const op = "keystone.assignments"
	q := r.URL.Query()
	f := identity.AssignmentFilter{
		UserID: q.Get("user.id"), RoleID: q.Get("role.id"), ProjectID: q.Get("scope.project.id"), DomainID: q.Get("scope.domain.id"),
		System: q.Get("scope.system") != "", Effective: flag(r, "effective"),
	}
	scopes := 0
	for _, set := range []bool{f.ProjectID != "", f.DomainID != "", f.System} {
		if set {
			scopes++
		}
	}
	switch {
	case scopes > 1:
		return nil, cloud.E(op, cloud.Invalid, "Specify a domain, project, or system, not more than one of them.")
	case flag(r, "include_subtree"), q.Has("group.id"), q.Has("scope.OS-INHERIT:inherited_to"):
		return nil, cloud.E(op, cloud.Unsupported, "the filters group.id, include_subtree and scope.OS-INHERIT:inherited_to are not supported")
	}
	found, names, err := a.svc.Assignments(r.Context(), f)
	if err != nil {
		return nil, err
	}
	shower := assignmentShower{names, flag(r, "include_names")}
	return list(r, "role_assignments", found, shower.show), nil
}

// assignmentShower shows assignments by ids alone, or with names.
type assignmentShower struct {
	names identity.AssignmentNames
	named bool
}

func (s assignmentShower) show(r *wire.Request, a cloud.Assignment) wire.M {
	var scope wire.M
	path := "/v3/system"
	switch {
	case a.ProjectID != "":
		p := s.names.Projects[a.ProjectID]
		scope, path = wire.M{"project": s.ref(a.ProjectID, p.Name, p.DomainID)}, "/v3/projects/"+a.ProjectID
	case a.DomainID != "":
		scope, path = wire.M{"domain": s.ref(a.DomainID, s.names.Domains[a.DomainID].Name, "")}, "/v3/domains/"+a.DomainID
	default:
		scope = wire.M{"system": wire.M{"all": true}}
	}
	path += "/users/" + a.UserID + "/roles/" + a.RoleID
	if a.Inherited {
		scope["OS-INHERIT:inherited_to"] = "projects"
		path = "/v3/OS-INHERIT" + path[len("/v3"):] + inherited
	}
	user, role := s.names.Users[a.UserID], s.names.Roles[a.RoleID]
	return wire.M{
		"user": s.ref(a.UserID, user.Name, user.DomainID), "role": s.ref(a.RoleID, role.Name, role.DomainID),
		"scope": scope, "links": wire.M{"assignment": r.Link(path)},
	}
}

// ref refers to a noun; with its name, and its domain if it is in one, when
// names are wanted.
func (s assignmentShower) ref(id, name, domainID string) wire.M {
	if !s.named {
		return wire.M{"id": id}
	}
	out := idName(id, name)
	if domainID != "" {
		out["domain"] = idName(domainID, s.names.Domains[domainID].Name)
	}
	return out
}
