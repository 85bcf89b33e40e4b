package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"

	"hearth/internal/opennebula"
)

// TestNebulaPortsAgain: an import that is repeated takes the ports that the one before made, each
// for one NIC, and none that is somebody's.
func TestNebulaPortsAgain(t *testing.T) {
	port := func(id, project, device, network string) map[string]any {
		return map[string]any{"id": id, "name": "web", "project_id": project, "device_id": device, "network_id": network, "mac_address": "fa:16:3e:ff:ff:" + id}
	}
	theirs, used, elsewhere := port("01", "theirs", "", "n1"), port("02", "ours", "server", "n1"), port("03", "ours", "", "n2")
	cloud := &memoryNeutron{rows: map[string][]map[string]any{"ports": {theirs, used, elsewhere}}}
	server := httptest.NewServer(cloud)
	defer server.Close()
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", ResourceBase: server.URL + "/v2.0/"}
	m := opennebula.Machine{Name: "web", NICs: []opennebula.NIC{
		{Network: "lan"}, {Network: "lan", MAC: "02:00:00:00:00:01"}, {Network: "lan", Address: netip.MustParseAddr("10.0.0.9")}, {Network: "lan"},
		{Network: "lan", MAC: "02:00:00:00:00:02", Address: netip.MustParseAddr("10.0.0.8")},
	}}
	in := &nebula{neutron: client, project: "ours", out: io.Discard, networks: []networks.Network{{ID: "n1", Name: "lan", ProjectID: "ours"}}}
	in.ctx = t.Context()
	var was []string
	for round := range 3 {
		ids, err := in.ports(m)
		if err != nil {
			t.Fatal(err)
		}
		if distinct := map[string]bool{ids[0]: true, ids[1]: true, ids[2]: true, ids[3]: true, ids[4]: true}; len(distinct) != 5 {
			t.Errorf("one port for two NICs: %v", ids)
		}
		if round > 0 && !reflect.DeepEqual(ids, was) || len(cloud.rows["ports"]) != 3+5 {
			t.Errorf("round %d: %v, and before %v, of %d ports", round, ids, was, len(cloud.rows["ports"]))
		}
		was = ids
	}
}

// TestNebulaPortsBrokenOff: of an import that broke off in the middle the rest is made, whichever of the
// ports are there.
func TestNebulaPortsBrokenOff(t *testing.T) {
	cloud := &memoryNeutron{rows: map[string][]map[string]any{"ports": {
		{"id": "by-mac", "name": "web", "project_id": "ours", "network_id": "n1", "mac_address": "02:00:00:00:00:01"},
		{"id": "by-ip", "name": "web", "project_id": "ours", "network_id": "n1", "mac_address": "fa:16:3e:00:00:99", "fixed_ips": []map[string]any{{"ip_address": "10.0.0.9"}}},
	}}}
	server := httptest.NewServer(cloud)
	defer server.Close()
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", ResourceBase: server.URL + "/v2.0/"}
	in := &nebula{neutron: client, project: "ours", out: io.Discard, networks: []networks.Network{{ID: "n1", Name: "lan", ProjectID: "ours"}}}
	in.ctx, in.network = t.Context(), "lan"
	ids, err := in.ports(opennebula.Machine{Name: "web", NICs: []opennebula.NIC{{}, {Address: netip.MustParseAddr("10.0.0.9")}, {MAC: "02:00:00:00:00:01"}}})
	if err != nil || ids[0] == "by-mac" || ids[0] == "by-ip" || ids[1] != "by-ip" || ids[2] != "by-mac" {
		t.Error(ids, err)
	}
}

// TestNebulaOfOthers takes networks and images of the project before shared ones, and none of others
// that an admin merely sees.
func TestNebulaOfOthers(t *testing.T) {
	in := &nebula{project: "ours", networks: []networks.Network{
		{ID: "n1", Name: "lan", ProjectID: "theirs"}, {ID: "n2", Name: "lan", ProjectID: "ours"}, {ID: "n3", Name: "lan", ProjectID: "theirs", Shared: true},
		{ID: "n4", Name: "public", ProjectID: "theirs", Shared: true}, {ID: "n5", Name: "secret", ProjectID: "theirs"},
	}}
	for word, want := range map[string]string{"lan": "n2", "public": "n4", "n5": "n5", "secret": ""} {
		if id, err := in.networkOf(opennebula.NIC{Network: word}); id != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", word, id, err)
		}
	}
	all := []map[string]any{ // the newest first
		{"id": "i1", "name": "a", "owner": "theirs", "visibility": "private", "status": "active"}, {"id": "i2", "name": "a", "owner": "theirs", "visibility": "public", "status": "active"},
		{"id": "i3", "name": "a", "owner": "ours", "visibility": "shared", "status": "active"}, {"id": "i4", "name": "b", "owner": "theirs", "visibility": "public", "status": "active"},
		{"id": "i5", "name": "c", "owner": "theirs", "visibility": "shared", "status": "active"}, {"id": "i6", "name": "d", "owner": "theirs", "visibility": "shared", "status": "active"},
		{"id": "i7", "name": "e", "owner": "theirs", "visibility": "private", "status": "active"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/v2/images":
			query, found := maps.Clone(r.URL.Query()), []map[string]any{}
			delete(query, "sort")
			for _, i := range all {
				if meets(i, query) {
					found = append(found, i)
				}
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"images": found})
		case "/v2/images/i6/members/ours":
			_, _ = io.WriteString(w, `{"member_id": "ours", "status": "accepted"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	in.ctx, in.glance = t.Context(), &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/v2/"}
	for name, want := range map[string]string{"a": "i3", "b": "i4", "c": "", "d": "i6", "e": ""} {
		if found, err := in.inCloud(name); err != nil || found.id != want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := in.networkOf(opennebula.NIC{Network: "secret"}); err == nil || !strings.Contains(err.Error(), "shared") {
		t.Error(err)
	}
}
