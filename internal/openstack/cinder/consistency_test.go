package cinder

import (
	"encoding/json"
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

// TestConsistencyGroups walks the groups' old names, as python-cinderclient's consisgroup
// verbs do.
func TestConsistencyGroups(t *testing.T) {
	c, _ := newClient(t)
	group := func(m wire.M) wire.M { return wire.M{"consistencygroup": m} }
	made := c.Do("POST", base+"/consistencygroups", group(wire.M{"name": "g", "volume_types": "__DEFAULT__,"}))
	made.Want(t, 202)
	var answer struct {
		Group struct{ ID string } `json:"consistencygroup"`
	}
	if err := json.Unmarshal(made.Body, &answer); err != nil || answer.Group.ID == "" {
		t.Fatalf("%v: %s", err, made.Body)
	}
	at := base + "/consistencygroups/" + answer.Group.ID
	for _, r := range []struct {
		method, path string
		body         any
		want         int
		says         string
	}{
		{"POST", base + "/consistencygroups", group(wire.M{"name": "g"}), 400, "volume_types must be provided"},
		{"GET", base + "/consistencygroups", nil, 200, `"name":"g"`},
		{"GET", base + "/consistencygroups/detail", nil, 200, `"volume_types":[`},
		{"GET", at, nil, 200, `"status":"available"`},
		{"PUT", at + "/update", group(wire.M{"description": "d"}), 202, ""},
		{"PUT", at + "/update", group(wire.M{}), 400, "can not be all empty"},
		{"GET", at, nil, 200, `"description":"d"`},
		{"POST", base + "/volumes", wire.M{"volume": wire.M{"size": 1, "consistencygroup_id": answer.Group.ID}}, 202, ""},
		{"POST", base + "/cgsnapshots", wire.M{"cgsnapshot": wire.M{"name": "s"}}, 400, "must be specified"},
		{"GET", base + "/cgsnapshots/detail", nil, 200, `"cgsnapshots":[]`},
		{"POST", base + "/consistencygroups/create_from_src", wire.M{"consistencygroup-from-src": wire.M{"name": "g"}}, 400, "Either 'cgsnapshot_id'"},
		{"POST", at + "/delete", group(wire.M{"force": false}), 400, ""}, // it has a volume
		{"GET", base + "/cgsnapshots/" + answer.Group.ID, nil, 404, ""},
		{"GET", base + "/extensions/consistencygroups", nil, 200, `"alias":"consistencygroups"`},
		{"GET", base + "/extensions/nothing", nil, 404, ""},
	} {
		got := c.Do(r.method, r.path, r.body)
		if got.Status != r.want || !strings.Contains(string(got.Body), r.says) {
			t.Errorf("%s %s: %d %s; want %d, %q", r.method, r.path, got.Status, got.Body, r.want, r.says)
		}
	}
}

func TestNumbersInQoSSpecs(t *testing.T) {
	c, _ := newClient(t)
	c = c.As(wiretest.Admin(project))
	made := c.Do("POST", base+"/qos-specs", wire.M{"qos_specs": wire.M{"name": "q", "total_bytes_sec": 1000000, "x": true}})
	made.Want(t, 200)
	if !strings.Contains(string(made.Body), `"total_bytes_sec":"1000000"`) || !strings.Contains(string(made.Body), `"x":"True"`) {
		t.Errorf("%s", made.Body)
	}
	var answer struct {
		QoS struct{ ID string } `json:"qos_specs"`
	}
	if err := json.Unmarshal(made.Body, &answer); err != nil {
		t.Fatal(err)
	}
	c.Do("PUT", base+"/qos-specs/"+answer.QoS.ID, wire.M{"qos_specs": wire.M{"total_bytes_sec": 5}}).Want(t, 400)
	c.Do("PUT", base+"/qos-specs/"+answer.QoS.ID, wire.M{"qos_specs": wire.M{"total_bytes_sec": "5"}}).Want(t, 200)
	c.Do("POST", base+"/qos-specs", wire.M{"qos_specs": wire.M{"name": "r", "y": wire.M{}}}).Want(t, 400)
}
