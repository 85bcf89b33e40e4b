package operator

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/operate"
)

// definitionRoutes are of the definitions by which servers are made of images.
func definitionRoutes(h handlers) []wire.Route {
	return []wire.Route{
		{Method: "GET", Path: "/os-definitions", Policy: wire.Allow(wire.Reader, "hearth:os-definitions:list"), Handler: h.definitions},
		{Method: "PUT", Path: "/os-definitions/{name}", Policy: wire.Allow(wire.Admin, "hearth:os-definitions:put"), Handler: h.putDefinition},
		{Method: "GET", Path: "/os-definitions/{name}", Policy: wire.Allow(wire.Reader, "hearth:os-definitions:show"), Handler: h.definition},
		{Method: "GET", Path: "/os-definitions/{name}/versions", Policy: wire.Allow(wire.Reader, "hearth:os-definitions:show"), Handler: h.versions},
	}
}

// projectOf is the project whose definitions are asked for: the caller's, or one that
// an administrator names.
func projectOf(r *wire.Request) string {
	if said := r.URL.Query().Get("project_id"); said != "" && r.Caller.IsAdmin() {
		return said
	}
	return r.Caller.ProjectID
}

func (h handlers) definitions(r *wire.Request) (*wire.Response, error) {
	list, err := h.svc.Definitions(r.Context(), projectOf(r))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"definitions": append([]operate.DefinitionVersion{}, list...)}), nil
}

func (h handlers) versions(r *wire.Request) (*wire.Response, error) {
	list, err := h.svc.DefinitionVersions(r.Context(), projectOf(r), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"definitions": append([]operate.DefinitionVersion{}, list...)}), nil
}

func (h handlers) definition(r *wire.Request) (*wire.Response, error) {
	v, err := h.svc.Definition(r.Context(), projectOf(r), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"definition": v}), nil
}

// putDefinition answers 201 for the first version, else 200. With ?project_id=ID it is
// for the servers of that project alone.
func (h handlers) putDefinition(r *wire.Request) (*wire.Response, error) {
	const op = "operator.putDefinition"
	d := &osdef.Definition{}
	if err := r.DecodeObject("definition", d); err != nil {
		return nil, err
	}
	if name := r.PathValue("name"); d.Name == "" {
		d.Name = name
	} else if d.Name != name {
		return nil, cloud.E(op, cloud.Invalid, "The definition is named %s, but the address says %s", d.Name, name)
	}
	v, err := h.svc.PutDefinition(r.Context(), r.Caller.UserID, r.URL.Query().Get("project_id"), d)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if v.Version == 1 {
		status = http.StatusCreated
	}
	return &wire.Response{Status: status, Body: wire.M{"definition": v}}, nil
}
