package neutron

import (
	"context"
	"net/netip"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var addressGroupKind = kind{"address_group", "address_groups", "/address-groups", plain("name=cufs description=cufs addresses=c shared=fs " +
	"created_at=s updated_at=s revision_number=fs")}

func (a *api) addressGroups() crud[cloud.AddressGroup] {
	return crud[cloud.AddressGroup]{
		kind: addressGroupKind, render: renderAddressGroup,
		create: func(r *wire.Request, bodies []*body) ([]cloud.AddressGroup, error) {
			reqs, err := requests(bodies, func(b *body) network.AddressGroupCreate {
				return network.AddressGroupCreate{
					ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")), Addresses: readAddresses(b),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateAddressGroups(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.AddressGroup, error) {
			return a.svc.ListAddressGroups(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.AddressGroup, error) {
			return a.svc.GetAddressGroup(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (cloud.AddressGroup, error) {
			req := network.AddressGroupUpdate{Name: b.text("name"), Description: b.text("description")}
			if b.err != nil {
				return cloud.AddressGroup{}, b.err
			}
			return a.svc.UpdateAddressGroup(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteAddressGroup(r.Context(), r.Caller, id) },
	}
}

// readAddresses reads the addresses of a group: subnets, with their length.
func readAddresses(b *body) []netip.Prefix {
	words := b.words("addresses")
	if words == nil {
		return nil
	}
	out := make([]netip.Prefix, 0, len(*words))
	for _, w := range *words {
		p := b.prefix("addresses", w)
		if b.err == nil && !strings.Contains(w, "/") {
			b.fail("addresses", "'%s' isn't a recognized IP subnet cidr, '%s' is recommended", w, p)
		}
		out = append(out, p)
	}
	return out
}

func renderAddressGroup(_ *wire.Request, g cloud.AddressGroup) wire.M {
	addresses := make([]string, len(g.Addresses))
	for i, p := range g.Addresses {
		addresses[i] = p.String()
	}
	m := wire.M{"id": g.ID, "name": g.Name, "tenant_id": g.ProjectID, "project_id": g.ProjectID, "addresses": addresses, "shared": g.Shared}
	m = stamp(m, g.Description, nil, g.CreatedAt, g.UpdatedAt, g.Revision)
	delete(m, "tags") // of which it has none
	return m
}

// addressActions are what is done to the addresses of a group besides.
func (a *api) addressActions() []wire.Route {
	one := rest + addressGroupKind.path + "/{id}/"
	return []wire.Route{
		{Method: "PUT", Path: one + "add_addresses", Policy: wire.Allow(wire.Member, "add_addresses"), Handler: changeAddresses(a.svc.AddAddresses)},
		{Method: "PUT", Path: one + "remove_addresses", Policy: wire.Allow(wire.Member, "remove_addresses"), Handler: changeAddresses(a.svc.RemoveAddresses)},
	}
}

func changeAddresses(change func(ctx context.Context, c cloud.Caller, id string, some []netip.Prefix) (cloud.AddressGroup, error)) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		b := &body{}
		if err := r.Decode(&b.members); err != nil {
			return nil, err
		}
		some := readAddresses(b)
		if !b.has("addresses") && b.err == nil {
			b.err = badRequest("Failed to parse request. Required attribute 'addresses' not specified")
		}
		if b.err != nil {
			return nil, b.err
		}
		g, err := change(r.Context(), r.Caller, r.PathValue("id"), some)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{addressGroupKind.name: renderAddressGroup(r, g)}), nil
	}
}
