package neutron

import (
	"net/netip"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var poolKind = kind{"subnetpool", "subnetpools", "/subnetpools", attributes("name=rufs prefixes=ru default_quota=cuf ip_version=fs " +
	"default_prefixlen=cufs min_prefixlen=cufs max_prefixlen=cufs address_scope_id=cufs shared=cfs is_default=cufs")}

func (a *api) pools() crud[cloud.SubnetPool] {
	return crud[cloud.SubnetPool]{
		kind: poolKind, render: renderPool,
		create: func(r *wire.Request, bodies []*body) ([]cloud.SubnetPool, error) {
			reqs, err := requests(bodies, readPool)
			if err != nil {
				return nil, err
			}
			return a.svc.CreatePools(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.SubnetPool, error) {
			return a.svc.ListPools(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.SubnetPool, error) {
			return a.svc.GetPool(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (cloud.SubnetPool, error) {
			req := network.PoolUpdate{
				Name: b.text("name"), Description: b.text("description"), Prefixes: readPrefixes(b), DefaultPrefix: b.whole("default_prefixlen"),
				MinPrefix: b.whole("min_prefixlen"), MaxPrefix: b.whole("max_prefixlen"), DefaultQuota: readPoolQuota(b),
				AddressScopeID: b.id("address_scope_id"), IsDefault: b.flag("is_default"),
			}
			if b.err != nil {
				return cloud.SubnetPool{}, b.err
			}
			return a.svc.UpdatePool(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeletePool(r.Context(), r.Caller, id) },
	}
}

func readPool(b *body) network.PoolCreate {
	return network.PoolCreate{
		ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")), Prefixes: value(readPrefixes(b)),
		DefaultPrefix: b.whole("default_prefixlen"), MinPrefix: b.whole("min_prefixlen"), MaxPrefix: b.whole("max_prefixlen"),
		DefaultQuota: readPoolQuota(b), AddressScopeID: value(b.id("address_scope_id")), Shared: value(b.flag("shared")), IsDefault: value(b.flag("is_default")),
	}
}

// readPrefixes reads a list of prefixes; nil if it is not there.
func readPrefixes(b *body) *[]netip.Prefix {
	list := b.list("prefixes")
	if list == nil {
		return nil
	}
	out := []netip.Prefix{}
	for _, v := range *list {
		out = append(out, b.prefix("prefixes", v))
	}
	return &out
}

// readPoolQuota reads default_quota: null is none.
func readPoolQuota(b *body) *int {
	if !b.has("default_quota") {
		return nil
	}
	n := value(b.whole("default_quota"))
	if n < 0 {
		b.fail("default_quota", "'%d' is not a non-negative integer", n)
	}
	return &n
}

func renderPool(_ *wire.Request, p cloud.SubnetPool) wire.M {
	prefixes := make([]string, len(p.Prefixes))
	for i, x := range p.Prefixes {
		prefixes[i] = x.String()
	}
	m := wire.M{
		"id": p.ID, "name": p.Name, "tenant_id": p.ProjectID, "project_id": p.ProjectID, "prefixes": prefixes, "ip_version": p.IPVersion,
		"default_prefixlen": strconv.Itoa(p.DefaultPrefix), "min_prefixlen": strconv.Itoa(p.MinPrefix), "max_prefixlen": strconv.Itoa(p.MaxPrefix), // texts, as neutron has them
		"default_quota":    nil,
		"address_scope_id": null(p.AddressScopeID), "shared": p.Shared, "is_default": p.IsDefault,
	}
	if p.DefaultQuota > 0 {
		m["default_quota"] = p.DefaultQuota
	}
	return stamp(m, p.Description, p.Tags, p.CreatedAt, p.UpdatedAt, p.Revision)
}

// poolActions are what is done to the prefixes of a subnet pool besides.
func (a *api) poolActions() []wire.Route {
	one := rest + "/subnetpools/{id}/"
	return []wire.Route{
		{Method: "PUT", Path: one + "add_prefixes", Policy: wire.Allow(wire.Member, "add_prefixes"), Handler: func(r *wire.Request) (*wire.Response, error) {
			return a.changePrefixes(r, func(given []netip.Prefix) ([]netip.Prefix, error) {
				return a.svc.ChangePrefixes(r.Context(), r.Caller, r.PathValue("id"), given, nil)
			})
		}},
		{Method: "PUT", Path: one + "remove_prefixes", Policy: wire.Allow(wire.Member, "remove_prefixes"), Handler: func(r *wire.Request) (*wire.Response, error) {
			return a.changePrefixes(r, func(given []netip.Prefix) ([]netip.Prefix, error) {
				return a.svc.ChangePrefixes(r.Context(), r.Caller, r.PathValue("id"), nil, given)
			})
		}},
	}
}

func (a *api) changePrefixes(r *wire.Request, change func([]netip.Prefix) ([]netip.Prefix, error)) (*wire.Response, error) {
	b := &body{}
	if err := r.Decode(&b.members); err != nil {
		return nil, err
	}
	given := readPrefixes(b)
	switch {
	case b.err != nil:
		return nil, b.err
	case given == nil:
		return nil, badRequest("Invalid prefixes body: it has no 'prefixes'")
	}
	left, err := change(*given)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(left))
	for i, p := range left {
		out[i] = p.String()
	}
	return wire.JSON(wire.M{"prefixes": out}), nil
}
