package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// instance is what the metadata says of this guest. The form is that of
// OpenStack's meta_data.json; see docs.openstack.org/nova, "Metadata service".
type instance struct {
	UUID       string            `json:"uuid"`
	Hostname   string            `json:"hostname"`
	Name       string            `json:"name"`
	PublicKeys map[string]string `json:"public_keys"`
	UserData   []byte            `json:"-"`
	Mounts     []mount           `json:"-"` // of vendor_data.json
}

func parseInstance(b []byte) (*instance, error) {
	var i instance
	if err := json.Unmarshal(b, &i); err != nil {
		return nil, fmt.Errorf("meta_data.json: %w", err)
	}
	if i.UUID == "" {
		return nil, fmt.Errorf("meta_data.json: no uuid")
	}
	if i.Hostname == "" {
		i.Hostname = i.Name
	}
	if !sensibleHostname(i.Hostname) {
		i.Hostname = ""
	}
	return &i, nil
}

// publicKeys gives the lines for authorized_keys, in a steady order.
func (i *instance) publicKeys() []string {
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(i.PublicKeys)) {
		if key := strings.TrimSpace(i.PublicKeys[name]); key != "" && !strings.ContainsAny(key, "\r\n\x00") {
			keys = append(keys, key)
		}
	}
	return keys
}

// sensibleHostname keeps out what would break /etc/hosts.
func sensibleHostname(s string) bool {
	for _, c := range s {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
		if !ok {
			return false
		}
	}
	return s != "" && len(s) < 254 && s[0] != '-' && s[0] != '.'
}
