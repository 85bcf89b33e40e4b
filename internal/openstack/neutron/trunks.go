package neutron

import (
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var trunkKind = kind{"trunk", "trunks", "/trunks", attributes("name=cufs admin_state_up=cufs port_id=rfs status=fs sub_ports=c")}

func (a *api) trunks() crud[network.TrunkView] {
	return crud[network.TrunkView]{
		kind: trunkKind, render: renderTrunk,
		create: func(r *wire.Request, bodies []*body) ([]network.TrunkView, error) {
			reqs, err := requests(bodies, func(b *body) network.TrunkCreate {
				return network.TrunkCreate{
					ProjectID: b.word("project_id"), PortID: value(b.id("port_id")), Name: value(b.text("name")),
					Description: value(b.text("description")), AdminStateUp: b.flag("admin_state_up"), SubPorts: readSubPorts(b),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateTrunks(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]network.TrunkView, error) {
			return a.svc.ListTrunks(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (network.TrunkView, error) {
			return a.svc.GetTrunk(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (network.TrunkView, error) {
			req := network.TrunkUpdate{Name: b.text("name"), Description: b.text("description"), AdminStateUp: b.flag("admin_state_up")}
			if b.err != nil {
				return network.TrunkView{}, b.err
			}
			return a.svc.UpdateTrunk(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteTrunk(r.Context(), r.Caller, id) },
	}
}

// readSubPorts reads a list of sub-ports. No port and no VLAN is in it twice, and
// what says more than the port says all of the segmentation.
func readSubPorts(b *body) []network.SubPortRequest {
	const name = "sub_ports"
	var out []network.SubPortRequest
	seen := map[string]bool{}
	for _, v := range value(b.list(name)) {
		o := b.object(name, v, "port_id", "segmentation_type", "segmentation_id")
		req := network.SubPortRequest{PortID: value(o.id("port_id")), VLAN: o.whole("segmentation_id")}
		if _, given := o.get("segmentation_type"); given {
			req.Type = o.text("segmentation_type")
		}
		b.take(o)
		inherits := req.Type != nil && *req.Type == "inherit"
		switch {
		case req.PortID == "":
			b.fail(name, "A valid port UUID must be specified")
		case seen[req.PortID]:
			b.fail(name, "Non unique UUID for subport: '%s'", req.PortID)
		case !inherits && len(o.members) > 1 && (req.Type == nil || req.VLAN == nil):
			b.fail(name, "Invalid subport details '%s': missing segmentation information. Must specify both segmentation_id and segmentation_type", req.PortID)
		case !inherits && req.VLAN != nil && seen[strconv.Itoa(*req.VLAN)]:
			b.fail(name, "Segmentation ID '%d' for '%s' is not unique", *req.VLAN, req.PortID)
		}
		seen[req.PortID] = true
		if req.VLAN != nil {
			seen[strconv.Itoa(*req.VLAN)] = true
		}
		out = append(out, req)
	}
	return out
}

func renderSubPort(s cloud.SubPort) wire.M {
	return wire.M{"port_id": s.PortID, "segmentation_type": "vlan", "segmentation_id": s.VLAN}
}

func renderSubPorts(list []cloud.SubPort) []wire.M {
	out := make([]wire.M, len(list))
	for i, s := range list {
		out[i] = renderSubPort(s)
	}
	return out
}

func renderTrunk(_ *wire.Request, v network.TrunkView) wire.M {
	m := wire.M{
		"id": v.ID, "name": v.Name, "tenant_id": v.ProjectID, "project_id": v.ProjectID, "port_id": v.PortID,
		"admin_state_up": v.AdminStateUp, "status": v.Status, "sub_ports": renderSubPorts(v.SubPorts),
	}
	return stamp(m, v.Description, v.Tags, v.CreatedAt, v.UpdatedAt, v.Revision)
}

// renderTrunkDetail is what a parent port tells of its trunk.
func renderTrunkDetail(t network.TrunkDetail) wire.M {
	subs := make([]wire.M, len(t.SubPorts))
	for i, s := range t.SubPorts {
		subs[i] = renderSubPort(s.SubPort)
		subs[i]["mac_address"] = s.MAC
	}
	return wire.M{"trunk_id": t.TrunkID, "sub_ports": subs}
}

// trunkActions are what is done to the sub-ports of a trunk.
func (a *api) trunkActions() []wire.Route {
	one := rest + "/trunks/{id}/"
	return []wire.Route{
		{Method: "GET", Path: one + "get_subports", Policy: wire.Allow(wire.Reader, "get_subports"), Handler: a.listSubPorts},
		{Method: "PUT", Path: one + "add_subports", Policy: wire.Allow(wire.Member, "add_subports"), Handler: a.addSubPorts},
		{Method: "PUT", Path: one + "remove_subports", Policy: wire.Allow(wire.Member, "remove_subports"), Handler: a.removeSubPorts},
	}
}

// decodeSubPorts reads {"sub_ports": […]}.
func decodeSubPorts(r *wire.Request) ([]network.SubPortRequest, error) {
	b := &body{}
	if err := r.Decode(&b.members); err != nil {
		return nil, err
	}
	if !b.has("sub_ports") || len(b.members) > 1 {
		return nil, badRequest("Invalid input for operation: the body is not a list of 'sub_ports'.")
	}
	subs := readSubPorts(b)
	return subs, b.err
}

func (a *api) listSubPorts(r *wire.Request) (*wire.Response, error) {
	v, err := a.svc.GetTrunk(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"sub_ports": renderSubPorts(v.SubPorts)}), nil
}

func (a *api) addSubPorts(r *wire.Request) (*wire.Response, error) {
	subs, err := decodeSubPorts(r)
	if err != nil {
		return nil, err
	}
	v, err := a.svc.AddSubPorts(r.Context(), r.Caller, r.PathValue("id"), subs)
	if err != nil {
		return nil, err
	}
	return wire.JSON(renderTrunk(r, v)), nil
}

func (a *api) removeSubPorts(r *wire.Request) (*wire.Response, error) {
	subs, err := decodeSubPorts(r)
	if err != nil {
		return nil, err
	}
	ports := make([]string, len(subs))
	for i, s := range subs {
		ports[i] = s.PortID
	}
	v, err := a.svc.RemoveSubPorts(r.Context(), r.Caller, r.PathValue("id"), ports)
	if err != nil {
		return nil, err
	}
	return wire.JSON(renderTrunk(r, v)), nil
}
