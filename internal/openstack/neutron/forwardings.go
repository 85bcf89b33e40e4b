package neutron

import (
	"fmt"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var forwardingKind = kind{"port_forwarding", "port_forwardings", "/floatingips/{floatingip}/port_forwardings", plain("protocol=rufs external_port=cufs " +
	"internal_port=cufs external_port_range=cufs internal_port_range=cufs internal_port_id=rufs internal_ip_address=cufs description=cufs")}

// forwardingRoutes are the routes of the port forwardings of floating IPs.
func (a *api) forwardingRoutes() []wire.Route {
	all, one := rest+forwardingKind.path, rest+forwardingKind.path+"/{id}"
	return []wire.Route{
		{Method: "GET", Path: all, Policy: wire.Allow(wire.Reader, "get_floatingip_port_forwarding"), Handler: a.listForwardings},
		{Method: "POST", Path: all, Policy: wire.Allow(wire.Member, "create_floatingip_port_forwarding"), Handler: a.createForwardings},
		{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_floatingip_port_forwarding"), Handler: a.showForwarding},
		{Method: "PUT", Path: one, Policy: wire.Allow(wire.Member, "update_floatingip_port_forwarding"), Handler: a.updateForwarding},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Member, "delete_floatingip_port_forwarding"), Handler: a.removeForwarding},
	}
}

func renderForwarding(f cloud.PortForwarding) wire.M {
	return wire.M{
		"id": f.ID, "protocol": f.Protocol, "external_port": single(f.External, f.ExternalEnd), "internal_port": single(f.InnerPort, f.InnerEnd), "internal_port_id": f.PortID,
		"external_port_range": fmt.Sprintf("%d:%d", f.External, max(f.External, f.ExternalEnd)), "internal_port_range": fmt.Sprintf("%d:%d", f.InnerPort, max(f.InnerPort, f.InnerEnd)),
		"internal_ip_address": f.Inner.String(), "description": f.Description,
	}
}

// single is a port that is alone; null for a range.
func single(first, last int) any {
	if last > first {
		return nil
	}
	return first
}

// readForwardPorts reads a port, or a range of them "22:24", which are given by one of
// two names; last is 0 for a single one, and both are nil when neither is given.
func readForwardPorts(b *body, name string) (first, last *int) {
	one := readForwardPort(b, name)
	v, given := b.get(name + "_range")
	if !given {
		if one == nil {
			return nil, nil
		}
		return one, new(int)
	}
	if one != nil {
		b.fail(name+"_range", "%s and %s_range cannot be given both", name, name)
		return nil, nil
	}
	text := fmt.Sprint(v)
	from, to, several := strings.Cut(text, ":")
	if !several {
		to = from
	}
	x, errX := strconv.Atoi(from)
	y, errY := strconv.Atoi(to)
	switch {
	case errX != nil || errY != nil:
		b.fail(name+"_range", "Port range must be two integers separated by a colon")
	case min(x, y) < 1 || max(x, y) > 65535:
		b.fail(name+"_range", "Invalid port: %s, the port must be in the range [1, 65535]", text)
	case x > y:
		b.fail(name+"_range", "First port in a port range must be lower than the second port")
	}
	if x == y {
		y = 0
	}
	return &x, &y
}

// readTransport reads the protocol that is forwarded.
func readTransport(b *body) *string {
	p := b.text("protocol")
	if p != nil && *p != "tcp" && *p != "udp" {
		b.fail("protocol", "'%s' is not in ['tcp', 'udp']", *p)
	}
	return p
}

// readForwardPort reads a TCP or UDP port.
func readForwardPort(b *body, name string) *int {
	n := b.whole(name)
	if b.has(name) && (n == nil || *n < 1 || *n > 65535) {
		b.fail(name, "'%v' is not in range 1 to 65535", b.members[name])
	}
	return n
}

func (a *api) createForwardings(r *wire.Request) (*wire.Response, error) {
	bodies, bulk, err := decode(r, forwardingKind)
	if err != nil {
		return nil, err
	}
	reqs, err := requests(bodies, func(b *body) network.ForwardingCreate {
		external, externalEnd := readForwardPorts(b, "external_port")
		inner, innerEnd := readForwardPorts(b, "internal_port")
		return network.ForwardingCreate{
			Description: value(b.text("description")), Protocol: value(readTransport(b)), External: value(external), ExternalEnd: value(externalEnd),
			InnerPort: value(inner), InnerEnd: value(innerEnd), PortID: value(b.id("internal_port_id")), Inner: value(b.addr("internal_ip_address")),
		}
	})
	if err != nil {
		return nil, err
	}
	made, err := a.svc.CreateForwardings(r.Context(), r.Caller, r.PathValue("floatingip"), reqs...)
	if err != nil {
		return nil, err
	}
	if !bulk {
		return wire.Created(wire.M{forwardingKind.name: renderForwarding(made[0])}), nil
	}
	return wire.Created(wire.M{forwardingKind.collection: renderForwardings(made)}), nil
}

func renderForwardings(list []cloud.PortForwarding) []wire.M {
	items := make([]wire.M, len(list))
	for i, f := range list {
		items[i] = renderForwarding(f)
	}
	return items
}

func (a *api) listForwardings(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(forwardingKind, q); err != nil {
		return nil, err
	}
	rows, err := a.svc.ListForwardings(r.Context(), r.Caller, r.PathValue("floatingip"))
	if err != nil {
		return nil, err
	}
	return answerList(r, forwardingKind, q, renderForwardings(rows))
}

func (a *api) showForwarding(r *wire.Request) (*wire.Response, error) {
	f, err := a.svc.GetForwarding(r.Context(), r.Caller, r.PathValue("floatingip"), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{forwardingKind.name: wire.Select(renderForwarding(f), wire.Fields(r.URL.Query()))}), nil
}

func (a *api) updateForwarding(r *wire.Request) (*wire.Response, error) {
	b, err := decodeUpdate(r, forwardingKind)
	if err != nil {
		return nil, err
	}
	req := network.ForwardingUpdate{Description: b.text("description"), Protocol: readTransport(b), PortID: b.id("internal_port_id")}
	req.External, req.ExternalEnd = readForwardPorts(b, "external_port")
	req.InnerPort, req.InnerEnd = readForwardPorts(b, "internal_port")
	if _, given := b.get("internal_ip_address"); given {
		req.Inner = b.addr("internal_ip_address")
	}
	if b.err != nil {
		return nil, b.err
	}
	f, err := a.svc.UpdateForwarding(r.Context(), r.Caller, r.PathValue("floatingip"), r.PathValue("id"), req)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{forwardingKind.name: renderForwarding(f)}), nil
}

func (a *api) removeForwarding(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.DeleteForwarding(r.Context(), r.Caller, r.PathValue("floatingip"), r.PathValue("id")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}
