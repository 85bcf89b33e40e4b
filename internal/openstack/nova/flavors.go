package nova

import (
	"encoding/json"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) flavorRoutes() []wire.Route {
	specs, access := "/flavors/{id}/os-extra_specs", "/flavors/{id}/os-flavor-access"
	return []wire.Route{
		route("GET", "/flavors", wire.Reader, "flavors:index", a.listFlavors(false)),
		route("GET", "/flavors/detail", wire.Reader, "flavors:detail", a.listFlavors(true)),
		route("GET", "/flavors/{id}", wire.Reader, "flavors:show", a.showFlavor),
		route("POST", "/flavors", wire.Admin, "os-flavor-manage:create", a.createFlavor),
		since(55, route("PUT", "/flavors/{id}", wire.Admin, "os-flavor-manage:update", a.updateFlavor)),
		route("DELETE", "/flavors/{id}", wire.Admin, "os-flavor-manage:delete", a.deleteFlavor),
		route("POST", "/flavors/{id}/action", wire.Admin, "os-flavor-access:add_tenant_access", a.flavorAction),
		route("GET", access, wire.Admin, "os-flavor-access", a.flavorAccess),
		route("GET", specs, wire.Reader, "os-flavor-extra-specs:index", a.listSpecs),
		route("POST", specs, wire.Admin, "os-flavor-extra-specs:create", a.createSpecs),
		route("GET", specs+"/{key}", wire.Reader, "os-flavor-extra-specs:show", a.showSpec),
		route("PUT", specs+"/{key}", wire.Admin, "os-flavor-extra-specs:update", a.updateSpec),
		route("DELETE", specs+"/{key}", wire.Admin, "os-flavor-extra-specs:delete", a.deleteSpec),
	}
}

// flavorView is a flavor, in brief or whole.
func flavorView(r *wire.Request, f cloud.Flavor, whole bool) wire.M {
	m := wire.M{"id": f.ID, "name": f.Name, "links": linksTo(r, "/flavors/"+f.ID)}
	if r.Version.AtLeast(55) {
		m["description"] = orNull(f.Description)
	}
	if !whole {
		return m
	}
	m["ram"], m["disk"], m["vcpus"], m["rxtx_factor"] = f.MemoryMB, f.RootGB, f.VCPUs, f.RxTxFactor
	m["OS-FLV-EXT-DATA:ephemeral"], m["OS-FLV-DISABLED:disabled"], m["os-flavor-access:is_public"] = f.EphemeralGB, f.Disabled, f.Public
	m["swap"] = f.SwapMB
	if f.SwapMB == 0 && !r.Version.AtLeast(75) {
		m["swap"] = ""
	}
	if r.Version.AtLeast(61) {
		m["extra_specs"] = orEmpty(f.ExtraSpecs)
	}
	return m
}

// orEmpty is {} for a nil map, which JSON would say as null.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func flavorFilter(r *wire.Request) (f compute.FlavorFilter, err error) {
	const op = "nova.flavors"
	q := r.URL.Query()
	if f.Limit, f.Marker, err = page(r); err != nil {
		return f, err
	}
	f.SortKey, f.SortDir = q.Get("sort_key"), q.Get("sort_dir")
	for _, name := range []string{"sort_key", "sort_dir"} {
		if q.Has(name) && q.Get(name) == "" {
			return f, cloud.E(op, cloud.Invalid, "Invalid input for query parameters %s. Value: . It must not be empty", name)
		}
	}
	for name, to := range map[string]*int{"minRam": &f.MinRAM, "minDisk": &f.MinDisk} {
		if q.Has(name) {
			if *to, err = strconv.Atoi(q.Get(name)); err != nil {
				return f, cloud.E(op, cloud.Invalid, "Invalid %s filter [%s]", name, q.Get(name))
			}
		}
	}
	switch public := q.Get("is_public"); {
	case !r.Caller.IsAdmin() || public == "":
	case public == "None" || public == "none":
		f.Any = true
	default:
		b, err := wire.ParseBool("is_public", public)
		if err != nil {
			return f, cloud.E(op, cloud.Invalid, "Invalid is_public filter [%s]", public)
		}
		f.Public = &b
	}
	return f, strict(r, "limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir")
}

func (a *api) listFlavors(whole bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		f, err := flavorFilter(r)
		if err != nil {
			return nil, err
		}
		limit := f.Limit
		f.Limit++
		flavors, err := a.svc.Flavors(r.Context(), r.Caller, f)
		if err != nil {
			return nil, err
		}
		body := wire.M{}
		if len(flavors) > limit {
			flavors = flavors[:limit]
			if limit > 0 {
				body["flavors_links"] = nextLinks(r, flavors[limit-1].ID)
			}
		}
		views := make([]wire.M, len(flavors))
		for i := range flavors {
			views[i] = flavorView(r, flavors[i], whole)
		}
		body["flavors"] = views
		return wire.JSON(body), nil
	}
}

func (a *api) showFlavor(r *wire.Request) (*wire.Response, error) {
	f, err := a.svc.Flavor(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"flavor": flavorView(r, f, true)}), nil
}

func (a *api) createFlavor(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Flavor struct {
			Name, Description string
			ID                any
			RAM, VCPUs, Disk  wire.Int
			Ephemeral         wire.Int `json:"OS-FLV-EXT-DATA:ephemeral"`
			Swap              wire.Int
			RxTx              json.RawMessage `json:"rxtx_factor"`
			Public            *wire.Bool      `json:"os-flavor-access:is_public"`
		}
	}
	if err := a.schemas.decode(r, "flavors.json#/create", &in); err != nil {
		return nil, err
	}
	v := in.Flavor
	f := cloud.Flavor{
		Name: v.Name, Description: v.Description, VCPUs: int(v.VCPUs), MemoryMB: int(v.RAM), RootGB: int(v.Disk),
		EphemeralGB: int(v.Ephemeral), SwapMB: int(v.Swap), RxTxFactor: 1, Public: v.Public == nil || bool(*v.Public),
	}
	switch id := v.ID.(type) {
	case string:
		f.ID = id
	case float64:
		f.ID = strconv.FormatFloat(id, 'f', -1, 64)
	}
	if v.RxTx != nil {
		n, err := strconv.ParseFloat(unquoted(v.RxTx), 64)
		if err != nil || n <= 0 {
			return nil, cloud.E("nova.createFlavor", cloud.Invalid, "Invalid input for field/attribute rxtx_factor. It must be a number greater than 0")
		}
		f.RxTxFactor = n
	}
	f, err := a.svc.CreateFlavor(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"flavor": flavorView(r, f, true)}), nil
}

func (a *api) updateFlavor(r *wire.Request) (*wire.Response, error) {
	var in struct{ Flavor struct{ Description string } }
	if err := a.schemas.decode(r, "flavors.json#/update", &in); err != nil {
		return nil, err
	}
	f, err := a.svc.DescribeFlavor(r.Context(), r.PathValue("id"), in.Flavor.Description)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"flavor": flavorView(r, f, true)}), nil
}

func (a *api) deleteFlavor(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteFlavor(r.Context(), r.PathValue("id"))
}
