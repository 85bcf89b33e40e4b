package nova_test

import (
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestListDeleted: which lists have a server that is gone, and which one that is there.
func TestListDeleted(t *testing.T) {
	b, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	gone := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Clock.Advance(time.Second) // so that it comes after the other in a list, whatever their ids
	there := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(there)
	b.Run(gone)
	b.Clock.Advance(time.Hour)
	before := b.Clock.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	b.Remove(gone)
	c.Do("GET", v21+"/servers/"+gone, nil).Want(t, 404)
	admin.Do("GET", v21+"/servers/"+gone, nil).Want(t, 404)
	type want struct{ there, gone bool }
	for _, x := range []struct {
		who   *wiretest.Client
		query string
		want  want
	}{
		{c, "", want{true, false}}, {admin, "", want{true, false}}, {admin, "?all_tenants=1", want{true, false}},
		{c, "?deleted=true", want{true, false}}, // which is an admin's: as if it were not said
		{admin, "?deleted=true", want{false, true}}, {admin, "?deleted=1&all_tenants=1", want{false, true}},
		{admin, "?deleted=nonsense", want{true, false}}, {admin, "?deleted=true&soft_deleted=false", want{false, true}},
		{admin, "?status=deleted", want{false, true}}, {admin, "?status=DELETED&status=ACTIVE", want{true, false}},
		{c, "?status=DELETED&status=ACTIVE", want{true, false}}, {admin, "?vm_state=deleted", want{false, false}},
		{admin, "?vm_state=deleted&deleted=true", want{false, true}},
		{c, "?changes-since=2000-01-01T00:00:00Z", want{true, true}}, {c, "?changes-since=" + before, want{false, true}},
		{c, "?changes-since=2200-01-01T00:00:00Z", want{false, false}}, {admin, "?deleted=false&changes-since=2000-01-01T00:00:00Z", want{true, false}},
		{at(c, 66), "?changes-before=2200-01-01T00:00:00Z", want{true, true}}, {at(c, 65), "?changes-before=2200-01-01T00:00:00Z", want{true, false}},
		{at(c, 66), "?changes-before=" + before, want{true, false}},
		{admin, "?deleted=true&name=vm", want{false, true}}, {admin, "?deleted=true&name=other", want{false, false}},
		{admin, "?deleted=true&host=node-1", want{false, true}}, {admin, "?deleted=true&limit=1&marker=" + there, want{false, true}},
		{admin, "?deleted=true&marker=" + gone, want{false, false}},
	} {
		for _, path := range []string{"/servers", "/servers/detail"} {
			r := x.who.Do("GET", v21+path+x.query, nil).Want(t, 200)
			if got := (want{strings.Contains(string(r.Body), there), strings.Contains(string(r.Body), gone)}); got != x.want {
				t.Errorf("GET %s%s: there and gone are %v, want %v", path, x.query, got, x.want)
			}
		}
	}
	c.Do("GET", v21+"/servers?status=DELETED", nil).Want(t, 403)
}

// TestChangesOfASecond: nova keeps whole seconds, so a server is of the second that it shows.
func TestChangesOfASecond(t *testing.T) {
	b, c := build(t)
	b.Clock.Advance(600 * time.Millisecond)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	updated := c.Do("GET", v21+"/servers/"+id, nil).Want(t, 200).Text("server", "updated")
	newer := at(c, 66)
	shown, err := time.Parse(time.RFC3339, updated)
	if err != nil {
		t.Fatal(err)
	}
	earlier, later := shown.Add(-time.Second).Format(time.RFC3339), shown.Add(time.Second).Format(time.RFC3339)
	for query, want := range map[string]bool{
		"changes-before=" + updated: true, "changes-since=" + updated: true, "changes-since=" + updated + "&changes-before=" + updated: true,
		"changes-before=" + earlier: false, "changes-since=" + later: false, "changes-before=" + later: true,
	} {
		if r := newer.Do("GET", v21+"/servers?"+query, nil).Want(t, 200); strings.Contains(string(r.Body), id) != want {
			t.Errorf("%s: %v is wanted: %s", query, want, r.Body)
		}
	}
}

// TestDeletedView: a server that is gone looks as in nova, whatever was the matter when
// it went, in old and new microversions.
func TestDeletedView(t *testing.T) {
	b, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	at(c, 26).Do("PUT", v21+"/servers/"+id+"/tags", wire.M{"tags": []string{"blue"}}).Want(t, 200)
	c.Do("DELETE", v21+"/servers/"+id, nil).Want(t, 204)
	b.Clock.Advance(time.Hour)
	b.Remove(id)
	old := at(admin, 1).Do("GET", v21+"/servers/detail?deleted=true", nil).Want(t, 200)
	if old.Text("servers", 0, "flavor", "id") != "1" || strings.Contains(string(old.Body), "tags") {
		t.Errorf("%s", old.Body)
	}
	r := at(admin, 90).Do("GET", v21+"/servers/detail?deleted=true", nil).Want(t, 200)
	ended := b.Clock.Now().UTC().Format("2006-01-02T15:04:05.000000")
	for member, want := range map[string]any{
		"status": "DELETED", "OS-EXT-STS:vm_state": "deleted", "OS-EXT-STS:task_state": nil, "OS-EXT-STS:power_state": 0.0,
		"OS-SRV-USG:terminated_at": ended, "OS-EXT-SRV-ATTR:host": "node-1", "updated": b.Clock.Now().UTC().Format("2006-01-02T15:04:05Z"),
	} {
		if got := r.Get("servers", 0, member); got != want {
			t.Errorf("%s is %v, want %v", member, got, want)
		}
	}
	if r.Text("servers", 0, "flavor", "original_name") == "" || r.Text("servers", 0, "tags", 0) != "blue" {
		t.Errorf("%s", r.Body)
	}
	if n, ok := r.Get("servers", 0, "addresses").(map[string]any); !ok || len(n) != 0 {
		t.Errorf("addresses %v", n)
	}
	if strings.Contains(string(r.Body), `"fault"`) || strings.Contains(string(r.Body), `"progress"`) {
		t.Errorf("%s", r.Body)
	}
}

// TestDeletedHistory: from 2.21 on a server's history outlives it, with the host that it
// was on and the steps of its start.
func TestDeletedHistory(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		s.Steps = []cloud.Step{{Name: "disk", Start: b.Clock.Now().Add(time.Second), Duration: time.Second}}
		if err != nil {
			return err
		}
		return tx.Servers.Update(s)
	})
	path := v21 + "/servers/" + id + "/os-instance-actions"
	request := at(c, 21).Do("GET", path, nil).Want(t, 200).Text("instanceActions", 0, "request_id")
	was := at(c, 84).Do("GET", path+"/"+request, nil).Want(t, 200)
	b.Remove(id)
	at(c, 20).Do("GET", path, nil).Want(t, 404)
	at(c, 21).Do("GET", path, nil).Want(t, 200)
	if is := at(c, 84).Do("GET", path+"/"+request, nil).Want(t, 200); string(is.Body) != string(was.Body) {
		t.Errorf("before it went\n%s\nand after\n%s", was.Body, is.Body)
	}
	at(c.As(computetest.Caller(computetest.Other, cloud.RoleReader)), 21).Do("GET", path, nil).Want(t, 404)
}
