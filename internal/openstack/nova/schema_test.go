package nova

import (
	"strings"
	"testing"

	"hearth/internal/cloud"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSchemasCompile compiles every operation in every range of microversions.
func TestSchemasCompile(t *testing.T) {
	s, err := loadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range append([]int{1}, s.breaks...) {
		for file, doc := range s.docs {
			for name := range doc.(map[string]any) {
				if _, err := s.at(file+"#/"+name, version); err != nil {
					t.Errorf("2.%d: %v", version, err)
				}
			}
		}
	}
}

func TestSchemaSentences(t *testing.T) {
	s, err := loadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operation, body string
		version         int
		want            string // "" for allowed
	}{
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1"}}`, 1, ""},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":1}}`, 36, ""},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1"}}`, 37, "Invalid input for field/attribute server. 'networks' is a required property"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","networks":"auto"}}`, 37, ""},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","networks":"auto"}}`, 36, "Invalid input for field/attribute networks. It is string, not of type 'array'"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","networks":"some"}}`, 37, "Invalid input for field/attribute networks. It is not valid under any of the given schemas"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","x":1}}`, 1, "Invalid input for field/attribute server. Additional properties are not allowed ('x' was unexpected)"},
		{"servers.json#/create", `{"server":{"flavorRef":"1"}}`, 1, "Invalid input for field/attribute server. 'name' is a required property"},
		{"servers.json#/create", `{}`, 1, "'server' is a required property"},
		{"servers.json#/create", `{"server":{"name":" a","flavorRef":"1"}}`, 1, "Invalid input for field/attribute name. Value:  a. ' a' is not a 'name'"},
		{"servers.json#/create", `{"server":{"name":"","flavorRef":"1"}}`, 1, "Invalid input for field/attribute name. It is too short"},
		{"servers.json#/create", `{"server":{"name":"` + strings.Repeat("x", 256) + `","flavorRef":"1"}}`, 1, "Invalid input for field/attribute name. It is too long: 256 characters, at most 255"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","description":"d"}}`, 18, "Invalid input for field/attribute server. Additional properties are not allowed ('description' was unexpected)"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","description":"d"}}`, 19, ""},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","networks":[{"uuid":"x"}]}}`, 1, ""},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","min_count":"0"}}`, 1, "Invalid input for field/attribute min_count. Value: 0. '0' is not a 'positive'"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","user_data":"#!"}}`, 1, "Invalid input for field/attribute user_data. Value: #!. '#!' is not a 'base64'"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","personality":[]}}`, 57, "Invalid input for field/attribute server. 'networks' is a required property"},
		{"servers.json#/create", `{"server":{"name":"a","flavorRef":"1","networks":"none","personality":[]}}`, 57, "Invalid input for field/attribute server. Additional properties are not allowed ('personality' was unexpected)"},
		{"actions.json#/reboot", `{"reboot":{"type":"warm"}}`, 1, "Invalid input for field/attribute type. Value: warm. It is not one of [HARD Hard hard SOFT Soft soft]"},
		{"actions.json#/lock", `{"lock":{"locked_reason":"x"}}`, 72, ""},
		{"actions.json#/lock", `{"lock":{"reason":"x"}}`, 73, "Invalid input for field/attribute lock. Additional properties are not allowed ('reason' was unexpected)"},
		{"flavors.json#/create", `{"flavor":{"name":"f","ram":-1,"vcpus":1,"disk":1}}`, 1, "Invalid input for field/attribute ram. Value: -1. -1 is less than the minimum of 1"},
		{"flavors.json#/create", `{"flavor":{"name":"f","ram":"64","vcpus":1,"disk":"0","rxtx_factor":1.5}}`, 1, ""},
		{"keypairs.json#/create", `{"keypair":{"name":"a@b"}}`, 10, "Invalid input for field/attribute name. Value: a@b. 'a@b' does not match '^[_ a-zA-Z0-9-]+$'"},
		{"keypairs.json#/create", `{"keypair":{"name":"a@b"}}`, 92, "Invalid input for field/attribute keypair. 'public_key' is a required property"},
	} {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		err = s.check(instance, c.operation, c.version)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("2.%d %s: %v", c.version, c.body, err)
		case c.want != "" && (!cloud.Is(err, cloud.Invalid) || cloud.Message(err) != c.want):
			t.Errorf("2.%d %s:\n got %v\nwant %s", c.version, c.body, err, c.want)
		}
	}
}
