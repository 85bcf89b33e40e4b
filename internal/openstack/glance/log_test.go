package glance_test

import (
	"strings"
	"testing"

	"hearth/internal/openstack/wire"
)

// TestImageLog has the jobs of an image told in the words of nova's events.
func TestImageLog(t *testing.T) {
	c := client(t)
	id := create(t, c, nil)
	path := "/image/v2/images/" + id + "/hearth_log"
	if r := c.Do("GET", path, nil).Want(t, 200); string(r.Body) != `{"jobs":[]}` && string(r.Body) != "{\"jobs\":[]}\n" {
		t.Errorf("%s", r.Body)
	}
	upload(t, c, id, []byte("hello")).Want(t, 204)
	r := c.Do("GET", path, nil).Want(t, 200)
	if r.Text("jobs", 0, "method") != "upload" || r.Text("jobs", 0, "status") != "success" || r.Text("jobs", 0, "events", 0, "event") != "receive" ||
		r.Text("jobs", 0, "events", 0, "result") != "Success" || r.Text("jobs", 0, "events", 0, "start_time") != "2026-01-02T03:04:05.000000" {
		t.Errorf("%s", r.Body)
	}
	bad := create(t, c, wire.M{"hearth_sha512": strings.Repeat("0", 128)})
	upload(t, c, bad, []byte("hello")).Want(t, 400)
	if r := c.Do("GET", "/image/v2/images/"+bad+"/hearth_log", nil); len(r.Body) < 40 || r.Text("jobs", 0, "status") != "failure" || r.Text("jobs", 0, "events", 0, "result") != "Error" || r.Text("jobs", 0, "message") == "" {
		t.Errorf("%s", r.Body)
	}
	c.Do("GET", "/image/v2/images/11111111-2222-4333-8444-555555555555/hearth_log", nil).Want(t, 404)
}
