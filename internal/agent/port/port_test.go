package port

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/network/fake"
)

// example is a network whose one guest has the loopback's address, so that it
// can ask the servers on a fake driver.
func example() (cloud.NetworkSpec, cloud.InstanceSpec) {
	instance := cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm1", Hostname: "vm1", ProjectID: "p1"}
	subnet := cloud.SubnetSpec{ID: cloud.NewID(), CIDR: netip.MustParsePrefix("127.0.0.0/24"), Gateway: netip.MustParseAddr("127.0.0.254"), DHCP: true}
	return cloud.NetworkSpec{
		ID: cloud.NewID(), MTU: 1450, Generation: 3, Subnets: []cloud.SubnetSpec{subnet},
		DHCP:  &cloud.ServicePort{PortID: cloud.NewID(), MAC: "fa:16:3e:00:00:02", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/24")}},
		Ports: []cloud.PortSpec{{ID: cloud.NewID(), InstanceID: instance.ID, MAC: "fa:16:3e:00:00:0b", AdminUp: true, Security: true, Hostname: "vm1", Addresses: []cloud.FixedIP{{SubnetID: subnet.ID, IP: netip.MustParseAddr("127.0.0.1")}}}},
	}, instance
}

func router(n cloud.NetworkSpec) cloud.RouterSpec {
	return cloud.RouterSpec{ID: cloud.NewID(), Generation: 7, AdminUp: true, Interfaces: []cloud.RouterPort{{
		PortID: cloud.NewID(), NetworkID: n.ID, MAC: "fa:16:3e:00:00:01", MTU: 1450, Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.254/24")},
	}}}
}

func open(t *testing.T, dir string, d *fake.Driver, known ...cloud.InstanceSpec) *Manager {
	t.Helper()
	find := func(id string) (cloud.InstanceSpec, bool) {
		for _, i := range known {
			if i.ID == id {
				return i, true
			}
		}
		return cloud.InstanceSpec{}, false
	}
	m, err := New(dir, d, find, Options{Clock: cloud.NewFakeClock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ok(t, err)
	return resp.StatusCode, string(body)
}

const web = "169.254.169.254:80"

func TestServesAndRecovers(t *testing.T) {
	ctx, dir, driver := context.Background(), t.TempDir(), fake.New()
	spec, instance := example()
	r := router(spec)
	m := open(t, dir, driver, instance)
	ok(t, m.ApplyNetwork(ctx, spec))
	ok(t, m.ApplyRouter(ctx, r))
	for _, place := range []string{"service:" + spec.ID, "router:" + r.ID} {
		code, body := get(t, driver.Address(place, "tcp4", web), "/openstack/latest/meta_data.json")
		if code != 200 || !strings.Contains(body, instance.ID) {
			t.Errorf("%s: %d %s", place, code, body)
		}
	}
	ok(t, m.Close())
	if got := m.Status(); len(got.Networks) != 0 {
		t.Errorf("a closed manager serves %v", got)
	}

	// The agent starts again, with the host's data plane gone and no head.
	driver = fake.New()
	ok(t, os.WriteFile(filepath.Join(dir, kindNetwork, ".new-1"), []byte("{"), 0o600))
	m = open(t, dir, driver, instance)
	ok(t, m.Recover(ctx))
	if code, _ := get(t, driver.Address("service:"+spec.ID, "tcp4", web), "/latest/meta-data/instance-id"); code != 200 {
		t.Errorf("after recovery: %d", code)
	}
	status := m.Status()
	if status.Networks[spec.ID] != 3 || status.Routers[r.ID] != 7 || status.Ports[spec.Ports[0].ID] {
		t.Errorf("status %+v", status)
	}
	tap, err := m.Plug(ctx, spec.ID, spec.Ports[0].ID)
	ok(t, err)
	defer tap.Close()
	if !m.Status().Ports[spec.Ports[0].ID] {
		t.Error("a plugged port is not up")
	}
	ok(t, m.Unplug(ctx, spec.ID, spec.Ports[0].ID))
	if m.Status().Ports[spec.Ports[0].ID] {
		t.Error("an unplugged port is up")
	}
	ok(t, m.RemoveRouter(ctx, r.ID))
	ok(t, m.RemoveNetwork(ctx, spec.ID))
	ok(t, m.RemoveNetwork(ctx, spec.ID))
	for _, kind := range []string{kindNetwork, kindRouter} {
		left, err := os.ReadDir(filepath.Join(dir, kind))
		if err != nil || len(left) != 0 {
			t.Errorf("left over: %v %v", left, err)
		}
	}
}

func TestUpdatesRunningServers(t *testing.T) {
	ctx, driver := context.Background(), fake.New()
	spec, instance := example()
	m := open(t, t.TempDir(), driver, instance)
	ok(t, m.ApplyNetwork(ctx, spec))
	place := "service:" + spec.ID
	before := driver.Address(place, "tcp4", web)
	port := spec.Ports[0]
	spec.Ports = nil
	ok(t, m.ApplyNetwork(ctx, spec))
	if driver.Address(place, "tcp4", web) != before {
		t.Error("the server was started anew")
	}
	if code, _ := get(t, before, "/latest/meta-data/instance-id"); code != 404 {
		t.Errorf("a port that is gone is told %d", code)
	}
	spec.Ports = []cloud.PortSpec{port}
	service := *spec.DHCP
	service.MAC, spec.DHCP = "fa:16:3e:00:00:03", &service
	ok(t, m.ApplyNetwork(ctx, spec))
	if driver.Address(place, "tcp4", web) == before {
		t.Error("the server is still on the old interface")
	}
	spec.DHCP = nil
	ok(t, m.ApplyNetwork(ctx, spec))
	facts, err := m.Explain(ctx, "network", spec.ID)
	ok(t, err)
	if len(facts) < 3 {
		t.Errorf("facts %v", facts)
	}
}

func TestRouterRejoinsNetwork(t *testing.T) {
	ctx, driver := context.Background(), fake.New()
	spec, instance := example()
	r := router(spec)
	m := open(t, t.TempDir(), driver, instance)
	if err := m.ApplyRouter(ctx, r); !cloud.Is(err, cloud.NotFound) {
		t.Fatalf("router before its network: %v", err)
	}
	ok(t, m.ApplyNetwork(ctx, spec))
	ok(t, m.ApplyRouter(ctx, r))
	ok(t, m.RemoveNetwork(ctx, spec.ID))
	place := "router:" + r.ID
	if code, _ := get(t, driver.Address(place, "tcp4", web), "/latest/meta-data/instance-id"); code != 404 {
		t.Errorf("without its network: %d", code)
	}
	ok(t, m.ApplyNetwork(ctx, spec))
	if code, _ := get(t, driver.Address(place, "tcp4", web), "/latest/meta-data/instance-id"); code != 200 {
		t.Errorf("with its network again: %d", code)
	}
}

func TestRecoverReportsBrokenFiles(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	spec, instance := example()
	m := open(t, dir, fake.New(), instance)
	ok(t, m.ApplyNetwork(ctx, spec))
	ok(t, os.WriteFile(filepath.Join(dir, kindNetwork, cloud.NewID()+".json"), []byte("{"), 0o600))
	again := open(t, dir, fake.New(), instance)
	if err := again.Recover(ctx); err == nil {
		t.Error("a broken file is not reported")
	}
	if again.Status().Networks[spec.ID] != 3 {
		t.Error("a broken file keeps the others from being served")
	}
	if err := again.ApplyNetwork(ctx, cloud.NetworkSpec{ID: "../x"}); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("odd id: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	m := open(t, t.TempDir(), fake.New())
	id := cloud.NewID()
	ok(t, m.files.SetPassword(id, "c2VjcmV0"))
	if err := m.files.SetPassword(id, "other"); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("set twice: %v", err)
	}
	if got := m.Password(id); got != "c2VjcmV0" {
		t.Errorf("got %q", got)
	}
	ok(t, m.Forget(id))
	if m.Password(id) != "" {
		t.Error("not forgotten")
	}
}

func TestAdvertised(t *testing.T) {
	spec, _ := example()
	v6 := cloud.SubnetSpec{CIDR: netip.MustParsePrefix("2001:db8::/64"), DHCP: true, RAMode: "slaac", AddressMode: "slaac"}
	for name, c := range map[string]struct {
		spoil func(*cloud.SubnetSpec)
		want  int
	}{
		"no router":  {func(*cloud.SubnetSpec) {}, 1},
		"routed":     {func(s *cloud.SubnetSpec) { s.Routed = true }, 0},
		"no mode":    {func(s *cloud.SubnetSpec) { s.RAMode, s.AddressMode = "", "" }, 0},
		"other's RA": {func(s *cloud.SubnetSpec) { s.RAMode = "" }, 1},
	} {
		subnet := v6
		c.spoil(&subnet)
		spec.Subnets = []cloud.SubnetSpec{subnet}
		if got := len(advertised(spec)); got != c.want {
			t.Errorf("%s: %d prefixes", name, got)
		}
	}
}
