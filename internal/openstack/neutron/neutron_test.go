package neutron_test

import (
	"encoding/json"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/neutron"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

type lab struct {
	t                 *testing.T
	admin, alice, bob *wiretest.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	svc := network.New(st, cloud.NewFakeClock(), network.Options{PhysicalNetworks: []string{"public"}})
	c := wiretest.New(t, neutron.New(svc))
	return &lab{t, c.As(wiretest.Admin("padmin")), c.As(wiretest.Member("pa")), c.As(wiretest.Member("pb"))}
}

// do sends a request and wants a status; it gives the body as an object.
func do(t *testing.T, c *wiretest.Client, method, path string, body any, status int) wire.M {
	t.Helper()
	r := c.Do(method, "/network/v2.0"+path, body)
	if r.Status != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, r.Status, status, r.Body)
	}
	out := wire.M{}
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, r.Body)
		}
	}
	return out
}

// refused sends a request that must fail with a status and a NeutronError type.
func refused(t *testing.T, c *wiretest.Client, method, path string, body any, status int, typ string) string {
	t.Helper()
	fault, _ := do(t, c, method, path, body, status)["NeutronError"].(wire.M)
	if fault["type"] != typ {
		t.Fatalf("%s %s: %v, want %s", method, path, fault, typ)
	}
	return fault["message"].(string)
}

func in(m wire.M, path ...string) any {
	var v any = m
	for _, p := range path {
		v = v.(wire.M)[p]
	}
	return v
}

func str(m wire.M, path ...string) string { s, _ := in(m, path...).(string); return s }

func (l *lab) network(c *wiretest.Client, body wire.M) string {
	l.t.Helper()
	return str(do(l.t, c, "POST", "/networks", wire.M{"network": body}, 201), "network", "id")
}

func (l *lab) subnet(c *wiretest.Client, net, cidr string, more wire.M) string {
	l.t.Helper()
	body := wire.M{"network_id": net, "cidr": cidr, "ip_version": 4}
	for k, v := range more {
		body[k] = v
	}
	return str(do(l.t, c, "POST", "/subnets", wire.M{"subnet": body}, 201), "subnet", "id")
}
