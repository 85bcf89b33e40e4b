package nova

import (
	"encoding/json"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) serverGroupRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-server-groups", wire.Reader, "os-server-groups:index", a.listServerGroupsOf),
		route("POST", "/os-server-groups", wire.Member, "os-server-groups:create", a.createServerGroup),
		route("GET", "/os-server-groups/{id}", wire.Reader, "os-server-groups:show", a.showServerGroup),
		route("DELETE", "/os-server-groups/{id}", wire.Member, "os-server-groups:delete", a.deleteServerGroup),
	}
}

// serverGroupView is a server group: of lists of policies and metadata 2.64 made
// one policy with rules.
func serverGroupView(r *wire.Request, d compute.ServerGroupDetail) wire.M {
	list := d.Members
	if list == nil {
		list = []string{}
	}
	m := wire.M{"id": d.ID, "name": d.Name, "members": list}
	if r.Version.AtLeast(13) {
		m["project_id"], m["user_id"] = d.ProjectID, d.UserID
	}
	if !r.Version.AtLeast(64) {
		m["policies"], m["metadata"] = []string{d.Policy}, wire.M{}
		return m
	}
	rules := wire.M{}
	if d.MaxPerHost > 0 {
		rules["max_server_per_host"] = d.MaxPerHost
	}
	m["policy"], m["rules"] = d.Policy, rules
	return m
}

func (a *api) listServerGroupsOf(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	limit, offset := MaxLimit, 0
	for name, to := range map[string]*int{"limit": &limit, "offset": &offset} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			return nil, cloud.E("nova.serverGroups", cloud.Invalid, "Invalid input for query parameters %s. Value: %s. It must be a whole number that is not negative", name, q.Get(name))
		}
		*to = n
	}
	if limit == 0 {
		limit = MaxLimit // as nova's limited() has it
	}
	list, err := a.svc.ServerGroupList(r.Context(), r.Caller, q.Has("all_projects"))
	if err := wire.First(err, strict(r, "all_projects", "limit", "offset")); err != nil {
		return nil, err
	}
	list = list[min(offset, len(list)):]
	list = list[:min(limit, MaxLimit, len(list))]
	views := make([]wire.M, len(list))
	for i := range list {
		views[i] = serverGroupView(r, list[i])
	}
	return wire.JSON(wire.M{"server_groups": views}), nil
}

func (a *api) showServerGroup(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.ServerGroup(r.Context(), r.Caller, r.PathValue("id"))
	return wire.JSON(wire.M{"server_group": serverGroupView(r, d)}), err
}

func (a *api) createServerGroup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Group struct {
			Name, Policy string
			Policies     []string
			Rules        map[string]json.RawMessage
		} `json:"server_group"`
	}
	if err := a.schemas.decode(r, "server_groups.json#/create", &in); err != nil {
		return nil, err
	}
	g := cloud.ServerGroup{Name: in.Group.Name, Policy: in.Group.Policy}
	if len(in.Group.Policies) > 0 {
		g.Policy = in.Group.Policies[0]
	}
	if len(in.Group.Rules) > 0 {
		if g.Policy != cloud.PolicyAntiAffinity {
			return nil, cloud.E("nova.createServerGroup", cloud.Invalid, "Only anti-affinity policy supports rules.")
		}
		n, err := rawNumber(in.Group.Rules["max_server_per_host"])
		if err != nil {
			return nil, err
		}
		g.MaxPerHost = n
	}
	d, err := a.svc.CreateServerGroup(r.Context(), r.Caller, g)
	return wire.JSON(wire.M{"server_group": serverGroupView(r, d)}), err
}

func (a *api) deleteServerGroup(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteServerGroup(r.Context(), r.Caller, r.PathValue("id"))
}
