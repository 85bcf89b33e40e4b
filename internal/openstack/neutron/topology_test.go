package neutron_test

import (
	"testing"

	"hearth/internal/openstack/wire"
)

func TestARevisionThatIsNoMore(t *testing.T) {
	l := newLab(t)
	n := do(t, l.alice, "POST", "/networks", wire.M{"network": wire.M{"name": "n"}}, 201)
	path := "/networks/" + in(n, "network", "id").(string)
	rename := wire.M{"network": wire.M{"name": "m"}}
	refused(t, l.alice.With("If-Match", "revision_number=7"), "PUT", path, rename, 412, "RevisionNumberConstraintFailed")
	do(t, l.alice.With("If-Match", "revision_number=1"), "PUT", path, rename, 200)
	refused(t, l.alice.With("If-Match", "revision_number=1"), "DELETE", path, nil, 412, "RevisionNumberConstraintFailed")
	do(t, l.alice.With("If-Match", "revision_number=x"), "DELETE", path, nil, 400)
	do(t, l.alice.With("If-Match", "revision_number=1, revision_number=2"), "DELETE", path, nil, 400)
	do(t, l.alice.With("If-Match", "revision_number=1"), "DELETE", "/networks/9155c039-00db-48e3-9bfb-de879c378e41", nil, 404)
	do(t, l.alice.With("If-Match", "revision_number=2"), "DELETE", path, nil, 204)
}

func TestAutoAllocatedTopology(t *testing.T) {
	l := newLab(t)
	const path = "/auto-allocated-topology/"
	refused(t, l.alice, "GET", path+"pa", nil, 409, "AutoAllocationFailure")
	ext := do(t, l.admin, "POST", "/networks", wire.M{"network": wire.M{"name": "public", "router:external": true, "is_default": true}}, 201)
	do(t, l.admin, "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": in(ext, "network", "id"), "ip_version": 4, "cidr": "172.24.4.0/24"}}, 201)
	refused(t, l.alice, "GET", path+"pa?fields=dry-run", nil, 409, "AutoAllocationFailure")
	do(t, l.admin, "POST", "/subnetpools", wire.M{"subnetpool": wire.M{"name": "p", "prefixes": []string{"10.9.0.0/16"}, "default_prefixlen": 24, "is_default": true, "shared": true}}, 201)
	if got := do(t, l.alice, "GET", path+"None?fields=dry-run", nil, 200); in(got, "auto_allocated_topology", "id") != "dry-run=pass" {
		t.Errorf("%v", got)
	}
	do(t, l.bob, "GET", path+"pa", nil, 403)
	id := in(do(t, l.alice, "GET", path+"pa", nil, 200), "auto_allocated_topology", "id").(string)
	if again := do(t, l.alice, "GET", path+"pa", nil, 200); in(again, "auto_allocated_topology", "id") != id {
		t.Errorf("another network the second time: %v", again)
	}
	n := do(t, l.alice, "GET", "/networks/"+id, nil, 200)
	if in(n, "network", "name") != "auto_allocated_network" || len(in(n, "network", "subnets").([]any)) != 1 {
		t.Errorf("%v", n)
	}
	do(t, l.alice, "DELETE", path+"pa", nil, 204)
	do(t, l.alice, "DELETE", path+"pa", nil, 204)
	do(t, l.alice, "GET", "/networks/"+id, nil, 404)
	if left := do(t, l.alice, "GET", "/routers", nil, 200); len(in(left, "routers").([]any)) != 0 {
		t.Errorf("%v", left)
	}
}
