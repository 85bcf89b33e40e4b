package neutron

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

func (a *api) groups() crud[network.GroupView] {
	return crud[network.GroupView]{
		kind: groupKind, render: renderGroup,
		create: func(r *wire.Request, bodies []*body) ([]network.GroupView, error) {
			reqs, err := requests(bodies, func(b *body) network.GroupCreate {
				return network.GroupCreate{
					ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")), Stateful: b.flag("stateful"),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateGroups(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]network.GroupView, error) {
			q := r.URL.Query()
			return a.svc.ListGroups(r.Context(), r.Caller, f, q.Get("project_id")+q.Get("tenant_id"))
		},
		get: func(r *wire.Request, id string) (network.GroupView, error) {
			return a.svc.GetGroup(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (network.GroupView, error) {
			req := network.GroupUpdate{Name: b.text("name"), Description: b.text("description"), Stateful: b.flag("stateful")}
			if b.err != nil {
				return network.GroupView{}, b.err
			}
			return a.svc.UpdateGroup(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteGroup(r.Context(), r.Caller, id) },
	}
}

func renderGroup(r *wire.Request, v network.GroupView) wire.M {
	rules := make([]wire.M, len(v.Rules))
	for i, rule := range v.Rules {
		rules[i] = renderRule(r, rule)
	}
	m := wire.M{
		"id": v.ID, "name": v.Name, "stateful": v.Stateful, "tenant_id": v.ProjectID, "project_id": v.ProjectID,
		"shared": false, "security_group_rules": rules,
	}
	return stamp(m, v.Description, v.Tags, v.CreatedAt, v.UpdatedAt, v.Revision)
}

func (a *api) rules() crud[cloud.SecurityRule] {
	return crud[cloud.SecurityRule]{
		kind: ruleKind, render: renderRule,
		create: func(r *wire.Request, bodies []*body) ([]cloud.SecurityRule, error) {
			reqs, err := requests(bodies, readRule)
			if err != nil {
				return nil, err
			}
			return a.svc.CreateRules(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.SecurityRule, error) {
			return a.svc.ListRules(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.SecurityRule, error) {
			return a.svc.GetRule(r.Context(), r.Caller, id)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteRule(r.Context(), r.Caller, id) },
	}
}

func readRule(b *body) network.RuleCreate {
	req := network.RuleCreate{
		ProjectID: b.word("project_id"), GroupID: value(b.text("security_group_id")), Description: value(b.text("description")),
		Direction: b.word("direction"), Ethertype: readEthertype(b), PortMin: readPortNumber(b, "port_range_min"),
		PortMax: readPortNumber(b, "port_range_max"), RemoteGroupID: b.word("remote_group_id"), RemoteAddressGroupID: value(b.id("remote_address_group_id")),
	}
	if req.Direction != "ingress" && req.Direction != "egress" {
		b.fail("direction", "'%v' is not in ['ingress', 'egress']", b.members["direction"])
	}
	if v, ok := b.get("protocol"); ok {
		req.Protocol = fmt.Sprint(v)
		if req.Protocol == "" {
			req.Protocol = "''" // which is no protocol, and is refused as such
		}
	}
	if v, ok := b.get("remote_ip_prefix"); ok && v != "" {
		p := b.prefix("remote_ip_prefix", v)
		if b.err != nil {
			b.err = badRequest("Invalid CIDR %v given as IP prefix.", v)
		}
		req.RemotePrefix = p
	}
	return req
}

// readPortNumber reads a port, or a type or code of ICMP.
func readPortNumber(b *body, name string) *int {
	n := b.whole(name)
	if n != nil && (*n < 0 || *n > 65535) && b.err == nil {
		b.err = badRequest("Invalid input for operation: Invalid value for port %s.", strconv.Itoa(*n))
	}
	return n
}

func readEthertype(b *body) string {
	text := b.word("ethertype")
	switch strings.ToLower(text) {
	case "ipv4", "":
		return "IPv4"
	case "ipv6":
		return "IPv6"
	}
	if b.err == nil {
		b.err = badRequest("Invalid input for operation: Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", text)
	}
	return text
}

func renderRule(_ *wire.Request, rule cloud.SecurityRule) wire.M {
	m := wire.M{
		"id": rule.ID, "tenant_id": rule.ProjectID, "project_id": rule.ProjectID, "security_group_id": rule.GroupID,
		"ethertype": rule.Ethertype, "direction": rule.Direction, "protocol": null(rule.Protocol),
		"port_range_min": renderPortNumber(rule.PortMin), "port_range_max": renderPortNumber(rule.PortMax),
		"remote_ip_prefix": renderCIDR(rule.RemotePrefix), "remote_address_group_id": null(rule.RemoteAddressGroupID),
		"normalized_cidr": renderCIDR(rule.RemotePrefix.Masked()), "remote_group_id": null(rule.RemoteGroupID),
	}
	return stamp(m, rule.Description, nil, rule.CreatedAt, rule.UpdatedAt, rule.Revision)
}

func renderPortNumber(n int) any {
	if n < 0 {
		return nil
	}
	return n
}

func renderCIDR(p netip.Prefix) any {
	if !p.IsValid() {
		return nil
	}
	return p.String()
}
