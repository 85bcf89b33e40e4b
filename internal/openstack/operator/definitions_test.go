package operator

import (
	"log/slog"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/schedule"
	"hearth/internal/service/operate"
	"hearth/internal/store"
)

// TestDefinitions puts a definition twice, reads both versions, and is refused.
func TestDefinitions(t *testing.T) {
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	svc := operate.New(st, cloud.SystemClock{}, node.NewFleet(), nil, schedule.Ratios{CPU: 1, Memory: 1, Disk: 1}, slog.New(slog.DiscardHandler))
	base := wiretest.New(t, API(svc, nil, nil))
	admin, reader := base.As(wiretest.Admin("p")), base.As(wiretest.Reader("p"))
	const path = "/hearth/v1/os-definitions"
	web := func(swap string) wire.M {
		return wire.M{"definition": wire.M{"settings": wire.M{"SWAP": swap}, "hooks": wire.M{"10-site": "#!/bin/sh\n"}}}
	}
	reader.Do("GET", path, nil).Want(t, 200)
	reader.Do("PUT", path+"/web", web("no")).Want(t, 403)
	base.Do("GET", path, nil).Want(t, 401)
	admin.Do("PUT", path+"/web", web("yes")).Want(t, 201)
	admin.Do("PUT", path+"/web", web("yes")).Want(t, 201) // still the first
	admin.Do("PUT", path+"/web", web("no")).Want(t, 200)
	admin.Do("PUT", path+"/web?project_id=nobody", web("no")).Want(t, 400)
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/web", 200, `"version":2`}, {"/web@1", 200, `"SWAP":"yes"`}, {"/web/versions", 200, `"version":1`}, {"", 200, `"name":"web"`}, {"/none", 404, "there are: web"},
	} {
		if r := reader.Do("GET", path+c.path, nil).Want(t, c.code); !strings.Contains(string(r.Body), c.want) {
			t.Errorf("%s: %s", c.path, r.Body)
		}
	}
	for body, want := range map[string]string{`{"definition":{"settings":{"SWAP":"perhaps"}}}`: "SWAP is", `{"definition":{"name":"db"}}`: "the address says web", `{"definition":{"settings":{"NONE":"x"}}}`: "no setting NONE",
		`{}`: "required", `{"definition":{"hooks":{"a.sh":"#!/bin/sh"}}}`: "letters, digits"} {
		if r := admin.Do("PUT", path+"/web", body).Want(t, 400); !strings.Contains(string(r.Body), want) {
			t.Errorf("%s: %s", body, r.Body)
		}
	}
}
