package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
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
		if err := importNetworks(t.Context(), client, read, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		cloud.Close()
	}
}
