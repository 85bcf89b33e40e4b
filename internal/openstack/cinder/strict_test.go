package cinder

import (
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

// TestBodiesAreStrict: what cinder's schemas do not have is 400, with a sentence
// that names it.
func TestBodiesAreStrict(t *testing.T) {
	c, _ := newClient(t)
	id := c.Do("POST", base+"/volumes", wire.M{"volume": wire.M{"size": 1}}).Want(t, 202).Text("volume", "id")
	admin, none := c.As(wiretest.Admin(project)), "11111111-2222-3333-4444-555555555555"
	for _, x := range []struct {
		method, path string
		body         wire.M
		says         string
	}{
		{"POST", "/volumes", wire.M{"volume": wire.M{"size": 1}, "zz": 1}, "('zz' was unexpected)"},
		{"PUT", "/volumes/" + id, wire.M{"volume": wire.M{"name": "a", "zz": 1}}, "('zz' was unexpected)"},
		{"POST", "/attachments", wire.M{"attachment": wire.M{"volume_uuid": id, "zz": 1}}, "('zz' was unexpected)"},
		{"POST", "/snapshots", wire.M{"snapshot": wire.M{"volume_id": id, "zz": 1}}, "('zz' was unexpected)"},
		{"POST", "/volume-transfers", wire.M{"transfer": wire.M{"volume_id": id}, "zz": 1}, "('zz' was unexpected)"},
		{"POST", "/volume-transfers/" + none + "/accept", wire.M{"accept": wire.M{"key": "x"}}, "('key' was unexpected)"},
		{"POST", "/volume-transfers/" + none + "/accept", wire.M{"accept": wire.M{}}, "'auth_key' is a required property"},
		{"PUT", "/qos-specs/" + none, wire.M{"qos_specs": wire.M{"not a key!": "x"}}, "can only contain"},
		{"PUT", "/qos-specs/" + none, wire.M{"qos_specs": wire.M{"iops": 3}}, "not of type 'string'"},
		{"POST", "/types/" + none + "/action", wire.M{"addProjectAccess": wire.M{"project": "!"}}, "is not a 'uuid'"},
		{"POST", "/volumes/" + none + "/action", wire.M{"os-detach": wire.M{"attachment_id": "x"}}, "is not a 'uuid'"},
		{"PUT", "/volumes/" + id + "/metadata", wire.M{"metadata": wire.M{}, "zz": 1}, "('zz' was unexpected)"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-detach": wire.M{"zz": 1}}, "('zz' was unexpected)"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-detach": "x"}, "not of type 'object'"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-set_bootable": wire.M{"bootable": true, "zz": 1}}, "('zz' was unexpected)"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-set_image_metadata": nil}, "not of type 'object'"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-unset_image_metadata": wire.M{}}, "'key' is a required property"},
		{"POST", "/volumes/" + id + "/action", wire.M{"os-terminate_connection": wire.M{}}, "'connector' is a required property"},
	} {
		if r := admin.With("OpenStack-API-Version", "volume 3.70").Do(x.method, base+x.path, x.body).Want(t, 400); !strings.Contains(string(r.Body), x.says) {
			t.Errorf("%s %v: %s, want %s", x.path, x.body, r.Body, x.says)
		}
	}
	c.Do("POST", base+"/volumes", wire.M{"volume": wire.M{"size": 1}, "OS-SCH-HNT:scheduler_hints": wire.M{}}).Want(t, 202)
	c.Do("POST", base+"/volumes/"+id+"/action", wire.M{"os-terminate_connection": wire.M{"connector": nil}}).Want(t, 202)
}
