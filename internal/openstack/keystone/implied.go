package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) impliedRoutes() []wire.Route {
	const each = "/v3/roles/{role_id}/implies/{implied_id}"
	return []wire.Route{
		route("GET", "/v3/roles/{role_id}/implies", systemReader, "list_implied_roles", a.implied),
		route("GET", each, systemReader, "get_implied_role", a.impliedRole),
		route("HEAD", each, systemReader, "check_implied_role", a.checkImplied),
		route("PUT", each, wire.Admin, "create_implied_role", a.imply),
		route("DELETE", each, wire.Admin, "delete_implied_role", a.unimply),
		route("GET", "/v3/role_inferences", systemReader, "list_role_inference_rules", a.inferences),
	}
}

// brief is a role as rules show it.
func brief(r *wire.Request, role cloud.Role) wire.M {
	return wire.M{"id": role.ID, "name": role.Name, "links": wire.M{"self": r.Link("/v3/roles/" + role.ID)}}
}

func showInference(r *wire.Request, in identity.Inference) wire.M {
	implied := []wire.M{}
	for _, role := range in.Implied {
		implied = append(implied, brief(r, role))
	}
	return wire.M{"prior_role": brief(r, in.Prior), "implies": implied}
}

func (a *api) implied(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Inferences(r.Context(), r.PathValue("role_id"))
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, cloud.E("keystone.implied", cloud.NotFound, "Could not find role: %s.", r.PathValue("role_id"))
	}
	return wire.JSON(wire.M{"role_inference": showInference(r, found[0]), "links": links(r)}), nil
}

func (a *api) inferences(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Inferences(r.Context(), "")
	if err != nil {
		return nil, err
	}
	return list(r, "role_inferences", found, showInference), nil
}

func oneInference(r *wire.Request, status int, prior, implied cloud.Role) *wire.Response {
	body := wire.M{"role_inference": wire.M{"prior_role": brief(r, prior), "implies": brief(r, implied)}, "links": wire.M{"self": r.SelfLink()}}
	return &wire.Response{Status: status, Body: body}
}

func (a *api) impliedRole(r *wire.Request) (*wire.Response, error) {
	prior, implied, err := a.svc.Inference(r.Context(), r.PathValue("role_id"), r.PathValue("implied_id"))
	if err != nil {
		return nil, err
	}
	return oneInference(r, http.StatusOK, prior, implied), nil
}

// checkImplied answers 204, where other resources answer a HEAD as their GET.
func (a *api) checkImplied(r *wire.Request) (*wire.Response, error) {
	_, _, err := a.svc.Inference(r.Context(), r.PathValue("role_id"), r.PathValue("implied_id"))
	return done(err)
}

func (a *api) imply(r *wire.Request) (*wire.Response, error) {
	prior, implied, err := a.svc.Imply(r.Context(), r.PathValue("role_id"), r.PathValue("implied_id"))
	if err != nil {
		return nil, err
	}
	return oneInference(r, http.StatusCreated, prior, implied), nil
}

func (a *api) unimply(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Unimply(r.Context(), r.PathValue("role_id"), r.PathValue("implied_id")))
}
