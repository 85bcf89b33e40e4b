package wire_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

func say(text string) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		return wire.JSON(wire.M{"said": text, "id": r.PathValue("id"), "version": r.Version.String(), "link": r.Link("/x")}), nil
	}
}

func fail(err error) wire.Handler {
	return func(*wire.Request) (*wire.Response, error) { return nil, err }
}

// compute is an API with one of everything.
func compute() wire.API {
	admin, anyone, public := wire.Allow(wire.Admin, "t:admin"), wire.Allow(wire.Anyone, "t:any"), wire.Allow(wire.Public, "t:public")
	self := wire.Allow(wire.Rule{Name: "admin or self", Allow: cloud.Caller.IsAdmin, On: func(c cloud.Caller, path func(string) string) bool {
		return path("id") == c.UserID
	}}, "t:self")
	return wire.API{
		Name: "compute", Prefix: "/compute/v2.1", Fault: wire.NovaFault,
		Versions: wire.Microversions{Service: "compute", Legacy: "X-OpenStack-Nova-API-Version", Min: wire.Version{2, 1}, Max: wire.Version{2, 96}},
		Routes: []wire.Route{
			{Method: "GET", Path: "/", Policy: public, Handler: say("root")},
			{Method: "GET", Path: "/servers/detail", Policy: anyone, Handler: say("detail")},
			{Method: "GET", Path: "/servers/{id}", Policy: anyone, Handler: say("show")},
			{Method: "DELETE", Path: "/servers/{id}", Policy: admin, Handler: func(*wire.Request) (*wire.Response, error) { return wire.NoContent(), nil }},
			{Method: "GET", Path: "/old", Policy: anyone, Handler: say("old"), Max: wire.Version{2, 35}},
			{Method: "GET", Path: "/old", Policy: anyone, Handler: say("new"), Min: wire.Version{2, 40}},
			{Method: "GET", Path: "/files/{id...}", Policy: anyone, Handler: say("file")},
			{Method: "GET", Path: "/users/{id}", Policy: self, Handler: say("user")},
			{Method: "GET", Path: "/panic", Policy: anyone, Handler: func(*wire.Request) (*wire.Response, error) { panic("secret-token") }},
			{Method: "GET", Path: "/broken", Policy: anyone, Handler: fail(errors.New("sql: password=x"))},
			{Method: "GET", Path: "/quota", Policy: anyone, Handler: fail(cloud.E("t", cloud.QuotaExceeded, "no cores left"))},
			{Method: "GET", Path: "/stream", Policy: anyone, Handler: func(*wire.Request) (*wire.Response, error) {
				return &wire.Response{Stream: io.NopCloser(strings.NewReader("bytes"))}, nil
			}},
			{Method: "POST", Path: "/servers", Policy: anyone, Handler: func(r *wire.Request) (*wire.Response, error) {
				var in struct {
					Name  string    `json:"name"`
					Count wire.Int  `json:"count"`
					Auto  wire.Bool `json:"auto"`
				}
				if err := r.DecodeObject("server", &in); err != nil {
					return nil, err
				}
				return wire.Created(wire.M{"name": in.Name, "count": in.Count, "auto": in.Auto}), nil
			}},
		},
	}
}

func TestDispatch(t *testing.T) {
	base := wiretest.New(t, compute())
	member, admin := base.As(wiretest.Member("p")), base.As(wiretest.Admin("p"))
	for _, c := range []struct {
		name         string
		client       *wiretest.Client
		method, path string
		status       int
		path1, want  string // in the body: member "a.b" and its value
	}{
		{"public", base, "GET", "/compute/v2.1/", 200, "said", "root"},
		{"without a slash", base, "GET", "/compute/v2.1", 200, "said", "root"},
		{"literal first", member, "GET", "/compute/v2.1/servers/detail", 200, "said", "detail"},
		{"literal is an id for another method", admin, "DELETE", "/compute/v2.1/servers/detail", 204, "", ""},
		{"wildcard", member, "GET", "/compute/v2.1/servers/a%2Fb", 200, "id", "a/b"},
		{"trailing and doubled slash", member, "GET", "/compute//v2.1/servers/7/", 200, "id", "7"},
		{"rest", member, "GET", "/compute/v2.1/files/a/b", 200, "id", "a/b"},
		{"link", member, "GET", "/compute/v2.1/servers/7", 200, "link", "http://cloud.test:5000/compute/v2.1/x"},
		{"HEAD", member, "HEAD", "/compute/v2.1/servers/7", 200, "", ""},
		{"no token", base, "GET", "/compute/v2.1/servers/7", 401, "error.message", "The request you have made requires authentication."},
		{"bad token", base.With("X-Auth-Token", "nope"), "GET", "/compute/v2.1/servers/7", 401, "error.title", "Unauthorized"},
		{"policy", member, "DELETE", "/compute/v2.1/servers/7", 403, "forbidden.message", "Policy doesn't allow t:admin to be performed."},
		{"self", member, "GET", "/compute/v2.1/users/user-member-p", 200, "said", "user"},
		{"not self", member, "GET", "/compute/v2.1/users/other", 403, "forbidden.code", "403"},
		{"no such path", member, "GET", "/compute/v2.1/nope", 404, "itemNotFound.code", "404"},
		{"no such API", member, "GET", "/nope", 404, "error.code", "404"},
		{"no such method", member, "PUT", "/compute/v2.1/servers/7", 405, "badMethod.code", "405"},
		{"panic", member, "GET", "/compute/v2.1/panic", 500, "computeFault.code", "500"},
		{"internal error", member, "GET", "/compute/v2.1/broken", 500, "computeFault.code", "500"},
		{"quota", member, "GET", "/compute/v2.1/quota", 403, "forbidden.message", "no cores left"},
		{"lowest version", member, "GET", "/compute/v2.1/old", 200, "said", "old"},
		{"newer version", member.With("OpenStack-API-Version", "volume 3.70, compute 2.93"), "GET", "/compute/v2.1/old", 200, "said", "new"},
		{"legacy header", member.With("X-OpenStack-Nova-API-Version", "2.42"), "GET", "/compute/v2.1/old", 200, "version", "2.42"},
		{"latest", member.With("OpenStack-API-Version", "compute latest"), "GET", "/compute/v2.1/old", 200, "version", "2.96"},
		{"version without the route", member.With("OpenStack-API-Version", "compute 2.38"), "GET", "/compute/v2.1/old", 404, "itemNotFound.code", "404"},
		{"version too high", member.With("OpenStack-API-Version", "compute 2.97"), "GET", "/compute/v2.1/old", 406, "computeFault.message", "Version 2.97 is not supported by the API. Minimum is 2.1 and maximum is 2.96."},
		{"version of nonsense", member.With("OpenStack-API-Version", "compute 2.x"), "GET", "/compute/v2.1/old", 400, "badRequest.code", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply := c.client.Do(c.method, c.path, nil).Want(t, c.status)
			if id := reply.Header.Get("X-Openstack-Request-Id"); len(id) != 40 {
				t.Errorf("request id %q", id)
			}
			if c.path1 == "" {
				if len(reply.Body) != 0 {
					t.Errorf("there is a body: %s", reply.Body)
				}
				return
			}
			var path []any
			for s := range strings.SplitSeq(c.path1, ".") {
				path = append(path, s)
			}
			if got := reply.Text(path...); got != c.want {
				t.Errorf("%s is %q, want %q in %s", c.path1, got, c.want, reply.Body)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	c := wiretest.New(t, compute()).As(wiretest.Member("p")).With("OpenStack-API-Version", "compute 2.60")
	h := c.Do("GET", "/compute/v2.1/servers/7", nil).Want(t, 200).Header
	for name, want := range map[string]string{
		"OpenStack-API-Version": "compute 2.60", "X-OpenStack-Nova-API-Version": "2.60", "Content-Type": "application/json",
		"X-Compute-Request-Id": h.Get("X-Openstack-Request-Id"),
	} {
		if got := h.Get(name); got != want || got == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(h.Values("Vary"), ","); got != "OpenStack-API-Version,X-OpenStack-Nova-API-Version" {
		t.Errorf("Vary: %q", got)
	}
	if got := c.Do("PUT", "/compute/v2.1/servers/7", nil).Header.Get("Allow"); got != "DELETE, GET, HEAD" {
		t.Errorf("Allow: %q", got)
	}
	h = wiretest.New(t, compute()).Do("GET", "/compute/v2.1/old", nil).Header
	if got := h.Get("WWW-Authenticate"); got != `Keystone uri="http://cloud.test:5000"` {
		t.Errorf("WWW-Authenticate: %q", got)
	}
	reply := c.Do("GET", "/compute/v2.1/stream", nil).Want(t, 200)
	if string(reply.Body) != "bytes" || reply.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("stream: %q %v", reply.Body, reply.Header)
	}
}

func TestBodies(t *testing.T) {
	c := wiretest.New(t, compute()).As(wiretest.Member("p"))
	for _, x := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"good", `{"server": {"name": "vm", "count": "3", "auto": "True"}}`, 201, `"auto":true,"count":3`},
		{"empty", ``, 400, "no body"},
		{"not JSON", `{"server`, 400, "Malformed request body"},
		{"two values", `{"server": {}} {}`, 400, "more after"},
		{"a list", `[1]`, 400, "must be a JSON object with the member"},
		{"without the member", `{"nope": {}}`, 400, "'server' is a required property"},
		{"wrong type", `{"server": {"name": 7}}`, 400, "field/attribute name"},
		{"wrong boolean", `{"server": {"auto": "perhaps"}}`, 400, "not a boolean"},
		{"wrong number", `{"server": {"count": "many"}}`, 400, "not an integer"},
		{"too large", `{"server": {"name": "` + strings.Repeat("x", wire.MaxBody) + `"}}`, 413, "larger than"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if reply := c.Do("POST", "/compute/v2.1/servers", x.body).Want(t, x.status); !strings.Contains(string(reply.Body), x.says) {
				t.Errorf("%s, want %q", reply.Body, x.says)
			}
		})
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	mux := wire.NewMux([]wire.API{compute()}, nil, wire.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	global := "req-" + cloud.NewID()
	r := httptest.NewRequest("GET", "/compute/v2.1/?password=SECRET", strings.NewReader("SECRET"))
	r.Header.Set("X-Auth-Token", "SECRET")
	r.Header.Set("X-Openstack-Request-Id", global)
	mux.ServeHTTP(httptest.NewRecorder(), r)
	if got := log.String(); strings.Contains(got, "SECRET") || !strings.Contains(got, "global="+global) || !strings.Contains(got, "status=200") {
		t.Error(got)
	}
}

func TestBaseURL(t *testing.T) {
	for _, c := range []struct {
		name string
		opts wire.Options
		want string
	}{
		{"as the client used it", wire.Options{}, "http://front.test/compute/v2.1/x"},
		{"behind a proxy", wire.Options{TrustForwarded: true}, "https://proxy.test/compute/v2.1/x"},
		{"fixed", wire.Options{BaseURL: "https://cloud.test/"}, "https://cloud.test/compute/v2.1/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := wiretest.Over(t, wire.NewMux([]wire.API{compute()}, nil, c.opts)).With("X-Forwarded-Proto", "https").With("X-Forwarded-Host", "proxy.test")
			if got := client.Do("GET", "http://front.test/compute/v2.1/", nil).Text("link"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	missing, quota := cloud.E("t", cloud.NotFound, "no <image> x"), cloud.E("t", cloud.QuotaExceeded, "full")
	api := func(name string, fault func(*wire.Request, error) (int, any)) wire.API {
		p := wire.Allow(wire.Public, "t")
		return wire.API{Name: name, Prefix: "/" + name, Fault: fault, Routes: []wire.Route{
			{Method: "GET", Path: "/missing", Policy: p, Handler: fail(missing)}, {Method: "GET", Path: "/quota", Policy: p, Handler: fail(quota)},
			{Method: "GET", Path: "/denied", Policy: p, Handler: fail(wire.Denied("get_x"))},
		}}
	}
	c := wiretest.New(t, api("n", wire.NeutronFault(func(err error) string {
		if cloud.Is(err, cloud.NotFound) {
			return "ImageNotFound"
		}
		return ""
	})), api("g", wire.GlanceFault), api("c", wire.CinderFault), api("p", wire.PlacementFault), api("k", wire.KeystoneFault))
	for _, x := range []struct {
		path, accept string
		status       int
		says         string
	}{
		{"/n/missing", "", 404, `{"NeutronError":{"detail":"","message":"no <image> x","type":"ImageNotFound"}}`},
		{"/n/quota", "", 409, `"type":"OverQuota"`},
		{"/n/denied", "", 403, `"message":"(rule:get_x) is disallowed by policy","type":"PolicyNotAuthorized"`},
		{"/g/missing", "*/*", 404, "<title>404 Not Found</title>"},
		{"/g/missing", "*/*", 404, "no &lt;image&gt; x<br />"},
		{"/g/missing", "application/json", 404, `"title":"Not Found"`},
		{"/g/missing", "", 404, "404 Not Found\n\nno <image> x"},
		{"/g/quota", "", 413, "full"},
		{"/c/quota", "", 413, `{"overLimit":{"code":413,"message":"full"}}`},
		{"/p/missing", "", 404, `"detail":"no <image> x"`},
		{"/k/missing", "", 404, `{"error":{"code":404,"message":"no <image> x","title":"Not Found"}}`},
		{"/k/denied", "", 403, "You are not authorized to perform the requested action: get_x."},
	} {
		if reply := c.With("Accept", x.accept).Do("GET", x.path, nil).Want(t, x.status); !strings.Contains(string(reply.Body), x.says) {
			t.Errorf("%s (%s): %s, want %q", x.path, x.accept, reply.Body, x.says)
		}
	}
}

func TestBrokenStream(t *testing.T) {
	api := wire.API{Prefix: "", Fault: wire.KeystoneFault, Routes: []wire.Route{{Method: "GET", Path: "/", Policy: wire.Allow(wire.Public, "t"),
		Handler: func(*wire.Request) (*wire.Response, error) {
			broken := io.MultiReader(strings.NewReader("half"), failing{})
			return &wire.Response{Stream: io.NopCloser(broken)}, nil
		}}}}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("panic %v, want the connection broken off", p)
		}
	}()
	wiretest.New(t, api).Do("GET", "/", nil)
	t.Error("a broken stream looks whole")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk gone") }
