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
		UserID: q.Get("user.id"), GroupID: q.Get("group.id"), RoleID: q.Get("role.id"), ProjectID: q.Get("scope.project.id"), DomainID: q.Get("scope.domain.id"),
		System: q.Get("scope.system") != "", Effective: flag(r, "effective"),
		Inherited: q.Get("scope.OS-INHERIT:inherited_to") == "projects", Subtree: flag(r, "include_subtree"),
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
	case f.UserID != "" && f.GroupID != "":
		return nil, cloud.E(op, cloud.Invalid, "Specify a user or group, not both")
	case f.Effective && f.GroupID != "":
		return nil, cloud.E(op, cloud.Invalid, "Combining effective and group filter will always result in an empty list.")
	case f.Effective && f.Inherited:
		return nil, cloud.E(op, cloud.Invalid, "Combining effective, inherited and project filter will always result in an empty list.")
	case f.Subtree && f.ProjectID == "":
		return nil, cloud.E(op, cloud.Invalid, "scope.project.id must be specified if include_subtree is also specified")
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

func (s assignmentShower) show(r *wire.Request, l identity.Listed) wire.M {
	a := l.Assignment
	var scope wire.M
	switch {
	case a.ProjectID != "":
		p := s.names.Projects[a.ProjectID]
		scope = wire.M{"project": s.ref(a.ProjectID, p.Name, p.DomainID)}
	case a.DomainID != "":
		scope = wire.M{"domain": s.ref(a.DomainID, s.names.Domains[a.DomainID].Name, "")}
	default:
		scope = wire.M{"system": wire.M{"all": true}}
	}
	if a.Inherited || l.From.Inherited {
		scope["OS-INHERIT:inherited_to"] = "projects"
	}
	role := s.names.Roles[a.RoleID]
	made := wire.M{"assignment": r.Link(grantPath(l.From))}
	out := wire.M{"role": s.ref(a.RoleID, role.Name, role.DomainID), "scope": scope, "links": made}
	if l.Prior != "" {
		made["prior_role"] = r.Link("/v3/prior_role/" + l.Prior + "/implies/" + a.RoleID)
	}
	if l.From.GroupID != "" && a.GroupID == "" {
		made["membership"] = r.Link("/v3/groups/" + l.From.GroupID + "/users/" + a.UserID)
	}
	if a.GroupID != "" {
		g := s.names.Groups[a.GroupID]
		out["group"] = s.ref(a.GroupID, g.Name, g.DomainID)
	} else {
		u := s.names.Users[a.UserID]
		out["user"] = s.ref(a.UserID, u.Name, u.DomainID)
	}
	return out
}

// grantPath is where an assignment was made.
func grantPath(a cloud.Assignment) string {
	path := "/v3/system"
	switch {
	case a.ProjectID != "":
		path = "/v3/projects/" + a.ProjectID
	case a.DomainID != "":
		path = "/v3/domains/" + a.DomainID
	}
	if a.GroupID != "" {
		path += "/groups/" + a.GroupID
	} else {
		path += "/users/" + a.UserID
	}
	path += "/roles/" + a.RoleID
	if a.Inherited {
		path = "/v3/OS-INHERIT" + path[len("/v3"):] + inherited
	}
	return path
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
