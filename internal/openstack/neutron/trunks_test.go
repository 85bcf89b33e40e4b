package neutron_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/openstack/wire"
)

func TestTrunk(t *testing.T) {
	l := newLab(t)
	port := func() string {
		body := wire.M{"port": wire.M{"network_id": l.network(l.alice, wire.M{"name": "n"})}}
		return str(do(t, l.alice, "POST", "/ports", body, 201), "port", "id")
	}
	parent, one, two := port(), port(), port()
	sub := func(id string, vlan any) wire.M {
		return wire.M{"port_id": id, "segmentation_type": "vlan", "segmentation_id": vlan}
	}
	trunk := do(t, l.alice, "POST", "/trunks", wire.M{"trunk": wire.M{"port_id": parent, "sub_ports": []wire.M{sub(one, 100)}}}, 201)
	id := str(trunk, "trunk", "id")
	for _, subs := range []any{
		[]wire.M{sub(two, 100), sub(port(), 100)}, []wire.M{sub(two, 1), sub(two, 2)}, sub(two, 1), []wire.M{{"port_id": two, "segmentation_type": "vlan"}},
		[]wire.M{{"segmentation_type": "vlan", "segmentation_id": 1}}, []wire.M{sub(two, "many")}, []any{"x"},
	} {
		do(t, l.alice, "PUT", "/trunks/"+id+"/add_subports", wire.M{"sub_ports": subs}, 400)
	}
	do(t, l.alice, "PUT", "/trunks/"+id+"/add_subports", wire.M{}, 400)
	after := do(t, l.alice, "PUT", "/trunks/"+id+"/add_subports", wire.M{"sub_ports": []wire.M{sub(two, "200")}}, 200)
	if after["id"] != id || len(after["sub_ports"].([]any)) != 2 || after["status"] != "DOWN" {
		t.Errorf("the trunk is %v", after)
	}
	mac := str(do(t, l.alice, "GET", "/ports/"+one, nil, 200), "port", "mac_address")
	details := in(do(t, l.alice, "GET", "/ports/"+parent, nil, 200), "port", "trunk_details").(wire.M)
	want := wire.M{"port_id": one, "segmentation_type": "vlan", "segmentation_id": float64(100), "mac_address": mac}
	if diff := cmp.Diff(want, details["sub_ports"].([]any)[0]); diff != "" || details["trunk_id"] != id {
		t.Errorf("details: %v, %s", details, diff)
	}
	do(t, l.bob, "GET", "/trunks/"+id, nil, 404)
	do(t, l.alice, "PUT", "/trunks/"+id+"/remove_subports", wire.M{"sub_ports": []wire.M{{"port_id": one}}}, 200)
	if left := do(t, l.alice, "GET", "/trunks/"+id+"/get_subports", nil, 200)["sub_ports"].([]any); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
	do(t, l.alice, "DELETE", "/trunks/"+id, nil, 204)
	if _, still := do(t, l.alice, "GET", "/ports/"+parent, nil, 200)["port"].(wire.M)["trunk_details"]; still {
		t.Error("the port tells of a trunk that is gone")
	}
}

func TestMetering(t *testing.T) {
	l := newLab(t)
	do(t, l.alice, "POST", "/metering/metering-labels", wire.M{"metering_label": wire.M{"name": "x"}}, 403)
	made := do(t, l.admin, "POST", "/metering/metering-labels", wire.M{"metering_label": wire.M{"name": "web", "tenant_id": "pa"}}, 201)
	label := str(made, "metering_label", "id")
	do(t, l.alice, "GET", "/metering/metering-labels/"+label, nil, 200)
	do(t, l.bob, "GET", "/metering/metering-labels/"+label, nil, 404)
	rule := func(more wire.M) wire.M {
		body := wire.M{"metering_label_id": label, "direction": "ingress"}
		for k, v := range more {
			body[k] = v
		}
		return wire.M{"metering_label_rule": body}
	}
	path := "/metering/metering-label-rules"
	got := do(t, l.admin, "POST", path, rule(wire.M{"remote_ip_prefix": "10.0.0.0/24"}), 201)
	id := str(got, "metering_label_rule", "id")
	refused(t, l.admin, "POST", path, rule(wire.M{"remote_ip_prefix": "10.0.0.128/25"}), 409, "MeteringLabelRuleOverlaps")
	refused(t, l.admin, "POST", path, rule(nil), 400, "Invalid")
	refused(t, l.admin, "POST", path, rule(wire.M{"remote_ip_prefix": "10.0.0.0/8", "source_ip_prefix": "10.0.0.0/8"}), 400, "Invalid")
	do(t, l.admin, "POST", path, rule(wire.M{"source_ip_prefix": "10.0.0.0/8", "destination_ip_prefix": "0.0.0.0/0", "direction": "egress"}), 201)
	do(t, l.admin, "POST", path, rule(wire.M{"direction": "sideways", "remote_ip_prefix": "10.0.0.0/8"}), 400)
	if list := do(t, l.alice, "GET", path+"?direction=egress", nil, 200)["metering_label_rules"].([]any); len(list) != 1 {
		t.Errorf("rules %v", list)
	}
	do(t, l.bob, "GET", path+"/"+id, nil, 404)
	do(t, l.admin, "DELETE", "/metering/metering-labels/"+label, nil, 204)
	do(t, l.admin, "GET", path+"/"+id, nil, 404)
}
