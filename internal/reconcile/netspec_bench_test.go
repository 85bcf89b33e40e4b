package reconcile

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// BenchmarkComposePlane composes the plane of a node with 1,000 guests on one
// network, as every change of a network has it composed.
func BenchmarkComposePlane(b *testing.B) {
	st := thousand(b)
	for b.Loop() {
		err := st.View(b.Context(), func(tx *store.Tx) error {
			p, err := composePlane(tx, "node-1", "cloud.local")
			if err == nil && (len(p.networks) != 1 || len(p.networks[0].Ports) != 1000 || len(p.networks[0].Names) != 1000 || p.networks[0].Names[7].Name != "guest-0007") {
				b.Fatalf("%d networks", len(p.networks))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNetworkBeside makes and deletes a network beside that plane, and has the
// node follow each time; "composed" is as it was before planes were remembered.
func BenchmarkNetworkBeside(b *testing.B) {
	for _, name := range []string{"remembered", "composed"} {
		b.Run(name, func(b *testing.B) {
			k := New(Config{Store: thousand(b), Clock: cloud.NewFakeClock(), Fleet: node.NewFleet(), Ports: portKeeper{}, Log: slog.New(slog.DiscardHandler)})
			k.Fleet.Join("node-1", &scriptedNode{})
			follow := func(change func(tx *store.Tx) error) {
				if name == "composed" {
					k.nets.of("node-1").memo = planeMemo{}
				}
				if err := firstError(k.Store.Update(b.Context(), change), k.SyncNodes(b.Context())); err != nil {
					b.Fatal(err)
				}
			}
			follow(func(*store.Tx) error { return nil })
			for b.Loop() {
				follow(func(tx *store.Tx) error { return tx.Networks.Insert(cloud.Network{ID: "other", Name: "other"}) })
				follow(func(tx *store.Tx) error { return tx.Networks.Delete("other") })
			}
		})
	}
}

// thousand is a store with 1,000 guests of a node on one network.
func thousand(b *testing.B) *store.Store {
	st, err := store.Open(b.Context(), "sqlite::memory:")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	err = st.Update(b.Context(), func(tx *store.Tx) error {
		err := firstError(
			tx.Networks.Insert(cloud.Network{ID: "net", Name: "private", MTU: 1450, AdminStateUp: true}),
			tx.Subnets.Insert(cloud.Subnet{ID: "sub", NetworkID: "net", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/16"), EnableDHCP: true}),
			tx.SecurityGroups.Insert(cloud.SecurityGroup{ID: "group", Name: "default", Stateful: true}),
			tx.SecurityRules.Insert(cloud.SecurityRule{ID: "rule", GroupID: "group", RemoteGroupID: "group"}),
		)
		for i := 0; i < 1000 && err == nil; i++ {
			id := fmt.Sprintf("guest-%04d", i)
			err = firstError(
				tx.Servers.Insert(cloud.Server{ID: id, Name: id, Hostname: id, Flavor: cloud.Flavor{ID: "1", VCPUs: 1}}),
				tx.Ports.Insert(cloud.Port{
					ID: "port-" + id, NetworkID: "net", MAC: fmt.Sprintf("fa:16:3e:00:%02x:%02x", i>>8, i&255), Host: "node-1", SecurityGroups: []string{"group"},
					DeviceID: id, DeviceOwner: cloud.OwnerComputePrefix, FixedIPs: []cloud.FixedIP{{SubnetID: "sub", IP: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}},
				}),
			)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return st
}
