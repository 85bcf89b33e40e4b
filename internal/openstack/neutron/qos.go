package neutron

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var (
	qosKind   = kind{"policy", "policies", "/qos/policies", attributes("name=rufs shared=cufs is_default=cufs rules=")}
	limitKind = kind{"bandwidth_limit_rule", "bandwidth_limit_rules", "/qos/policies/{policy}/bandwidth_limit_rules", plain("max_kbps=rufs max_burst_kbps=cufs direction=cufs")}
	typeKind  = kind{"rule_type", "rule_types", "/qos/rule-types", plain("type=fs all_supported=fh all_rules=fh")}
)

// limitType is the type of rule that bounds bandwidth.
const limitType = "bandwidth_limit"

func (a *api) qosPolicies() crud[cloud.QoSPolicy] {
	return crud[cloud.QoSPolicy]{
		kind: qosKind, render: renderQoS,
		create: func(r *wire.Request, bodies []*body) ([]cloud.QoSPolicy, error) {
			reqs, err := requests(bodies, func(b *body) network.QoSCreate {
				return network.QoSCreate{
					ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")),
					Shared: value(b.flag("shared")), IsDefault: value(b.flag("is_default")),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateQoSPolicies(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.QoSPolicy, error) {
			return a.svc.ListQoSPolicies(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.QoSPolicy, error) {
			return a.svc.GetQoSPolicy(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (cloud.QoSPolicy, error) {
			req := network.QoSUpdate{Name: b.text("name"), Description: b.text("description"), Shared: b.flag("shared"), IsDefault: b.flag("is_default")}
			if b.err != nil {
				return cloud.QoSPolicy{}, b.err
			}
			return a.svc.UpdateQoSPolicy(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteQoSPolicy(r.Context(), r.Caller, id) },
	}
}

// qosRoutes are the routes of QoS: policies are an admin's to make, and anybody's
// to use that they are shared with. The service refuses others, because what they
// cannot see is not there for them.
func (a *api) qosRoutes() []wire.Route {
	routes := a.qosPolicies().routes()
	all, one := rest+limitKind.path, rest+limitKind.path+"/{id}"
	return append(
		routes,
		wire.Route{Method: "GET", Path: all, Policy: wire.Allow(wire.Reader, "get_policy_bandwidth_limit_rule"), Handler: a.listLimits},
		wire.Route{Method: "POST", Path: all, Policy: wire.Allow(wire.Member, "create_policy_bandwidth_limit_rule"), Handler: a.createLimit},
		wire.Route{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_policy_bandwidth_limit_rule"), Handler: a.showLimit},
		wire.Route{Method: "PUT", Path: one, Policy: wire.Allow(wire.Member, "update_policy_bandwidth_limit_rule"), Handler: a.updateLimit},
		wire.Route{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Member, "delete_policy_bandwidth_limit_rule"), Handler: a.removeLimit},
		wire.Route{Method: "GET", Path: rest + typeKind.path, Policy: wire.Allow(wire.Reader, "get_rule_type"), Handler: listRuleTypes},
		wire.Route{Method: "GET", Path: rest + typeKind.path + "/{type}", Policy: wire.Allow(wire.Admin, "get_rule_type"), Handler: showRuleType},
	)
}

func renderQoS(_ *wire.Request, p cloud.QoSPolicy) wire.M {
	rules := make([]wire.M, len(p.Limits))
	for i, l := range p.Limits {
		rules[i] = renderLimit(l)
		rules[i]["type"], rules[i]["qos_policy_id"] = limitType, p.ID
	}
	for _, mark := range p.Marks {
		rule := renderMark(mark)
		rule["type"], rule["qos_policy_id"] = markType, p.ID
		rules = append(rules, rule)
	}
	m := wire.M{
		"id": p.ID, "name": p.Name, "tenant_id": p.ProjectID, "project_id": p.ProjectID, "shared": p.Shared, "is_default": p.IsDefault, "rules": rules,
	}
	return stamp(m, p.Description, p.Tags, p.CreatedAt, p.UpdatedAt, p.Revision)
}

func renderLimit(l cloud.BandwidthLimit) wire.M {
	return wire.M{"id": l.ID, "max_kbps": l.Kbps, "max_burst_kbps": l.BurstKb, "direction": l.Direction}
}

func readLimit(b *body) (network.LimitChange, error) {
	change := network.LimitChange{Direction: b.text("direction"), Kbps: b.whole("max_kbps"), BurstKb: b.whole("max_burst_kbps")}
	if d := change.Direction; d != nil && *d != cloud.Egress && *d != cloud.Ingress {
		b.fail("direction", "'%s' is not in ['egress', 'ingress']", *d)
	}
	for name, n := range map[string]*int{"max_kbps": change.Kbps, "max_burst_kbps": change.BurstKb} {
		if n != nil && (*n < 0 || *n > 0x7fffffff) {
			b.fail(name, "'%d' is not in valid range '0' through '2147483647'", *n)
		}
	}
	return change, b.err
}

func (a *api) listLimits(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(limitKind, q); err != nil {
		return nil, err
	}
	p, err := a.svc.GetQoSPolicy(r.Context(), r.Caller, r.PathValue("policy"))
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(p.Limits))
	for i, l := range p.Limits {
		items[i] = renderLimit(l)
	}
	return answerList(r, limitKind, q, items)
}

func (a *api) createLimit(r *wire.Request) (*wire.Response, error) {
	bodies, bulk, err := decode(r, limitKind)
	if err != nil {
		return nil, err
	}
	if bulk {
		return nil, badRequest("Bulk operation not supported")
	}
	change, err := readLimit(bodies[0])
	if err != nil {
		return nil, err
	}
	l, err := a.svc.CreateLimit(r.Context(), r.Caller, r.PathValue("policy"), change)
	if err != nil {
		return nil, err
	}
	return wire.Created(wire.M{limitKind.name: renderLimit(l)}), nil
}

func (a *api) showLimit(r *wire.Request) (*wire.Response, error) {
	l, err := a.svc.GetLimit(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{limitKind.name: wire.Select(renderLimit(l), wire.Fields(r.URL.Query()))}), nil
}

func (a *api) updateLimit(r *wire.Request) (*wire.Response, error) {
	b, err := decodeUpdate(r, limitKind)
	if err != nil {
		return nil, err
	}
	change, err := readLimit(b)
	if err != nil {
		return nil, err
	}
	l, err := a.svc.UpdateLimit(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id"), change)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{limitKind.name: renderLimit(l)}), nil
}

func (a *api) removeLimit(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.DeleteLimit(r.Context(), r.Caller, r.PathValue("policy"), r.PathValue("id")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}

// listRuleTypes lists the types of rules that nodes enforce, whichever of the
// filters all_supported and all_rules is set: it is the same list.
func listRuleTypes(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(typeKind, q); err != nil {
		return nil, err
	}
	q.Del("all_supported")
	q.Del("all_rules")
	return answerList(r, typeKind, q, []wire.M{{"type": limitType}, {"type": markType}})
}

// showRuleType tells what of a type of rule nodes enforce.
func showRuleType(r *wire.Request) (*wire.Response, error) {
	number := func(name string) wire.M {
		return wire.M{"parameter_name": name, "parameter_type": "range", "parameter_values": wire.M{"start": 0, "end": 0x7fffffff}}
	}
	choices := func(name string, of any) wire.M {
		return wire.M{"parameter_name": name, "parameter_type": "choices", "parameter_values": of}
	}
	name := r.PathValue("type")
	var parameters []wire.M
	switch name {
	case limitType:
		parameters = []wire.M{number("max_kbps"), number("max_burst_kbps"), choices("direction", []string{cloud.Egress, cloud.Ingress})}
	case markType:
		parameters = []wire.M{choices("dscp_mark", network.DSCPMarks)}
	default:
		return nil, cloud.E("neutron.ruleType", cloud.NotFound, "Rule type %s could not be found.", name)
	}
	drivers := []wire.M{{"name": "hearth", "supported_parameters": parameters}}
	return wire.JSON(wire.M{typeKind.name: wire.M{"type": name, "drivers": drivers}}), nil
}
