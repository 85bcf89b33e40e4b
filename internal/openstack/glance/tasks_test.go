package glance_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
)

// TestImportTasks: POST /v2/tasks makes an image of what an address serves.
func TestImportTasks(t *testing.T) {
	var requests atomic.Int32
	from := brittle(t, bytes.Repeat([]byte("x"), 1024), http.Header{}, 1<<20, &requests)
	svc := service(t, image.Options{Source: downloads(t, "127.0.0.0/8")})
	c := wiretest.New(t, glance.API(svc)).As(wiretest.Admin("ops"))
	input := wire.M{"import_from": from.URL, "import_from_format": "raw", "image_properties": wire.M{"name": "fetched"}}
	for _, body := range []wire.M{
		{}, {"type": "export", "input": input}, {"type": "import"}, {"type": "import", "input": "x"},
		{"type": "import", "input": wire.M{"import_from": from.URL, "import_from_format": "raw"}},
		{"type": "import", "input": wire.M{"import_from": "file:///etc/passwd", "import_from_format": "raw", "image_properties": wire.M{}}},
	} {
		c.Do("POST", "/image/v2/tasks", body).Want(t, 400)
	}
	c.As(wiretest.Member("p1")).Do("POST", "/image/v2/tasks", wire.M{"type": "import", "input": input}).Want(t, 403)
	r := c.Do("POST", "/image/v2/tasks", wire.M{"type": "import", "input": input}).Want(t, 201)
	id := r.Text("id")
	if r.Text("type") != "import" || r.Text("status") != "pending" || r.Text("input", "import_from") != from.URL || !strings.HasSuffix(r.Header.Get("Location"), "/v2/tasks/"+id) {
		t.Errorf("%s %v", r.Body, r.Header)
	}
	if some, err := svc.ImportNext(t.Context()); !some || err != nil {
		t.Fatal(some, err)
	}
	r = c.Do("GET", "/image/v2/tasks/"+id, nil).Want(t, 200)
	made := c.Do("GET", "/image/v2/images/"+r.Text("result", "image_id"), nil).Want(t, 200)
	if r.Text("status") != "success" || r.Text("type") != "import" || made.Text("name") != "fetched" || made.Text("status") != "active" || made.Get("size") != 1024.0 {
		t.Errorf("%s %s", r.Body, made.Body)
	}
	if list := c.Do("GET", "/image/v2/images", nil).Want(t, 200); strings.Count(string(list.Body), `"self"`) != 1 {
		t.Errorf("refused tasks leave images: %s", list.Body)
	}
}
