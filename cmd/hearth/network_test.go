package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gophercloud/gophercloud/v2"

	"hearth/internal/disk/netconf"
)

// TestImportNetworksRefuses what another network, subnet or instance is in the way of.
func TestImportNetworksRefuses(t *testing.T) {
	type rows []map[string]any
	net := map[string]any{"id": "n1", "name": "vlan42"}
	for want, c := range map[string]struct {
		files             map[string]string
		networks, subnets rows
	}{
		"both have the ADDRESS 192.168.1.5 in vlan42": {files: map[string]string{"instances/b": "ADDRESS=192.168.1.5\nSUBNET=vlan42"}},
		"2 networks are called so":                    {networks: rows{net, {"id": "n2", "name": "vlan42"}}},
		"s1, with 10.0.0.0/24 and not 192.168.1.0/24": {networks: rows{net}, subnets: rows{{"id": "s1", "name": "vlan42", "cidr": "10.0.0.0/24"}}},
		"subnet vlan42: no more addresses":            {networks: rows{net}},
	} {
		cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case r.Method != http.MethodGet:
				w.WriteHeader(http.StatusConflict)
				_, _ = io.WriteString(w, `{"NeutronError": {"type": "Conflict", "message": "no more addresses", "detail": ""}}`)
			case strings.HasPrefix(r.URL.Path, "/v2.0/networks"):
				_ = json.NewEncoder(w).Encode(map[string]any{"networks": append(rows{}, c.networks...)})
			default:
				_ = json.NewEncoder(w).Encode(map[string]any{"subnets": append(rows{}, c.subnets...)})
			}
		}))
		dir := fstest.MapFS{"subnets/vlan42": {Data: []byte("NETMASK=24\nGATEWAY=192.168.1.1")}, "instances/a": {Data: []byte("ADDRESS=192.168.1.5\nSUBNET=vlan42")}}
		for name, text := range c.files {
			dir[name] = &fstest.MapFile{Data: []byte(text)}
		}
		read, err := netconf.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: cloud.URL + "/", ResourceBase: cloud.URL + "/v2.0/"}
		if err := importNetworks(t.Context(), client, "ours", read, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		cloud.Close()
	}
}

// memoryNeutron is a neutron that keeps networks, subnets and ports in memory, of several
// projects: it lists all of them, as to an admin, but for what a query leaves out.
type memoryNeutron struct {
	rows map[string][]map[string]any // by their plural
	made int
}

func (s *memoryNeutron) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // v2.0 ports ID tags TAG
	kind := parts[1]
	switch {
	case len(parts) > 2:
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet:
		found := []map[string]any{}
		for _, row := range s.rows[kind] {
			if meets(row, r.URL.Query()) {
				found = append(found, row)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{kind: found})
	default:
		asked := map[string]map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		row := asked[strings.TrimSuffix(kind, "s")]
		s.made++
		row["id"], row["project_id"] = fmt.Sprintf("%s-made-%d", kind, s.made), "ours"
		if kind == "ports" && row["mac_address"] == nil {
			row["mac_address"] = fmt.Sprintf("fa:16:3e:00:00:%02x", s.made)
		}
		if s.rows == nil {
			s.rows = map[string][]map[string]any{}
		}
		s.rows[kind] = append(s.rows[kind], row)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{strings.TrimSuffix(kind, "s"): row})
	}
}

// meets tells whether a row has what a query asks for.
func meets(row map[string]any, query url.Values) bool {
	for key := range query {
		if row[key] != query.Get(key) {
			return false
		}
	}
	return true
}

// TestImportNetworksOfOthers leaves alone what another project calls by the same names, which an
// admin sees, and makes nothing twice.
func TestImportNetworksOfOthers(t *testing.T) {
	cloud := &memoryNeutron{rows: map[string][]map[string]any{
		"networks": {{"id": "n-theirs", "name": "vlan42", "project_id": "theirs"}},
		"subnets":  {{"id": "s-theirs", "name": "vlan42", "network_id": "n-theirs", "cidr": "192.168.1.0/24", "project_id": "theirs"}},
		"ports":    {{"id": "p-theirs", "name": "a.example", "network_id": "n-theirs", "project_id": "theirs"}},
	}}
	server := httptest.NewServer(cloud)
	defer server.Close()
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/", ResourceBase: server.URL + "/v2.0/"}
	read, err := netconf.ReadDir(fstest.MapFS{"subnets/vlan42": {Data: []byte("NETMASK=24\nGATEWAY=192.168.1.1")}, "instances/a.example": {Data: []byte("ADDRESS=192.168.1.5\nSUBNET=vlan42")}})
	if err != nil {
		t.Fatal(err)
	}
	var said [2]bytes.Buffer
	for n := range said {
		if err := importNetworks(t.Context(), client, "ours", read, &said[n]); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(said[0].String(), "theirs") || said[0].String() != said[1].String() {
		t.Errorf("first\n%sthen\n%s", &said[0], &said[1])
	}
	for kind, rows := range cloud.rows {
		if len(rows) != 2 || rows[1]["project_id"] != "ours" {
			t.Errorf("%s: %v", kind, rows)
		}
	}
}
