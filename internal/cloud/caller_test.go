package cloud

import "testing"

func TestPermits(t *testing.T) {
	for _, c := range []struct {
		rule                  AccessRule
		service, method, path string
		want                  bool
	}{
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers"}, "compute", "GET", "/v2.1/servers", true},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers"}, "compute", "POST", "/v2.1/servers", false},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers"}, "image", "GET", "/v2.1/servers", false},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers"}, "compute", "GET", "/v2.1/servers/1", false},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers/*"}, "compute", "GET", "/v2.1/servers/1", true},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers/*"}, "compute", "GET", "/v2.1/servers/1/ips", false},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/servers/{id}/ips"}, "compute", "GET", "/v2.1/servers/1/ips", true},
		{AccessRule{Service: "compute", Method: "GET", Path: "/v2.1/**"}, "compute", "GET", "/v2.1/servers/1/ips", true},
		{AccessRule{Service: "compute", Method: "GET", Path: "/**/ips"}, "compute", "GET", "/v2.1/servers/1", false},
		{AccessRule{Service: "block-storage", Method: "GET", Path: "/v3/**"}, "volume", "GET", "/v3/p/volumes", true},
	} {
		caller := Caller{ApplicationCredentialID: "a", AccessRules: []AccessRule{c.rule}}
		if got := caller.Permits(c.service, c.method, c.path); got != c.want {
			t.Errorf("%+v on %s %s %s: %v", c.rule, c.service, c.method, c.path, got)
		}
	}
	if !(Caller{ApplicationCredentialID: "a"}).Permits("compute", "GET", "/") {
		t.Error("without rules everything is permitted")
	}
}
