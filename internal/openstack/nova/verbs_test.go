package nova_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"hearth/internal/cloud"
	"hearth/internal/openstack/nova"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
)

// TestVerbs does each verb to a server that runs, in microversions on both sides
// of its changes.
func TestVerbs(t *testing.T) {
	for _, x := range []struct {
		minor  int
		admin  bool
		body   wire.M
		status int
		words  string
	}{
		{1, false, wire.M{"suspend": nil}, 202, ""},
		{1, false, wire.M{"suspend": nil, "resume": nil}, 400, "2 actions"},
		{1, false, wire.M{"resume": nil}, 409, "vm_state active"},
		{1, false, wire.M{"shelve": nil}, 202, ""},
		{1, false, wire.M{"shelveOffload": nil}, 403, "os-shelve:shelve_offload"},
		{1, true, wire.M{"shelveOffload": nil}, 409, "vm_state active"},
		{1, false, wire.M{"unshelve": nil}, 409, "vm_state active"},
		{77, false, wire.M{"unshelve": wire.M{}}, 400, "availability_zone"},
		{90, false, wire.M{"unshelve": wire.M{"host": "node-1"}}, 400, ""},
		{91, false, wire.M{"unshelve": wire.M{"availability_zone": nil}}, 409, "vm_state active"},
		{44, false, wire.M{"createBackup": wire.M{"name": "b", "backup_type": "daily", "rotation": 1}}, 202, ""},
		{45, false, wire.M{"createBackup": wire.M{"name": "b", "backup_type": "daily", "rotation": "1"}}, 202, "image_id"},
		{1, false, wire.M{"createBackup": wire.M{"name": "b", "backup_type": "daily", "rotation": -1}}, 400, "rotation"},
		{16, false, wire.M{"trigger_crash_dump": nil}, 404, "2.16"},
		{17, false, wire.M{"trigger_crash_dump": nil}, 202, ""},
		{17, false, wire.M{"trigger_crash_dump": "now"}, 400, ""},
		{1, false, wire.M{"changePassword": wire.M{"adminPass": "x"}}, 409, "guest agent is not enabled"},
		{1, false, wire.M{"migrate": nil}, 403, "migrate"},
		{1, true, wire.M{"migrate": nil}, 400, "No valid host was found."},
		{56, true, wire.M{"migrate": wire.M{"host": "none"}}, 400, "none"},
		{56, true, wire.M{"migrate": wire.M{"host": "node-1"}}, 400, "current host"},
		{1, true, wire.M{"os-migrateLive": wire.M{"host": nil, "block_migration": false}}, 400, "disk_over_commit"},
		{25, true, wire.M{"os-migrateLive": wire.M{"host": nil, "block_migration": "auto"}}, 400, "No valid host was found."},
		{1, true, wire.M{"evacuate": wire.M{"onSharedStorage": false}}, 400, "still in use"},
		{1, false, wire.M{"os-getVNCConsole": wire.M{"type": "novnc"}}, 200, "vnc_auto.html?path="},
		{1, false, wire.M{"os-getSerialConsole": wire.M{"type": "serial"}}, 200, "ws://"},
		{1, false, wire.M{"os-getSPICEConsole": wire.M{"type": "spice-html5"}}, 400, "Unavailable console type"},
		{6, false, wire.M{"os-getVNCConsole": wire.M{"type": "novnc"}}, 404, "2.6"},
	} {
		b, c := build(t)
		id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
		b.Run(id)
		if x.admin {
			c = c.As(computetest.Admin().Caller)
		}
		r := at(c, x.minor).Do("POST", v21+"/servers/"+id+"/action", x.body)
		if r.Status != x.status || !strings.Contains(string(r.Body), x.words) {
			t.Errorf("2.%d %v: %d %s, want %d %q", x.minor, x.body, r.Status, r.Body, x.status, x.words)
		}
	}
}

// TestMigrations is the record of a resize that is confirmed.
func TestMigrations(t *testing.T) {
	b, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Run(id)
	at(c, 2).Do("POST", v21+"/servers/"+id+"/action", wire.M{"resize": wire.M{"flavorRef": "2"}}).Want(t, 202)
	c.Do("GET", v21+"/os-migrations", nil).Want(t, 403)
	for minor, words := range map[int]string{1: `"id":1`, 23: `"migration_type":"resize"`, 59: `"uuid":`, 80: `"project_id":`} {
		r := at(admin, minor).Do("GET", v21+"/os-migrations?instance_uuid="+id, nil).Want(t, 200)
		if !strings.Contains(string(r.Body), words) || !strings.Contains(string(r.Body), `"status":"migrating"`) {
			t.Errorf("2.%d: %s", minor, r.Body)
		}
	}
	at(admin, 59).Do("GET", v21+"/os-migrations?marker=none", nil).Want(t, 400)
	at(admin, 80).Do("GET", v21+"/os-migrations?colour=red", nil).Want(t, 400)
	at(admin, 23).Do("GET", v21+"/servers/"+id+"/migrations", nil).Want(t, 200)
	at(admin, 23).Do("GET", v21+"/servers/"+id+"/migrations/1", nil).Want(t, 404)
}

func TestExternalEvents(t *testing.T) {
	b, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	event := func(server, name string) wire.M { return wire.M{"server_uuid": server, "name": name, "tag": "t"} }
	events := v21 + "/os-server-external-events"
	c.Do("POST", events, wire.M{"events": []wire.M{event(id, "network-changed")}}).Want(t, 403)
	admin.Do("POST", events, wire.M{"events": []wire.M{event(cloud.NewID(), "network-changed")}}).Want(t, 404)
	admin.Do("POST", events, wire.M{"events": []wire.M{event(id, "volume-extended")}}).Want(t, 400)
	r := at(admin, 51).Do("POST", events, wire.M{"events": []wire.M{event(id, "volume-extended")}}).Want(t, 207)
	if !strings.Contains(string(r.Body), `"code":422`) {
		t.Errorf("a server on no host: %s", r.Body)
	}
	b.Run(id)
	at(admin, 51).Do("POST", events, wire.M{"events": []wire.M{event(id, "volume-extended")}}).Want(t, 200)
	power := event(id, "power-update")
	power["tag"] = "POWER_OFF"
	at(admin, 76).Do("POST", events, wire.M{"events": []wire.M{power}}).Want(t, 200)
	if b.Server(id).Intent.Power != cloud.PowerOff {
		t.Error("the power was turned off, and it is not wanted so")
	}
}

func TestDiagnostics(t *testing.T) {
	b, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	admin.Do("GET", v21+"/servers/"+id+"/diagnostics", nil).Want(t, 409)
	b.Run(id)
	c.Do("GET", v21+"/servers/"+id+"/diagnostics", nil).Want(t, 403)
	for minor, words := range map[int]string{1: `"cpu0_time":1000000000`, 48: `"memory_details":{"maximum":512,"used":64}`} {
		if r := at(admin, minor).Do("GET", v21+"/servers/"+id+"/diagnostics", nil).Want(t, 200); !strings.Contains(string(r.Body), words) {
			t.Errorf("2.%d: %s", minor, r.Body)
		}
	}
}

// TestGuestPassword: what the guest posted is shown until it is cleared.
func TestGuestPassword(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	path := v21 + "/servers/" + id + "/os-server-password"
	b.Posted = "c2VjcmV0"
	if got := c.Do("GET", path, nil).Want(t, 200).Text("password"); got != "" {
		t.Errorf("%q before the server has a node", got)
	}
	b.Run(id)
	if got := c.Do("GET", path, nil).Want(t, 200).Text("password"); got != "c2VjcmV0" {
		t.Errorf("shown: %q", got)
	}
	c.Do("DELETE", path, nil).Want(t, 204)
	if got := c.Do("GET", path, nil).Want(t, 200).Text("password"); got != "" {
		t.Errorf("%q after it was cleared", got)
	}
}

// TestConsoleSocket opens consoles by their addresses: each once.
func TestConsoleSocket(t *testing.T) {
	b, c := build(t)
	web := httptest.NewServer(nova.Consoles(b.Compute, http.NotFoundHandler()))
	defer web.Close()
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	ask := func(protocol, typ string, status int) string {
		return at(c, 8).Do("POST", v21+"/servers/"+id+"/remote-consoles", wire.M{"remote_console": wire.M{"protocol": protocol, "type": typ}}).Want(t, status).Text("remote_console", "url")
	}
	ask("serial", "serial", 409)
	b.Run(id)
	ask("serial", "novnc", 400)
	for _, kind := range [][2]string{{"serial", "serial"}, {"vnc", "novnc"}} {
		u, err := url.Parse(ask(kind[0], kind[1], 200))
		if err != nil {
			t.Fatal(err)
		}
		path := u.RequestURI()
		if kind[1] == "novnc" {
			page, err := http.Get(web.URL + u.RequestURI())
			if err != nil || page.StatusCode != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
				t.Fatalf("the page: %v, %v", page, err)
			}
			page.Body.Close()
			path = "/" + u.Query().Get("path")
		}
		token := path[strings.Index(path, "token=")+len("token="):]
		where := at(c.As(computetest.Admin().Caller), 31).Do("GET", v21+"/os-console-auth-tokens/"+token, nil).Want(t, 200)
		if where.Text("console", "instance_uuid") != id {
			t.Errorf("%s", where.Body)
		}
		talk(t, web.URL, path, "hello, "+kind[0])
		if ws, err := websocket.Dial("ws"+web.URL[4:]+path, "binary", web.URL); err == nil {
			ws.Close()
			t.Error("the same token opened it twice")
		}
	}
	stale := ask("serial", "serial", 200)
	b.Clock.Advance(compute.ConsoleLife)
	_, query, _ := strings.Cut(stale, "?")
	if ws, err := websocket.Dial("ws"+web.URL[4:]+"/console/?"+query, "binary", web.URL); err == nil {
		ws.Close()
		t.Error("a token that is too old opened a console")
	}
}

// talk hears the greeting, and what is said comes back.
func talk(t *testing.T, web, path, greeting string) {
	t.Helper()
	ws, err := websocket.Dial("ws"+web[4:]+path, "binary", web)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.PayloadType = websocket.BinaryFrame
	got := make([]byte, len(greeting))
	if _, err := io.ReadFull(ws, got); err != nil || string(got) != greeting {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := io.WriteString(ws, "ping"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ws, got[:4]); err != nil || string(got[:4]) != "ping" {
		t.Errorf("%q, %v", got[:4], err)
	}
}
