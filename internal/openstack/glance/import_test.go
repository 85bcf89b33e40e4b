package glance_test

import (
	"strings"
	"testing"

	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
)

func TestImport(t *testing.T) {
	svc := service(t, image.Options{Source: downloads(t, "")})
	c := wiretest.New(t, glance.API(svc)).As(wiretest.Member("p1"))
	ops := c.As(wiretest.Admin("ops"))

	id := create(t, c, nil)
	path := "/image/v2/images/" + id
	for _, body := range []wire.M{
		{}, {"method": "glance-direct"}, {"method": wire.M{}}, {"method": wire.M{"name": "copy-image"}}, {"method": wire.M{"name": "web-download"}},
		{"method": wire.M{"name": "web-download", "uri": "http://127.0.0.1/"}}, {"method": wire.M{"name": "glance-direct"}, "all_stores": "yes"},
		{"method": wire.M{"name": "glance-direct"}, "stores": []string{"ceph"}},
	} {
		c.Do("POST", path+"/import", body).Want(t, 400)
	}
	direct := wire.M{"method": wire.M{"name": "glance-direct"}, "all_stores": true}
	c.Do("POST", path+"/import", direct).Want(t, 409)
	c.With("Content-Type", "text/plain").Do("PUT", path+"/stage", []byte("x")).Want(t, 415)
	c.With("Content-Type", "application/octet-stream").Do("PUT", path+"/stage", []byte("the bytes")).Want(t, 204)
	r := c.Do("GET", path, nil).Want(t, 200)
	if r.Text("status") != "uploading" || r.Get("size") != nil || r.Get("os_hash_value") != nil {
		t.Errorf("%s", r.Body)
	}
	accepted := c.Do("POST", path+"/import", direct).Want(t, 202)
	if some, err := svc.ImportNext(t.Context()); !some || err != nil {
		t.Fatal(some, err)
	}
	r = c.Do("GET", path+"/tasks", nil).Want(t, 200)
	task := r.Text("tasks", 0, "id")
	if r.Text("tasks", 0, "status") != "success" || r.Text("tasks", 0, "input", "import_req", "method", "name") != "glance-direct" ||
		r.Text("tasks", 0, "request_id") != accepted.Header.Get("X-Openstack-Request-Id") || r.Text("tasks", 0, "image_id") != id {
		t.Errorf("%s", r.Body)
	}
	if r = c.Do("GET", path, nil).Want(t, 200); r.Text("status") != "active" || r.Get("size") != 9.0 {
		t.Errorf("%s", r.Body)
	}
	c.Do("GET", "/image/v2/tasks", nil).Want(t, 403)
	if r = ops.Do("GET", "/image/v2/tasks?limit=1&status=success", nil).Want(t, 200); r.Text("tasks", 0, "id") != task || r.Get("tasks", 0, "input") != nil {
		t.Errorf("%s", r.Body)
	}
	ops.Do("GET", "/image/v2/tasks?status=odd", nil).Want(t, 400)
	ops.Do("GET", "/image/v2/tasks/"+task, nil).Want(t, 200)
	ops.Do("GET", "/image/v2/tasks/none", nil).Want(t, 404)
	ops.Do("DELETE", "/image/v2/tasks/"+task, nil).Want(t, 405)
	c.Do("GET", "/image/v2/images?sort_dir=up", nil).Want(t, 400)
	if r = c.Do("GET", "/image/v2/info/import", nil).Want(t, 200); !strings.Contains(string(r.Body), `["glance-direct","web-download"]`) {
		t.Errorf("%s", r.Body)
	}
}
