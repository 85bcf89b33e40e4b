package placement

import (
	"net/http"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
)

func (a *api) providerRoutes() []wire.Route {
	all, one := "/resource_providers", "/resource_providers/{id}"
	root := wire.Route{Method: "GET", Path: "", Policy: wire.Allow(wire.Public, "placement:versions"), Handler: dated(a.svc.Now, a.root)}
	return []wire.Route{
		root,
		a.route("GET", all, "resource_providers:list", a.listProviders),
		a.route("POST", all, "resource_providers:create", a.createProvider),
		a.route("GET", one, "resource_providers:show", a.showProvider),
		a.route("PUT", one, "resource_providers:update", a.updateProvider),
		a.route("DELETE", one, "resource_providers:delete", a.deleteProvider),
		since(1, a.route("GET", one+"/aggregates", "resource_providers:aggregates:list", a.showAggregates)),
		since(1, a.route("PUT", one+"/aggregates", "resource_providers:aggregates:update", a.setAggregates)),
		since(6, a.route("GET", one+"/traits", "resource_providers:traits:list", a.showTraits)),
		since(6, a.route("PUT", one+"/traits", "resource_providers:traits:update", a.setTraits)),
		since(6, a.route("DELETE", one+"/traits", "resource_providers:traits:delete", a.deleteTraits)),
		a.route("GET", one+"/inventories", "resource_providers:inventories:list", a.listInventories),
		a.route("POST", one+"/inventories", "resource_providers:inventories:create", a.createInventory),
		a.route("PUT", one+"/inventories", "resource_providers:inventories:update", a.setInventories),
		until(4, a.route("DELETE", one+"/inventories", "resource_providers:inventories:delete", notBefore)),
		since(5, a.route("DELETE", one+"/inventories", "resource_providers:inventories:delete", a.deleteInventories)),
		a.route("GET", one+"/inventories/{class}", "resource_providers:inventories:show", a.showInventory),
		a.route("PUT", one+"/inventories/{class}", "resource_providers:inventories:update", a.updateInventory),
		a.route("DELETE", one+"/inventories/{class}", "resource_providers:inventories:delete", a.deleteInventory),
		a.route("GET", one+"/usages", "resource_providers:usages", a.providerUsages),
		a.route("GET", one+"/allocations", "resource_providers:allocations:list", a.providerClaims),
	}
}

// providerView is a provider with the links that its microversion knows.
func providerView(r *wire.Request, p schedule.Provider) wire.M {
	self := href(r, "resource_providers", p.ID)
	links := []wire.M{{"rel": "self", "href": self}}
	for _, l := range []struct {
		since int
		name  string
	}{{0, "inventories"}, {0, "usages"}, {1, "aggregates"}, {6, "traits"}, {11, "allocations"}} {
		if r.Version.AtLeast(l.since) {
			links = append(links, wire.M{"rel": l.name, "href": self + "/" + l.name})
		}
	}
	m := wire.M{"uuid": p.ID, "name": p.Name, "generation": p.Generation, "links": links}
	if r.Version.AtLeast(14) {
		m["parent_provider_uuid"], m["root_provider_uuid"] = any(p.ParentID), p.Root
		if p.ParentID == "" {
			m["parent_provider_uuid"] = nil
		}
	}
	return m
}

// modified is an answer of when a provider was changed.
func modified(p schedule.Provider, resp *wire.Response) *wire.Response {
	resp.Header = http.Header{"Last-Modified": {p.UpdatedAt.UTC().Format(http.TimeFormat)}}
	return resp
}

func (a *api) listProviders(r *wire.Request) (*wire.Response, error) {
	known := []string{"name", "uuid"}
	for _, k := range []struct {
		since int
		name  string
	}{{3, "member_of"}, {4, "resources"}, {14, "in_tree"}, {18, "required"}} {
		if r.Version.AtLeast(k.since) {
			known = append(known, k.name)
		}
	}
	if err := allowed(r, known...); err != nil {
		return nil, err
	}
	q := r.URL.Query()
	f := placement.Filter{Name: q.Get("name"), ID: dashed(q.Get("uuid")), InTree: q.Get("in_tree")}
	for _, name := range []string{"uuid", "in_tree"} {
		if q.Has(name) && !cloud.IsID(q.Get(name)) {
			return nil, invalid("Invalid query string parameters: '%s' is not a 'uuid'", q.Get(name))
		}
	}
	var err error
	if f.Group, err = groupOf(r, ""); err != nil {
		return nil, err
	}
	list, err := a.svc.Providers(r.Context(), f)
	if err != nil {
		return nil, err
	}
	views := make([]wire.M, len(list))
	for i := range list {
		views[i] = providerView(r, list[i])
	}
	return wire.JSON(wire.M{"resource_providers": views}), nil
}

// dashed writes a UUID with its dashes, in lower case.
func dashed(id string) string {
	id = strings.ToLower(id)
	if cloud.IsID(id) && len(id) == 32 {
		return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	}
	return id
}

// providerBody is what a client says of a provider.
type providerBody struct {
	Name, UUID string
	Parent     wire.Opt[string] `json:"parent_provider_uuid"`
}

func (a *api) providerIn(r *wire.Request, members ...string) (in providerBody, err error) {
	if r.Version.AtLeast(14) {
		members = append(members, "parent_provider_uuid")
	}
	if err = decode(r, &in, append(members, "name")...); err != nil {
		return in, err
	}
	if in.Name == "" {
		return in, missing("name")
	}
	if err := text(in.Name, 200); err != nil {
		return in, err
	}
	for _, id := range []string{in.UUID, in.Parent.Value} {
		if err := uuid(id); id != "" && err != nil {
			return in, err
		}
	}
	in.UUID, in.Parent.Value = dashed(in.UUID), dashed(in.Parent.Value)
	return in, nil
}

func (a *api) createProvider(r *wire.Request) (*wire.Response, error) {
	in, err := a.providerIn(r, "uuid")
	if err != nil {
		return nil, err
	}
	p, err := a.svc.CreateProvider(r.Context(), in.UUID, in.Name, in.Parent.Value)
	if err != nil {
		return nil, err
	}
	resp := created(http.StatusCreated, noted(r, "resource_providers", p.ID))
	if r.Version.AtLeast(20) {
		resp.Status, resp.Body = http.StatusOK, providerView(r, p)
	}
	return resp, nil
}

func (a *api) showProvider(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.Provider(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return modified(p, wire.JSON(providerView(r, p))), nil
}

func (a *api) updateProvider(r *wire.Request) (*wire.Response, error) {
	in, err := a.providerIn(r)
	if err != nil {
		return nil, err
	}
	var parent *string
	if in.Parent.Set {
		parent = &in.Parent.Value
	}
	p, err := a.svc.MoveProvider(r.Context(), r.PathValue("id"), in.Name, parent, r.Version.AtLeast(37))
	if err != nil {
		return nil, err
	}
	return modified(p, wire.JSON(providerView(r, p))), nil
}

func (a *api) deleteProvider(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteProvider(r.Context(), r.PathValue("id"))
}

func aggregatesView(r *wire.Request, p schedule.Provider) *wire.Response {
	m := wire.M{"aggregates": orNone(p.Aggregates)}
	if r.Version.AtLeast(19) {
		m["resource_provider_generation"] = p.Generation
	}
	return wire.JSON(m)
}

// orNone is [] for a nil list, which JSON would say as null.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (a *api) showAggregates(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.Provider(r.Context(), r.PathValue("id"))
	return aggregatesView(r, p), err
}

func (a *api) setAggregates(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Aggregates []string
		Generation *int64 `json:"resource_provider_generation"`
	}
	if _, err := a.svc.Provider(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	raw, err := bytesOf(r)
	switch {
	case err != nil:
	case !r.Version.AtLeast(19):
		err = fill(raw, &in.Aggregates)
	default:
		err = decodeObject(raw, &in, "aggregates", "resource_provider_generation")
		if err == nil && in.Generation == nil {
			err = missing("resource_provider_generation")
		} else if err == nil && in.Aggregates == nil {
			err = missing("aggregates")
		}
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, id := range in.Aggregates {
		if err := uuid(id); err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, unfit("uniqueItems", "['%s'] has non-unique elements", strings.Join(in.Aggregates, "', '"))
		}
		seen[id] = true
		in.Aggregates[i] = dashed(id)
	}
	p, err := a.svc.SetAggregates(r.Context(), r.PathValue("id"), in.Generation, in.Aggregates)
	return aggregatesView(r, p), err
}

func traitsView(p schedule.Provider) *wire.Response {
	return wire.JSON(wire.M{"traits": orNone(p.Traits), "resource_provider_generation": p.Generation})
}

func (a *api) showTraits(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.Provider(r.Context(), r.PathValue("id"))
	return traitsView(p), err
}

func (a *api) setTraits(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Traits     []string
		Generation *int64 `json:"resource_provider_generation"`
	}
	if err := decode(r, &in, "traits", "resource_provider_generation"); err != nil {
		return nil, err
	}
	if in.Generation == nil {
		return nil, missing("resource_provider_generation")
	}
	if in.Traits == nil {
		return nil, missing("traits")
	}
	p, err := a.svc.SetTraits(r.Context(), r.PathValue("id"), in.Generation, in.Traits)
	return traitsView(p), err
}

func (a *api) deleteTraits(r *wire.Request) (*wire.Response, error) {
	_, err := a.svc.SetTraits(r.Context(), r.PathValue("id"), nil, nil)
	return wire.NoContent(), err
}

// notBefore answers for what came to a path with a later microversion.
func notBefore(r *wire.Request) (*wire.Response, error) {
	return nil, cloud.E("placement", cloud.Invalid, "%w", &wire.MethodError{Method: r.Method, Allow: []string{"GET", "POST", "PUT"}})
}
