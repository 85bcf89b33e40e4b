package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// compliance is the group of options that everybody may read.
const compliance = "security_compliance"

func (a *api) domainConfigRoutes() []wire.Route {
	// Who may read which group is judged in the handler: one of them is for all.
	const all, group = "/v3/domains/{domain_id}/config", "/v3/domains/{domain_id}/config/{group}"
	routes := []wire.Route{
		route("PUT", all, wire.Admin, "create_domain_config", a.putConfig),
		route("GET", "/v3/domains/config/default", systemReader, "get_domain_config_default", a.defaultConfig),
		route("GET", "/v3/domains/config/{group}/default", systemReader, "get_domain_config_default", a.defaultConfig),
		route("GET", "/v3/domains/config/{group}/{option}/default", systemReader, "get_domain_config_default", a.defaultConfig),
		route("GET", all, systemReader, "get_domain_config", a.config),
		route("GET", group, wire.Anyone, "get_domain_config", a.config),
		route("GET", group+"/{option}", wire.Anyone, "get_domain_config", a.config),
	}
	for _, path := range []string{all, group, group + "/{option}"} {
		routes = append(routes,
			route("PATCH", path, wire.Admin, "update_domain_config", a.updateConfig),
			route("DELETE", path, wire.Admin, "delete_domain_config", a.deleteConfig))
	}
	return routes
}

// showConfig is a configuration; of an option that alone is shown.
func showConfig(r *wire.Request, config map[string]map[string]any) *wire.Response {
	if r.PathValue("option") != "" {
		return wire.JSON(wire.M{"config": config[r.PathValue("group")]})
	}
	return wire.JSON(wire.M{"config": config})
}

func (a *api) defaultConfig(r *wire.Request) (*wire.Response, error) {
	config, err := identity.DefaultConfig(r.PathValue("group"), r.PathValue("option"))
	if err != nil {
		return nil, err
	}
	return showConfig(r, config), nil
}

func (a *api) config(r *wire.Request) (*wire.Response, error) {
	id, group, option := r.PathValue("domain_id"), r.PathValue("group"), r.PathValue("option")
	if group != compliance && !systemReader.Allow(r.Caller) {
		return nil, wire.Denied("identity:get_domain_config")
	}
	if _, err := a.svc.Domain(r.Context(), id); err != nil {
		return nil, missing(err, "domain", id)
	}
	if group == compliance {
		rules, err := a.svc.PasswordRules(id, option)
		if err != nil {
			return nil, err
		}
		return showConfig(r, map[string]map[string]any{compliance: rules}), nil
	}
	config, err := a.svc.DomainConfig(r.Context(), id, group, option)
	if err != nil {
		return nil, err
	}
	return showConfig(r, config), nil
}

// decodeConfig reads a configuration; of an option the body has that alone.
func decodeConfig(r *wire.Request) (map[string]map[string]any, error) {
	if r.PathValue("option") != "" {
		var options map[string]any
		err := r.DecodeObject("config", &options)
		return map[string]map[string]any{r.PathValue("group"): options}, err
	}
	var in map[string]any
	if err := r.DecodeObject("config", &in); err != nil {
		return nil, err
	}
	out := map[string]map[string]any{}
	for group, v := range in {
		options, ok := v.(map[string]any)
		if !ok {
			return nil, cloud.E("keystone.config", cloud.Forbidden,
				"Invalid domain specific configuration: The value of group %s specified in the config should be a dictionary of options.", group)
		}
		out[group] = options
	}
	return out, nil
}

func (a *api) putConfig(r *wire.Request) (*wire.Response, error) {
	in, err := decodeConfig(r)
	if err != nil {
		return nil, err
	}
	config, made, err := a.svc.PutDomainConfig(r.Context(), r.PathValue("domain_id"), in)
	if err != nil {
		return nil, err
	}
	resp := showConfig(r, config)
	if made {
		resp.Status = http.StatusCreated
	}
	return resp, nil
}

func (a *api) updateConfig(r *wire.Request) (*wire.Response, error) {
	in, err := decodeConfig(r)
	if err != nil {
		return nil, err
	}
	config, err := a.svc.UpdateDomainConfig(r.Context(), r.PathValue("domain_id"), r.PathValue("group"), r.PathValue("option"), in)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"config": config}), nil
}

func (a *api) deleteConfig(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.DeleteDomainConfig(r.Context(), r.PathValue("domain_id"), r.PathValue("group"), r.PathValue("option")))
}
