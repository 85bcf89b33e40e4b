package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// full is a server with something in every sort of field.
func full() cloud.Server {
	launched := at.Add(time.Minute)
	return cloud.Server{
		ID: "s1", Name: `a "name" <with> ünïcode & NUL-free`, ProjectID: "p1",
		Flavor: cloud.Flavor{ID: "1", ExtraSpecs: map[string]string{"hw:cpu": "x"}, RxTxFactor: 1.5, Projects: []string{}},
		Kernel: &cloud.ImageRef{ID: "k"}, Key: &cloud.Keypair{Name: "me", CreatedAt: at},
		UserData: []byte{0, 1, 255}, Metadata: map[string]string{"a": "b"}, Tags: []string{"x", "y"},
		SchedulerHints: map[string][]string{"group": {"g"}}, Steps: []cloud.Step{{Name: "disk", Start: at, Duration: time.Second}},
		Fault: &cloud.Fault{Code: 500, Message: "no"}, LaunchedAt: &launched, CreatedAt: at, UpdatedAt: at,
	}
}

func roundTrip(t *testing.T, st *store.Store) {
	want := full()
	update(t, st, func(tx *store.Tx) error { return tx.Servers.Insert(want) })
	for range 2 { // decoded, then from the shelf
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.Servers.Get("s1")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			return err
		})
	}
}

// everyNoun writes one row of each table, and reads it again.
func everyNoun(t *testing.T, st *store.Store) {
	ip, net := netip.MustParseAddr("fd00::1"), netip.MustParsePrefix("10.1.0.0/24")
	update(t, st, func(tx *store.Tx) error {
		each(t, tx.Domains, cloud.Domain{ID: "d", Name: "D", Tags: []string{"t"}})
		each(t, tx.Projects, cloud.Project{ID: "p", Name: "P", Extra: map[string]any{"a": []any{"b", map[string]any{"c": 1.5}}}})
		each(t, tx.Users, cloud.User{ID: "u", Name: "U", PasswordExpiresAt: &at, Extra: map[string]any{}})
		each(t, tx.Roles, cloud.Role{ID: "r", Name: "R"})
		each(t, tx.Assignments, cloud.Assignment{UserID: "u", RoleID: "r", ProjectID: "p"})
		each(t, tx.AppCreds, cloud.ApplicationCredential{ID: "a", RoleIDs: []string{"r"}})
		each(t, tx.Revocations, cloud.Revocation{AuditID: "x", ExpiresAt: at})
		each(t, tx.Images, cloud.Image{ID: "i", Size: 1 << 40, Properties: map[string]string{"kernel_id": "k"}, CreatedAt: at})
		each(t, tx.ImageMembers, cloud.ImageMember{ImageID: "i", ProjectID: "p"})
		each(t, tx.Flavors, cloud.Flavor{ID: "1", Name: "m1", RxTxFactor: 1})
		each(t, tx.Keypairs, cloud.Keypair{UserID: "u", Name: "k"})
		each(t, tx.Servers, cloud.Server{ID: "s", NextAttemptAt: at})
		each(t, tx.GoneServers, cloud.Server{ID: "s", DeletedAt: &at})
		each(t, tx.Actions, cloud.ActionRecord{ID: "a", StartedAt: at})
		each(t, tx.Migrations, cloud.Migration{ID: "m", CreatedAt: at})
		each(t, tx.ConsoleTokens, cloud.ConsoleToken{Hash: "h", ExpiresAt: at})
		each(t, tx.Hosts, cloud.Host{Name: "h", SeenAt: at})
		each(t, tx.Networks, cloud.Network{ID: "n", MTU: 1450})
		each(t, tx.Subnets, cloud.Subnet{ID: "s", CIDR: net, DNS: []netip.Addr{ip}, Pools: []cloud.AddressRange{{Start: ip, End: ip}}})
		each(t, tx.Ports, cloud.Port{ID: "p", FixedIPs: []cloud.FixedIP{{SubnetID: "s", IP: ip}}, AllowedPairs: []cloud.AddressPair{{IP: net}}, Profile: map[string]any{"x": true}})
		each(t, tx.Allocations, cloud.IPAllocation{SubnetID: "s", IP: ip})
		each(t, tx.Routers, cloud.Router{ID: "r", Routes: []cloud.Route{{Destination: net, NextHop: ip}}})
		each(t, tx.FloatingIPs, cloud.FloatingIP{ID: "f", IP: ip})
		each(t, tx.SecurityGroups, cloud.SecurityGroup{ID: "g", Stateful: true})
		each(t, tx.SecurityRules, cloud.SecurityRule{ID: "r", PortMin: -1, RemotePrefix: net})
		each(t, tx.AddressScopes, cloud.AddressScope{ID: "a", IPVersion: 6, CreatedAt: at})
		each(t, tx.SubnetPools, cloud.SubnetPool{ID: "p", Prefixes: []netip.Prefix{net}, AddressScopeID: "a"})
		each(t, tx.RBACPolicies, cloud.RBACPolicy{ID: "r", ObjectID: "n", Target: cloud.EveryProject})
		each(t, tx.QoSPolicies, cloud.QoSPolicy{ID: "q", Limits: []cloud.BandwidthLimit{{ID: "l", Direction: cloud.Ingress, Kbps: 1000}}})
		each(t, tx.PortForwardings, cloud.PortForwarding{ID: "f", Inner: ip, External: 80})
		each(t, tx.Trunks, cloud.Trunk{ID: "t", PortID: "p", CreatedAt: at})
		each(t, tx.SubPorts, cloud.SubPort{PortID: "p", TrunkID: "t", VLAN: 7})
		each(t, tx.MeteringLabels, cloud.MeteringLabel{ID: "m", CreatedAt: at})
		each(t, tx.MeteringRules, cloud.MeteringRule{ID: "r", LabelID: "m", Remote: net})
		each(t, tx.AddressGroups, cloud.AddressGroup{ID: "a", Addresses: []netip.Prefix{net}, CreatedAt: at})
		each(t, tx.PolicyLinks, cloud.PolicyAssociation{PolicyID: "p", ServiceID: "s"})
		each(t, tx.NetworkAgents, cloud.NetworkAgent{ID: "a", Host: "h", Off: true})
		each(t, tx.Quotas, cloud.Quota{Service: "compute", ProjectID: "p", Limits: map[string]int{"cores": -1}})
		each(t, tx.Settings, store.Setting{Name: "n", Value: strings.Repeat("v", 100_000)})
		return nil
	})
}

// each puts a row in, changes nothing, and takes it out again, by every method.
func each[T any](t *testing.T, table *store.Table[T], v T) {
	t.Helper()
	err := table.Insert(v)
	list, err2 := table.List(store.Query{})
	if err = errors.Join(err, err2); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], v) {
		t.Errorf("%T: got %+v, want %+v; %v", v, list, v, err)
		return
	}
	if err := errors.Join(table.Update(v), table.Put(v)); err != nil {
		t.Errorf("%T: %v", v, err)
	}
	if err := table.Insert(v); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("%T inserted twice: %v", v, err)
	}
	if n, err := table.Count(); n != 1 || err != nil {
		t.Errorf("%T: count %d, %v", v, n, err)
	}
}

// extremes are the values between nil, empty and zero.
func extremes(t *testing.T, st *store.Store) {
	zone := time.FixedZone("east", 7200)
	update(t, st, func(tx *store.Tx) error {
		each(t, tx.Servers, cloud.Server{ID: "s", Tags: []string{}, Metadata: map[string]string{}, UserData: []byte{}})
		each(t, tx.Ports, cloud.Port{ID: "p", FixedIPs: []cloud.FixedIP{{}}, AllowedPairs: []cloud.AddressPair{{MAC: "m"}}})
		return tx.Images.Insert(cloud.Image{ID: "i", CreatedAt: at.Add(999).In(zone)})
	})
	view(t, st, func(tx *store.Tx) error {
		image, err := tx.Images.Get("i")
		if image.CreatedAt != at {
			t.Errorf("time %v, want UTC and whole microseconds: %v", image.CreatedAt, at)
		}
		return err
	})
}

func missing(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		_, err := tx.Servers.Get("nix")
		wantKind(t, err, cloud.NotFound, "Server nix could not be found.")
		wantKind(t, tx.Allocations.Delete("a/b"), cloud.NotFound, "IP allocation a/b could not be found.")
		wantKind(t, tx.Servers.Update(cloud.Server{ID: "nix"}), cloud.NotFound, "Server nix could not be found.")
		_, err = tx.Servers.List(store.Query{After: "nix"})
		wantKind(t, err, cloud.NotFound, "Server nix could not be found.")
		list, err := tx.Servers.List(store.Query{})
		if list == nil || len(list) != 0 || err != nil {
			t.Errorf("empty list: %v, %v", list, err)
		}
		return nil
	})
}

func unique(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		for i, domain := range []string{"d1", "d2"} {
			if err := tx.Users.Insert(cloud.User{ID: fmt.Sprint(i), DomainID: domain, Name: "ann"}); err != nil {
				return err
			}
		}
		wantKind(t, tx.Users.Insert(cloud.User{ID: "0"}), cloud.Conflict, "User 0 already exists.")
		wantKind(t, tx.Users.Insert(cloud.User{ID: "9", DomainID: "d1", Name: "ann"}), cloud.Conflict, "Another user exists with domain_id 'd1', name 'ann'.")
		wantKind(t, tx.Users.Update(cloud.User{ID: "1", DomainID: "d1", Name: "ann"}), cloud.Conflict, "Another user exists with domain_id 'd1', name 'ann'.")
		wantKind(t, tx.Users.Put(cloud.User{ID: "8", DomainID: "d1", Name: "ann"}), cloud.Conflict, "Another user exists with domain_id 'd1', name 'ann'.")
		return nil
	})
}

func conflictUsable(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		_ = tx.Users.Insert(cloud.User{ID: "1", Name: "ann"})
		_ = tx.Users.Insert(cloud.User{ID: "2", Name: "bob"})
		for range 3 {
			wantKind(t, tx.Users.Insert(cloud.User{ID: "3", Name: "ann"}), cloud.Conflict, "")
			wantKind(t, tx.Users.Update(cloud.User{ID: "2", Name: "ann"}), cloud.Conflict, "")
			wantKind(t, tx.Users.Put(cloud.User{ID: "4", Name: "ann"}), cloud.Conflict, "")
		}
		return tx.Users.Insert(cloud.User{ID: "5", Name: "eve"})
	})
	view(t, st, func(tx *store.Tx) error {
		n, err := tx.Users.Count()
		if n != 3 {
			t.Errorf("%d users, want 3", n)
		}
		return err
	})
}

func putReplaces(t *testing.T, st *store.Store) {
	for _, value := range []string{"a", "b"} {
		update(t, st, func(tx *store.Tx) error { return tx.Settings.Put(store.Setting{Name: "n", Value: value}) })
		view(t, st, func(tx *store.Tx) error {
			s, err := tx.Settings.Get("n")
			if s.Value != value {
				t.Errorf("got %q, want %q", s.Value, value)
			}
			return err
		})
	}
}

// nobodyShares changes everything in what it was given and what it gave.
func nobodyShares(t *testing.T, st *store.Store) {
	mine := full()
	update(t, st, func(tx *store.Tx) error { return tx.Servers.Insert(mine) })
	spoil := func(s cloud.Server) {
		s.Metadata["a"], s.Tags[0], s.UserData[0] = "spoilt", "spoilt", 9
		s.Flavor.ExtraSpecs["new"], s.SchedulerHints["group"][0] = "spoilt", "spoilt"
		s.Kernel.ID, s.Key.Name, s.Steps[0].Name, s.Fault.Message = "spoilt", "spoilt", "spoilt", "spoilt"
		*s.LaunchedAt = time.Time{}
	}
	spoil(mine)
	for range 3 {
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.Servers.Get("s1")
			if err != nil {
				return err
			}
			list, err := tx.Servers.List(store.Query{})
			if !reflect.DeepEqual(got, full()) || !reflect.DeepEqual(list[0], full()) {
				t.Errorf("another's change is seen: %+v, %+v", got, list)
			}
			spoil(got)
			spoil(list[0])
			return err
		})
	}
}

func badText(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		wantKind(t, tx.Flavors.Insert(cloud.Flavor{ID: "1", Name: "a\x00b"}), cloud.Invalid, "")
		wantKind(t, tx.Flavors.Insert(cloud.Flavor{ID: "1", Name: "a\xffb"}), cloud.Invalid, "")
		_, err := tx.Flavors.Get("a\x00b")
		wantKind(t, err, cloud.NotFound, "")
		_, err = tx.Flavors.List(store.Where(store.Eq("name", "a\x00b")))
		wantKind(t, err, cloud.Invalid, "")
		return tx.Flavors.Insert(cloud.Flavor{ID: "1", Name: "fine", Description: "kept in JSON: \x00"})
	})
}
