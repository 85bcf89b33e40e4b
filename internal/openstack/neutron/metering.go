package neutron

import (
	"net/http"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var (
	labelKind     = kind{"metering_label", "metering_labels", "/metering/metering-labels", plain("name=cfs description=cfs shared=cfs")}
	meterRuleKind = kind{"metering_label_rule", "metering_label_rules", "/metering/metering-label-rules", plain("metering_label_id=rfs direction=rfs " +
		"excluded=cfs remote_ip_prefix=cfs source_ip_prefix=cfs destination_ip_prefix=cfs")}
)

// meteringRoutes are the routes of metering: labels are an admin's to make, and
// their project's to read.
func (a *api) meteringRoutes() []wire.Route {
	routes := slices.Concat(a.labels().routes(), a.meterRules().routes())
	for i := range routes {
		if routes[i].Method != http.MethodGet {
			routes[i].Policy.Rule = wire.Admin
		}
	}
	return routes
}

func (a *api) labels() crud[cloud.MeteringLabel] {
	return crud[cloud.MeteringLabel]{
		kind: labelKind, render: renderLabel,
		create: func(r *wire.Request, bodies []*body) ([]cloud.MeteringLabel, error) {
			reqs, err := requests(bodies, func(b *body) network.LabelCreate {
				return network.LabelCreate{
					ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")), Shared: value(b.flag("shared")),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateLabels(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.MeteringLabel, error) {
			return a.svc.ListLabels(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.MeteringLabel, error) {
			return a.svc.GetLabel(r.Context(), r.Caller, id)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteLabel(r.Context(), r.Caller, id) },
	}
}

func renderLabel(_ *wire.Request, v cloud.MeteringLabel) wire.M {
	return wire.M{"id": v.ID, "name": v.Name, "description": v.Description, "shared": v.Shared, "tenant_id": v.ProjectID, "project_id": v.ProjectID}
}

func (a *api) meterRules() crud[cloud.MeteringRule] {
	return crud[cloud.MeteringRule]{
		kind: meterRuleKind, render: renderMeterRule,
		create: func(r *wire.Request, bodies []*body) ([]cloud.MeteringRule, error) {
			reqs, err := requests(bodies, readMeterRule)
			if err != nil {
				return nil, err
			}
			return a.svc.CreateMeterRules(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.MeteringRule, error) {
			return a.svc.ListMeterRules(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.MeteringRule, error) {
			return a.svc.GetMeterRule(r.Context(), r.Caller, id)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteMeterRule(r.Context(), r.Caller, id) },
	}
}

func readMeterRule(b *body) network.MeterRuleCreate {
	req := network.MeterRuleCreate{
		LabelID: value(b.id("metering_label_id")), Direction: value(b.text("direction")), Excluded: value(b.flag("excluded")),
	}
	if d := req.Direction; d != cloud.Ingress && d != cloud.Egress {
		b.fail("direction", "'%s' is not in ['ingress', 'egress']", d)
	}
	for name, to := range map[string]*netip.Prefix{"remote_ip_prefix": &req.Remote, "source_ip_prefix": &req.Source, "destination_ip_prefix": &req.Destination} {
		if v, given := b.get(name); given {
			*to = b.prefix(name, v)
		}
	}
	return req
}

func renderMeterRule(_ *wire.Request, v cloud.MeteringRule) wire.M {
	text := func(p netip.Prefix) any {
		if !p.IsValid() {
			return nil
		}
		return p.String()
	}
	return wire.M{
		"id": v.ID, "metering_label_id": v.LabelID, "direction": v.Direction, "excluded": v.Excluded, "remote_ip_prefix": text(v.Remote),
		"source_ip_prefix": text(v.Source), "destination_ip_prefix": text(v.Destination),
	}
}
