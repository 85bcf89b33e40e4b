package neutron

import (
	"net/http"
	"slices"

	"hearth/internal/openstack/wire"
)

func (a *api) topologyRoutes() []wire.Route {
	const one = rest + "/auto-allocated-topology/{project_id}"
	return []wire.Route{
		{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_auto_allocated_topology"), Handler: a.topology},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Member, "delete_auto_allocated_topology"), Handler: a.deleteTopology},
	}
}

// topologyOf is the project of the path; clients that were told none say "None".
func topologyOf(r *wire.Request) string {
	if id := r.PathValue("project_id"); id != "None" {
		return id
	}
	return r.Caller.ProjectID
}

// topology makes the project's network if it has none; with fields=dry-run it
// says only whether it could.
func (a *api) topology(r *wire.Request) (*wire.Response, error) {
	project, fields := topologyOf(r), wire.Fields(r.URL.Query())
	id := "dry-run=pass"
	var err error
	switch {
	case slices.Contains(fields, "dry-run"):
		err = a.svc.CheckTopology(r.Context(), r.Caller, project)
	case len(fields) > 0:
		err = badRequest("Bad auto_allocate request: Unrecognized field.")
	default:
		id, err = a.svc.AutoTopology(r.Context(), r.Caller, project)
	}
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"auto_allocated_topology": wire.M{"id": id, "tenant_id": project, "project_id": project}}), nil
}

func (a *api) deleteTopology(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.DeleteTopology(r.Context(), r.Caller, topologyOf(r)); err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusNoContent}, nil
}
