package neutron

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// markType is the type of rule that marks what ports send.
const markType = "dscp_marking"

var markKind = kind{"dscp_marking_rule", "dscp_marking_rules", "/qos/policies/{policy}/dscp_marking_rules", plain("dscp_mark=rufs")}

func (a *api) markRoutes() []wire.Route {
	all, one := rest+markKind.path, rest+markKind.path+"/{id}"
	return []wire.Route{
		{Method: "GET", Path: all, Policy: wire.Allow(wire.Reader, "get_policy_dscp_marking_rule"), Handler: a.listMarks},
		{Method: "POST", Path: all, Policy: wire.Allow(wire.Member, "create_policy_dscp_marking_rule"), Handler: a.createMark},
		{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_policy_dscp_marking_rule"), Handler: a.showMark},
		{Method: "PUT", Path: one, Policy: wire.Allow(wire.Member, "update_policy_dscp_marking_rule"), Handler: a.updateMark},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Member, "delete_policy_dscp_marking_rule"), Handler: a.removeMark},
	}
}

func renderMark(m cloud.DSCPMark) wire.M { return wire.M{"id": m.ID, "dscp_mark": m.Mark} }

// readMark reads the mark of a rule; nil if the body has none.
func readMark(b *body) (*int, error) {
	mark := b.whole("dscp_mark")
	if b.has("dscp_mark") && (mark == nil || !slices.Contains(network.DSCPMarks, *mark)) {
		b.fail("dscp_mark", "'%v' is not in %v", b.members["dscp_mark"], network.DSCPMarks)
	}
	return mark, b.err
}

func (a *api) listMarks(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(markKind, q); err != nil {
		return nil, err
	}
	p, err := a.svc.GetQoSPolicy(r.Context(), r.Caller, r.PathValue("policy"))
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(p.Marks))
	for i, m := range p.Marks {
		items[i] = renderMark(m)
	}
	return answerList(r, markKind, q, items)
}

func (a *api) createMark(r *wire.Request) (*wire.Response, error) {
	bodies, bulk, err := decode(r, markKind)
	if err != nil {
		return nil, err
	}
	if bulk {
		return nil, badRequest("Bulk operation not supported")
	}
	mark, err := readMark(bodies[0])
	if err != nil {
		return nil, err
	}
	m, err := a.svc.CreateMark(r.Context(), r.Caller, r.PathValue("policy"), value(mark))
	if err != nil {
		return nil, err
	}
	return wire.Created(wire.M{markKind.name: renderMark(m)}), nil
}

func (a *api) showMark(r *wire.Request) (*wire.Response, error) {
	m, err := a.svc.GetMark(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{markKind.name: wire.Select(renderMark(m), wire.Fields(r.URL.Query()))}), nil
}

func (a *api) updateMark(r *wire.Request) (*wire.Response, error) {
	b, err := decodeUpdate(r, markKind)
	if err != nil {
		return nil, err
	}
	mark, err := readMark(b)
	if err != nil {
		return nil, err
	}
	m, err := a.svc.UpdateMark(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id"), mark)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{markKind.name: renderMark(m)}), nil
}

func (a *api) removeMark(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.DeleteMark(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}
