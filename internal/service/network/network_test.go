package network_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

var (
	admin = caller("padmin", cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader)
	alice = caller("pa", cloud.RoleMember, cloud.RoleReader)
	bob   = caller("pb", cloud.RoleMember, cloud.RoleReader)
)

func caller(project string, roles ...string) cloud.Caller {
	return cloud.Caller{UserID: "u-" + project, ProjectID: project, Roles: roles}
}

// house is a service over an empty database.
type house struct {
	*network.Service
	t     *testing.T
	ctx   context.Context
	store *store.Store
}

func newHouse(t *testing.T) *house {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return &house{network.New(st, cloud.NewFakeClock(), network.Options{}), t, t.Context(), st}
}

// must ends the test for an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused wants an error of neutron's name.
func refused(t *testing.T, err error, kind cloud.Kind, name string) {
	t.Helper()
	if network.ProblemName(err) != name || !cloud.Is(err, kind) {
		t.Errorf("got %v (%s), want %s", err, network.ProblemName(err), name)
	}
}

// rows counts the rows of the network service's tables.
func (h *house) rows() map[string]int {
	h.t.Helper()
	out := map[string]int{}
	err := h.store.View(h.ctx, func(tx *store.Tx) error {
		for name, count := range map[string]func(...store.Cond) (int, error){
			"networks": tx.Networks.Count, "subnets": tx.Subnets.Count, "ports": tx.Ports.Count, "addresses": tx.Allocations.Count,
			"routers": tx.Routers.Count, "floating IPs": tx.FloatingIPs.Count, "groups": tx.SecurityGroups.Count, "rules": tx.SecurityRules.Count,
		} {
			n, err := count()
			if err != nil {
				return err
			}
			if n > 0 {
				out[name] = n
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// changes runs fn and wants these differences in the counts of rows.
func (h *house) changes(want map[string]int, fn func() error) {
	h.t.Helper()
	before := h.rows()
	if err := fn(); err != nil {
		h.t.Fatal(err)
	}
	got := h.rows()
	for name, n := range before {
		got[name] -= n
	}
	maps.DeleteFunc(got, func(_ string, n int) bool { return n == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("rows changed otherwise (-want +got):\n%s", diff)
	}
}

// unchanged runs fn, wants it to be refused, and the whole database as before.
func (h *house) unchanged(kind cloud.Kind, name string, fn func() error) {
	h.t.Helper()
	before := h.dump()
	refused(h.t, fn(), kind, name)
	if diff := cmp.Diff(before, h.dump()); diff != "" {
		h.t.Errorf("a refused request changed the database (-before +after):\n%s", diff)
	}
}

func (h *house) dump() string {
	h.t.Helper()
	var all []any
	err := h.store.View(h.ctx, func(tx *store.Tx) error {
		a, err1 := tx.Networks.List(store.Query{})
		b, err2 := tx.Subnets.List(store.Query{})
		c, err3 := tx.Ports.List(store.Query{})
		d, err4 := tx.Allocations.List(store.Query{})
		e, err5 := tx.Routers.List(store.Query{})
		f, err6 := tx.FloatingIPs.List(store.Query{})
		g, err7 := tx.SecurityGroups.List(store.Query{})
		r, err8 := tx.SecurityRules.List(store.Query{})
		all = []any{a, b, c, d, e, f, g, r}
		for _, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// network makes a network of alice's with a subnet.
func (h *house) network(cidrs ...string) (cloud.Network, []cloud.Subnet) {
	h.t.Helper()
	nets := must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{Name: "n"}))(h.t)
	var subnets []cloud.Subnet
	for _, cidr := range cidrs {
		subnets = append(subnets, h.subnet(nets[0].ID, cidr, nil))
	}
	return nets[0].Network, subnets
}

func (h *house) subnet(netID, cidr string, change func(*network.SubnetCreate)) cloud.Subnet {
	h.t.Helper()
	r := network.SubnetCreate{NetworkID: netID, CIDR: netip.MustParsePrefix(cidr), IPVersion: 4}
	if r.CIDR.Addr().Is6() {
		r.IPVersion = 6
	}
	if change != nil {
		change(&r)
	}
	return must(h.CreateSubnets(h.ctx, alice, r))(h.t)[0]
}

func (h *house) port(r network.PortCreate) cloud.Port {
	h.t.Helper()
	return must(h.CreatePorts(h.ctx, alice, r))(h.t)[0]
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func ips(p cloud.Port) []string {
	out := []string{}
	for _, f := range p.FixedIPs {
		out = append(out, f.IP.String())
	}
	return out
}
