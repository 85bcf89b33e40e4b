package glance_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

const patch = "application/openstack-images-v2.1-json-patch"

// client calls a fresh service as a member of p1.
func client(t *testing.T) *wiretest.Client {
	t.Helper()
	return wiretest.New(t, glance.API(service(t, image.Options{}))).As(wiretest.Member("p1"))
}

// service is a fresh one.
func service(t *testing.T, options image.Options) *image.Service {
	t.Helper()
	st, err := store.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	blobs, err := blob.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return image.New(st, cloud.NewFakeClock(), blobs, options)
}

func create(t *testing.T, c *wiretest.Client, more wire.M) string {
	t.Helper()
	body := wire.M{"name": "ember", "disk_format": "raw", "container_format": "bare"}
	for k, v := range more {
		body[k] = v
	}
	return c.Do("POST", "/image/v2/images", body).Want(t, 201).Text("id")
}

func upload(t *testing.T, c *wiretest.Client, id string, data []byte) *wiretest.Reply {
	t.Helper()
	return c.With("Content-Type", "application/octet-stream").Do("PUT", "/image/v2/images/"+id+"/file", data)
}

func TestVersions(t *testing.T) {
	c := wiretest.New(t, glance.API(nil))
	for path, status := range map[string]int{"/image": 300, "/image/": 300, "/image/versions": 200} {
		r := c.Do("GET", path, nil).Want(t, status)
		if r.Text("versions", 0, "id") != "v2.16" || r.Text("versions", 0, "status") != "CURRENT" || r.Text("versions", 1, "id") != "v2.15" ||
			r.Text("versions", 0, "links", 0, "href") != "http://cloud.test:5000/image/v2/" || r.Text("versions", 11, "id") != "v2.0" {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
}

// TestImageJSON compares whole images with what glance answers.
func TestImageJSON(t *testing.T) {
	c := client(t)
	id := "11111111-2222-4333-8444-555555555555"
	r := c.Do("POST", "/image/v2/images", wire.M{"id": id, "name": "ember", "os_distro": "debian", "tags": []string{"a"}, "min_ram": 64}).Want(t, 201)
	if got := r.Header.Get("Location"); got != "http://cloud.test:5000/image/v2/images/"+id {
		t.Errorf("Location %q", got)
	}
	want := wire.M{
		"id": id, "name": "ember", "status": "queued", "visibility": "shared", "protected": false, "os_hidden": false, "owner": "p1",
		"checksum": nil, "os_hash_algo": nil, "os_hash_value": nil, "size": nil, "virtual_size": nil, "container_format": nil, "disk_format": nil,
		"min_disk": 0.0, "min_ram": 64.0, "tags": []any{"a"}, "os_distro": "debian", "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
		"self": "/v2/images/" + id, "file": "/v2/images/" + id + "/file", "schema": "/v2/schemas/image",
	}
	equal := func(r *wiretest.Reply) {
		t.Helper()
		var got wire.M
		r.Into(&got)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	equal(r)
	equal(c.Do("GET", "/image/v2/images/"+id, nil).Want(t, 200))
	r = c.With("Content-Type", patch).Do("PATCH", "/image/v2/images/"+id, `[{"op":"add","path":"/disk_format","value":"raw"},{"op":"replace","path":"/container_format","value":"bare"}]`).Want(t, 200)
	want["disk_format"], want["container_format"] = "raw", "bare"
	equal(r)
	upload(t, c, id, []byte("hello")).Want(t, 204)
	want["status"], want["size"], want["virtual_size"], want["checksum"] = "active", 5.0, 5.0, "5d41402abc4b2a76b9719d911017c592"
	want["os_hash_algo"] = "sha512"
	want["os_hash_value"] = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"
	equal(c.Do("GET", "/image/v2/images/"+id, nil))
}

func TestUploadAndDownload(t *testing.T) {
	c := client(t)
	id := create(t, c, nil)
	path := "/image/v2/images/" + id + "/file"
	c.Do("GET", path, nil).Want(t, 204)
	c.With("Content-Type", "text/plain").Do("PUT", path, "x").Want(t, 415)
	c.Do("PUT", path, "x").Want(t, 415)
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	upload(t, c, id, data).Want(t, 204)
	upload(t, c, id, data).Want(t, 409)
	r := c.Do("GET", path, nil).Want(t, 200)
	sum := md5.Sum(data)
	if !bytes.Equal(r.Body, data) || r.Header.Get("Content-Length") != "1000000" || r.Header.Get("Content-Md5") != hex.EncodeToString(sum[:]) || r.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes, %v", len(r.Body), r.Header)
	}
	for header, part := range map[string]string{
		"bytes=0-3": "0-3", "bytes=999990-": "999990-999999", "bytes=-4": "999996-999999", "bytes=5-5": "5-5", "bytes=999999-2000000": "999999-999999", "bytes=-2000000": "0-999999",
	} {
		r := c.With("Range", header).Do("GET", path, nil).Want(t, 206)
		var from, to int
		fmt.Sscanf(part, "%d-%d", &from, &to)
		if !bytes.Equal(r.Body, data[from:to+1]) || r.Header.Get("Content-Range") != "bytes "+part+"/1000000" || r.Header.Get("Content-Length") != fmt.Sprint(to+1-from) {
			t.Errorf("%s: %d bytes, %v", header, len(r.Body), r.Header)
		}
	}
	for _, header := range []string{"bytes=1000000-", "bytes=7-3", "bytes=-0"} {
		c.With("Range", header).Do("GET", path, nil).Want(t, 416)
	}
	for _, header := range []string{"bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes=-"} {
		if r := c.With("Range", header).Do("GET", path, nil).Want(t, 200); len(r.Body) != len(data) {
			t.Errorf("%s: %d bytes", header, len(r.Body))
		}
	}
}

func TestWrongClaimSaysWhy(t *testing.T) {
	c := client(t)
	id := create(t, c, wire.M{"disk_format": "qcow2"})
	r := upload(t, c.With("Accept", "*/*"), id, []byte("these are raw bytes")).Want(t, 400)
	if !strings.Contains(string(r.Body), "was named qcow2, but its bytes are") || !strings.Contains(string(r.Body), "400 Bad Request") {
		t.Errorf("%s", r.Body)
	}
	if got := c.Do("GET", "/image/v2/images/"+id, nil).Text("status"); got != "queued" {
		t.Errorf("status %s", got)
	}
	empty := c.Do("POST", "/image/v2/images", wire.M{}).Want(t, 201).Text("id")
	upload(t, c, empty, []byte("x")).Want(t, 400)
}

// counted notes how much of a body was read.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestRefusedUploadIsRead wants a refused body to be read to its end: clients
// that are cut off while they send never see the reason.
func TestRefusedUploadIsRead(t *testing.T) {
	c := client(t)
	id := create(t, c, wire.M{"disk_format": "qcow2"})
	body := &counted{Reader: bytes.NewReader(make([]byte, 2<<20))}
	c.With("Content-Type", "application/octet-stream").Do("PUT", "/image/v2/images/"+id+"/file", body).Want(t, 400)
	if body.n != 2<<20 {
		t.Errorf("%d bytes were read", body.n)
	}
}

func TestPatch(t *testing.T) {
	c := client(t)
	id := create(t, c, wire.M{"a": "1"})
	for _, p := range []struct {
		format, body string
		status       int
	}{
		{patch, `[{"op":"add","path":"/b","value":"2"},{"op":"replace","path":"/a","value":"3"},{"op":"remove","path":"/b"}]`, 200},
		{patch, `[{"op":"add","path":"/a~1b~0","value":"x"}]`, 200},
		{"application/openstack-images-v2.0-json-patch", `[{"replace":"/name","value":"n"},{"add":"/c","value":"4"},{"remove":"/c"}]`, 200},
		{"application/openstack-images-v2.0-json-patch", `[{"add":"/a","value":"again"}]`, 409},
		{"application/openstack-images-v2.0-json-patch", `[{"add":"/a","remove":"/b"}]`, 400},
		{patch + "; charset=utf-8", `[]`, 200},
		{"application/json", `[]`, 415},
		{"", `[]`, 415},
		{patch, `{}`, 400},
		{patch, `[1]`, 400},
		{patch, `[{"op":"move","path":"/a"}]`, 400},
		{patch, `[{"path":"/a"}]`, 400},
		{patch, `[{"op":"add"}]`, 400},
		{patch, `[{"op":"add","path":"/b"}]`, 400},
		{patch, `[{"op":"add","path":"b","value":"x"}]`, 400},
		{patch, `[{"op":"add","path":"/","value":"x"}]`, 400},
		{patch, `[{"op":"add","path":"/b/","value":"x"}]`, 400},
		{patch, `[{"op":"add","path":"/b/c","value":"x"}]`, 400},
		{patch, `[{"op":"add","path":"/b~2","value":"x"}]`, 400},
		{patch, `[{"op":"add","path":"/locations/-","value":{}}]`, 403},
		{patch, `[{"op":"replace","path":"/status","value":"active"}]`, 403},
		{patch, `[{"op":"replace","path":"/visibility","value":"public"}]`, 403},
		{patch, `[{"op":"remove","path":"/nix"}]`, 409},
	} {
		c.With("Content-Type", p.format).Do("PATCH", "/image/v2/images/"+id, p.body).Want(t, p.status)
	}
	r := c.Do("GET", "/image/v2/images/"+id, nil)
	if r.Text("a") != "3" || r.Text("a/b~") != "x" || r.Text("name") != "n" || r.Get("b") != nil {
		t.Errorf("%s", r.Body)
	}
}

func TestListPages(t *testing.T) {
	c := client(t)
	for i := range 5 {
		create(t, c, wire.M{"name": fmt.Sprint("n", i), "os": "x", "tags": []string{"t"}})
	}
	next, got := "/v2/images?limit=2&sort_key=name&sort_dir=asc&os=x&tag=t", ""
	for pages := 0; next != "" && pages < 4; pages++ {
		r := c.Do("GET", "/image"+next, nil).Want(t, 200)
		for i := 0; r.Get("images", i) != nil; i++ {
			got += r.Text("images", i, "name") + " "
		}
		if r.Text("schema") != "/v2/schemas/images" || !strings.HasPrefix(r.Text("first"), "/v2/images?limit=2&") || strings.Contains(r.Text("first"), "marker") {
			t.Errorf("%s", r.Body)
		}
		next = r.Text("next")
	}
	if got != "n0 n1 n2 n3 n4 " {
		t.Errorf("got %q", got)
	}
	if r := c.Do("GET", "/image/v2/images?limit=0", nil).Want(t, 200); r.Get("images", 0) != nil || !strings.Contains(string(r.Body), `"images":[]`) {
		t.Errorf("%s", r.Body)
	}
	for query, first := range map[string]string{
		"name=n3": "n3", "name=in:n9,n1": "n1", "name=in:\"n2\"": "n2", "sort=name:asc": "n0", "sort=name": "n4", "sort_key=name": "n4",
		"sort_key=name&sort_key=id&sort_dir=asc": "n0", "created_at=gte:2026-01-01T00:00:00Z&sort=name": "n4", "created_at=lt:2026-01-01": "",
		"status=queued&sort=name:asc": "n0", "status=active": "", "size_min=1": "", "visibility=private": "", "visibility=shared&sort=name": "n4",
		"os_hidden=true": "", "protected=false&sort=name": "n4", "os=y": "", "owner=p2": "", "min_ram=0&sort=name": "n4", "tag=t&tag=u": "",
	} {
		if r := c.Do("GET", "/image/v2/images?"+query, nil).Want(t, 200); r.Text("images", 0, "name") != first {
			t.Errorf("%s: %s", query, r.Text("images", 0, "name"))
		}
	}
	for _, query := range []string{
		"limit=x", "limit=-1", "marker=nix", "sort_key=tags", "sort_key=name&sort_dir=up", "sort=name:asc&sort_key=id", "visibility=x", "member_status=x",
		"created_at=like:2026-01-01", "created_at=soon", "size_min=x", "size_max=-1", "os_hidden=maybe", "name=in:%22a",
	} {
		c.Do("GET", "/image/v2/images?"+query, nil).Want(t, 400)
	}
}

func TestMembersOnTheWire(t *testing.T) {
	c := client(t)
	path := "/image/v2/images/" + create(t, c, nil) + "/members"
	r := c.Do("POST", path, wire.M{"member": "p2"}).Want(t, 200)
	var got wire.M
	r.Into(&got)
	if len(got) != 6 || got["member_id"] != "p2" || got["status"] != "pending" || got["schema"] != "/v2/schemas/member" || got["created_at"] != "2026-01-02T03:04:05Z" {
		t.Errorf("%v", got)
	}
	other := c.As(wiretest.Member("p2"))
	if r := other.Do("PUT", path+"/p2", wire.M{"status": "accepted"}).Want(t, 200); r.Text("status") != "accepted" {
		t.Errorf("%s", r.Body)
	}
	if r := c.Do("GET", path, nil).Want(t, 200); r.Text("members", 0, "status") != "accepted" || r.Text("schema") != "/v2/schemas/members" {
		t.Errorf("%s", r.Body)
	}
	other.Do("GET", path+"/p2", nil).Want(t, 200)
	other.Do("DELETE", path+"/p2", nil).Want(t, 403)
	other.Do("POST", path, wire.M{"member": "p3"}).Want(t, 403)
	c.Do("POST", path, wire.M{"member": "p2"}).Want(t, 409)
	c.Do("POST", path, wire.M{"member": 5}).Want(t, 400)
	c.Do("DELETE", path+"/p2", nil).Want(t, 204)
	c.Do("GET", path+"/p2", nil).Want(t, 404)
	other.Do("GET", path, nil).Want(t, 404)
}

func TestSmallOperations(t *testing.T) {
	c := client(t)
	id := create(t, c, nil)
	path := "/image/v2/images/" + id
	c.Do("PUT", path+"/tags/a%2Fb", nil).Want(t, 204)
	if got := c.Do("GET", path, nil).Text("tags", 0); got != "a/b" {
		t.Errorf("tag %q", got)
	}
	c.Do("DELETE", path+"/tags/a%2Fb", nil).Want(t, 204)
	c.Do("DELETE", path+"/tags/a%2Fb", nil).Want(t, 404)
	c.Do("POST", path+"/actions/deactivate", nil).Want(t, 403)
	upload(t, c, id, []byte("x")).Want(t, 204)
	c.Do("POST", path+"/actions/deactivate", nil).Want(t, 204)
	c.Do("GET", path+"/file", nil).Want(t, 403)
	c.As(wiretest.Admin("ops")).Do("POST", path+"/actions/reactivate", nil).Want(t, 204)
	c.Do("GET", path+"/file", nil).Want(t, 200)
	c.Do("DELETE", path, nil).Want(t, 204)
	for _, method := range []string{"GET", "DELETE"} {
		c.Do(method, path, nil).Want(t, 404)
	}
	c.Do("GET", "/image/v2/images/!@$%25^&*()", nil).Want(t, 404)
	c.Do("DELETE", "/image/v2/images/", nil).Want(t, 404)
	c.Do("GET", "/image/v2/info/stores", nil).Want(t, 404)
	if r := c.Do("GET", "/image/v2/info/import", nil).Want(t, 200); !strings.Contains(string(r.Body), `"value":["glance-direct"]`) {
		t.Errorf("%s", r.Body)
	}
	c.Do("POST", path+"/import", wire.M{"method": wire.M{"name": "glance-direct"}}).Want(t, 404)
	c.Do("POST", path+"/import", wire.M{}).Want(t, 400)
}

// TestRoles goes through the policies: a reader reads, a member writes, others
// do neither.
func TestRoles(t *testing.T) {
	c := client(t)
	path := "/image/v2/images/" + create(t, c, nil)
	reader := c.As(wiretest.Reader("p1"))
	reader.Do("GET", path, nil).Want(t, 200)
	reader.Do("GET", "/image/v2/images", nil).Want(t, 200)
	for _, do := range []struct{ method, path string }{
		{"POST", "/image/v2/images"}, {"PATCH", path}, {"DELETE", path}, {"PUT", path + "/file"}, {"PUT", path + "/tags/x"}, {"POST", path + "/members"}, {"POST", path + "/actions/deactivate"},
	} {
		reader.Do(do.method, do.path, wire.M{}).Want(t, 403)
		c.With("X-Auth-Token", "").Do(do.method, do.path, wire.M{}).Want(t, 401)
	}
	c.As(cloud.Caller{UserID: "u"}).Do("GET", path, nil).Want(t, 403) // a token without a scope
	c.As(wiretest.Member("p2")).Do("GET", path, nil).Want(t, 404)
	c.Do("POST", "/image/v2/images", wire.M{"visibility": "public"}).Want(t, 403)
	public := create(t, c.As(wiretest.Admin("ops")), wire.M{"visibility": "public"})
	c.Do("GET", "/image/v2/images/"+public, nil).Want(t, 200)
	c.Do("DELETE", "/image/v2/images/"+public, nil).Want(t, 403)
}

func TestSchemas(t *testing.T) {
	c := client(t)
	for _, name := range []string{"image", "images", "member", "members"} {
		if r := c.Do("GET", "/image/v2/schemas/"+name, nil).Want(t, 200); r.Text("name") != name {
			t.Errorf("%s: %s", name, r.Body)
		}
	}
	// What is rendered, and nothing else, is in the schema.
	r := c.Do("GET", "/image/v2/schemas/image", nil)
	var img wire.M
	c.Do("GET", "/image/v2/images/"+create(t, c, nil), nil).Into(&img)
	for name := range img {
		if r.Get("properties", name) == nil {
			t.Errorf("%s is not in the schema", name)
		}
	}
	if r.Get("properties", "status", "readOnly") != true || r.Get("properties", "kernel_id", "is_base") != false {
		t.Errorf("%s", r.Body)
	}
}
