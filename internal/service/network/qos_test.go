package network_test

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

func TestQoSPolicies(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	p := must(h.CreateQoSPolicies(h.ctx, admin, network.QoSCreate{Name: "slow"}))(t)[0]
	l := must(h.CreateLimit(h.ctx, admin, p.ID, network.LimitChange{Kbps: ref(1000)}))(t)
	if l.Direction != cloud.Egress {
		t.Errorf("a limit without a direction is %s", l.Direction)
	}
	_, err := h.CreateLimit(h.ctx, admin, p.ID, network.LimitChange{Kbps: ref(2000)})
	refused(t, err, cloud.Conflict, "QoSRulesConflict")
	_, err = h.CreateLimit(h.ctx, admin, p.ID, network.LimitChange{Direction: ref(cloud.Ingress)})
	refused(t, err, cloud.Invalid, "BadRequest")
	_, err = h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID, QoSPolicyID: p.ID})
	refused(t, err, cloud.NotFound, "QosPolicyNotFound")
	must(h.CreateRBACPolicies(h.ctx, admin, network.RBACCreate{ObjectType: "qos_policy", ObjectID: p.ID, Action: cloud.AccessShared, Target: "pa"}))(t)
	port := h.port(network.PortCreate{NetworkID: n.ID, QoSPolicyID: p.ID})
	refused(t, h.DeleteQoSPolicy(h.ctx, admin, p.ID), cloud.Conflict, "QosPolicyInUse")
	_, err = h.UpdateLimit(h.ctx, alice, p.ID, l.ID, network.LimitChange{Kbps: ref(9)})
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
	if l = must(h.UpdateLimit(h.ctx, admin, p.ID, l.ID, network.LimitChange{Kbps: ref(500)}))(t); l.Kbps != 500 {
		t.Errorf("the limit is %+v", l)
	}
	must(h.UpdatePort(h.ctx, alice, port.ID, network.PortUpdate{QoSPolicyID: ref("")}))(t)
	if err := h.DeleteLimit(h.ctx, admin, p.ID, l.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, h.DeleteLimit(h.ctx, admin, p.ID, l.ID), cloud.NotFound, "QosRuleNotFound")
	if err := h.DeleteQoSPolicy(h.ctx, admin, p.ID); err != nil {
		t.Fatal(err)
	}
}

func TestDefaultQoSIsForNewNetworks(t *testing.T) {
	h := newHouse(t)
	p := must(h.CreateQoSPolicies(h.ctx, admin, network.QoSCreate{ProjectID: "pa", Name: "d", IsDefault: true}))(t)[0]
	_, err := h.CreateQoSPolicies(h.ctx, admin, network.QoSCreate{ProjectID: "pa", Name: "e", IsDefault: true})
	refused(t, err, cloud.Conflict, "QoSPolicyDefaultAlreadyExists")
	n, _ := h.network()
	if n.QoSPolicyID != p.ID {
		t.Errorf("the network has policy %q", n.QoSPolicyID)
	}
	refused(t, h.DeleteQoSPolicy(h.ctx, admin, p.ID), cloud.Conflict, "QosPolicyInUse")
}

func TestMarks(t *testing.T) {
	h := newHouse(t)
	p := must(h.CreateQoSPolicies(h.ctx, admin, network.QoSCreate{Name: "voice"}))(t)[0]
	m := must(h.CreateMark(h.ctx, admin, p.ID, 46))(t)
	_, err := h.CreateMark(h.ctx, admin, p.ID, 8)
	refused(t, err, cloud.Conflict, "QoSRulesConflict")
	_, err = h.CreateMark(h.ctx, alice, p.ID, 8)
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
	if m = must(h.UpdateMark(h.ctx, admin, p.ID, m.ID, ref(8)))(t); m.Mark != 8 {
		t.Errorf("the mark is %+v", m)
	}
	if got := must(h.GetMark(h.ctx, admin, p.ID, m.ID))(t); got != m {
		t.Errorf("the mark is %+v", got)
	}
	if err := h.DeleteMark(h.ctx, admin, p.ID, m.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, h.DeleteMark(h.ctx, admin, p.ID, m.ID), cloud.NotFound, "QosRuleNotFound")
}
