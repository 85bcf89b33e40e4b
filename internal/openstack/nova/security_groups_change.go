package nova

import (
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// groupText is the body of a create or change of a group.
type groupText struct {
	Group struct {
		Name        string
		Description *string
	} `json:"security_group"`
}

func (a *api) createGroup(r *wire.Request) (*wire.Response, error) {
	var in groupText
	if err := a.schemas.decode(r, "security_groups.json#/group", &in); err != nil {
		return nil, err
	}
	return a.groupAnswer(r)(a.svc.CreateGroup(r.Context(), r.Caller, in.Group.Name, orBlank(in.Group.Description)))
}

func (a *api) updateGroup(r *wire.Request) (*wire.Response, error) {
	var in groupText
	if err := a.schemas.decode(r, "security_groups.json#/group", &in); err != nil {
		return nil, err
	}
	return a.groupAnswer(r)(a.svc.UpdateGroup(r.Context(), r.Caller, r.PathValue("id"), in.Group.Name, orBlank(in.Group.Description)))
}

func (a *api) deleteGroup(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteGroup(r.Context(), r.Caller, r.PathValue("id"))
}

// deleteNoGroup is a delete that names no group: nova finds no such resource.
func (a *api) deleteNoGroup(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.deleteGroup", cloud.NotFound, "The resource could not be found: name a security group by its id.")
}

func (a *api) createRule(r *wire.Request) (*wire.Response, error) {
	const op = "nova.createRule"
	var in struct {
		Rule struct {
			Parent   string             `json:"parent_group_id"`
			Protocol *string            `json:"ip_protocol"`
			From     wire.Opt[wire.Int] `json:"from_port"`
			To       wire.Opt[wire.Int] `json:"to_port"`
			CIDR     *string
			Group    *string `json:"group_id"`
		} `json:"security_group_rule"`
	}
	if err := a.schemas.decode(r, "security_groups.json#/rule", &in); err != nil {
		return nil, err
	}
	v := in.Rule
	ask := network.RuleCreate{GroupID: v.Parent, Protocol: orBlank(v.Protocol), RemoteGroupID: orBlank(v.Group), Ethertype: "IPv4"}
	for _, p := range []struct {
		from int
		to   **int
	}{{int(v.From.Or(-1)), &ask.PortMin}, {int(v.To.Or(-1)), &ask.PortMax}} {
		if p.from >= 0 {
			*p.to = &p.from
		}
		if p.from > 65535 {
			return nil, cloud.E(op, cloud.Invalid, "Invalid port number %d: ports are 0 to 65535", p.from)
		}
	}
	if !cloud.IsID(v.Parent) {
		return nil, cloud.E(op, cloud.Invalid, "Security group id is not uuid: %s", v.Parent)
	}
	if err := remotePrefix(orBlank(v.CIDR), &ask); err != nil {
		return nil, err
	}
	rule, err := a.svc.CreateRule(r.Context(), r.Caller, ask)
	if err != nil {
		return nil, err
	}
	groups, err := a.svc.SecurityGroups(r.Context(), r.Caller, false)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"security_group_rule": ruleView(rule, r.Caller.ProjectID, groupNames(groups))}), nil
}

// remotePrefix reads where traffic may come from; a rule without a group and a
// prefix is for all of IPv4.
func remotePrefix(cidr string, ask *network.RuleCreate) error {
	if cidr == "" {
		return nil
	}
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return cloud.E("nova.createRule", cloud.Invalid, "Invalid cidr %s", cidr)
	}
	ask.RemotePrefix = p
	if p.Addr().Is6() {
		ask.Ethertype = "IPv6"
	}
	return nil
}

func (a *api) deleteRule(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteRule(r.Context(), r.Caller, r.PathValue("id"))
}

// orBlank is "" for nil.
func orBlank(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
