package nova_test

import (
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/nova"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestSoftDelete: what is in the trash is shown where nova shows it, and restored
// and ended by nova's actions.
func TestSoftDelete(t *testing.T) {
	b := computetest.New(t)
	svc := compute.New(b.Store, b.Clock, b.Network, b, compute.Options{Volumes: b.Volume, Reclaim: time.Hour})
	c := wiretest.New(t, nova.New(svc)).As(computetest.Member().Caller)
	admin := c.As(computetest.Admin().Caller)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	act := func(name string, status int) {
		t.Helper()
		c.Do("POST", v21+"/servers/"+id+"/action", wire.M{name: nil}).Want(t, status)
	}
	act("restore", 409)
	c.Do("DELETE", v21+"/servers/"+id, nil).Want(t, 204)
	r := c.Do("GET", v21+"/servers/"+id, nil).Want(t, 200)
	if r.Text("server", "status") != "SOFT_DELETED" || r.Text("server", "OS-EXT-STS:vm_state") != "soft-delete" || r.Text("server", "hearth:kept_until") == "" {
		t.Errorf("%s", r.Body)
	}
	for _, x := range []struct {
		who   *wiretest.Client
		query string
		found bool
	}{
		{c, "", false}, {c, "?status=SOFT_DELETED", true}, {c, "?status=ACTIVE", false}, {c, "?changes-since=2000-01-01T00:00:00Z", true},
		{c, "?deleted=true", false}, {admin, "?deleted=true", true}, {admin, "?deleted=true&soft_deleted=false", false}, {admin, "?soft_deleted=true", true},
		{admin, "?deleted=false&changes-since=2000-01-01T00:00:00Z", false}, {admin, "?vm_state=soft-delete", true},
	} {
		if r := x.who.Do("GET", v21+"/servers"+x.query, nil).Want(t, 200); strings.Contains(string(r.Body), id) != x.found {
			t.Errorf("GET /servers%s: %s, want it there: %v", x.query, r.Body, x.found)
		}
	}
	act("os-start", 409)
	act("restore", 202)
	if r := c.Do("GET", v21+"/servers/"+id, nil).Want(t, 200); strings.Contains(string(r.Body), "kept_until") {
		t.Errorf("%s", r.Body)
	}
	c.Do("DELETE", v21+"/servers/"+id, nil).Want(t, 204)
	act("forceDelete", 202)
	if !b.Server(id).Intent.Deleted {
		t.Error("forceDelete leaves it in the trash")
	}
}

// TestRootToVolume is the action of our own: its body is checked, and it answers with
// the volume.
func TestRootToVolume(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	to := func(body any, status int) *wiretest.Reply {
		t.Helper()
		return c.Do("POST", v21+"/servers/"+id+"/action", wire.M{"hearthRootToVolume": body}).Want(t, status)
	}
	to(nil, 409) // it runs
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		s.Intent.Power, s.Seen.State = cloud.PowerOff, cloud.InstanceStopped
		if err != nil {
			return err
		}
		return tx.Servers.Update(s)
	})
	to(wire.M{"size": -1}, 400)
	to(wire.M{"kind": "fast"}, 400)
	to(wire.M{"volume_type": "none of these"}, 400)
	if to(wire.M{"size": 30}, 202).Text("hearthRootToVolume", "volume_id") == "" {
		t.Error("no volume is named")
	}
	to(nil, 409) // it is under way
}

// TestNames: host names may have dots from 2.90 on, and one that was made of the name
// follows it.
func TestNames(t *testing.T) {
	_, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	set := func(body wire.M, status int, want string) {
		t.Helper()
		r := at(c, 90).Do("PUT", v21+"/servers/"+id, wire.M{"server": body}).Want(t, status)
		if status == 200 && r.Text("server", "OS-EXT-SRV-ATTR:hostname") != want {
			t.Errorf("%v: %s, want %s", body, r.Body, want)
		}
	}
	set(wire.M{"name": "Grüße, 東京"}, 200, "gre")
	set(wire.M{"name": "東京"}, 200, "server-"+id)
	set(wire.M{"name": "a.b_c d"}, 200, "a-b-c-d")
	set(wire.M{"hostname": "web.a.b.example.org"}, 200, "web.a.b.example.org")
	set(wire.M{"name": "other"}, 200, "web.a.b.example.org") // somebody chose it
	for _, bad := range []string{"web..org", "-web.org", "web-.org", "web.org.", "a_b", strings.Repeat("a", 64) + ".org", strings.Repeat("a.", 127) + "aa"} {
		set(wire.M{"hostname": bad}, 400, "")
	}
}

// TestVolumesBoot is /servers under its old name.
func TestVolumesBoot(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/os-volumes_boot", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	for _, path := range []string{"/os-volumes_boot", "/os-volumes_boot/detail", "/os-volumes_boot/" + id, "/servers"} {
		if r := c.Do("GET", v21+path, nil).Want(t, 200); !strings.Contains(string(r.Body), id) {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
	c.Do("POST", v21+"/os-volumes_boot/"+id+"/action", wire.M{"os-stop": nil}).Want(t, 202)
	c.Do("DELETE", v21+"/os-volumes_boot/"+id, nil).Want(t, 204)
}

// TestNoScreen: a guest whose image says that it has none is not shown.
func TestNoScreen(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		s.ImageProperties = map[string]string{"hw_video_model": "none"}
		if err != nil {
			return err
		}
		return tx.Servers.Update(s)
	})
	ask := func(protocol, typ string, status int) {
		t.Helper()
		at(c, 6).Do("POST", v21+"/servers/"+id+"/remote-consoles", wire.M{"remote_console": wire.M{"protocol": protocol, "type": typ}}).Want(t, status)
	}
	ask("vnc", "novnc", 400)
	ask("serial", "serial", 200)
}
