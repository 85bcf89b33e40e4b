package glance_test

import (
	"bytes"
	"fmt"
	"testing"

	"hearth/internal/openstack/wire/wiretest"
)

// part sends bytes from to to of an image that is to be of total bytes.
func part(c *wiretest.Client, id string, data []byte, from, to int) *wiretest.Reply {
	return c.With("Content-Type", "application/octet-stream").With("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(data))).
		Do("PUT", "/image/v2/images/"+id+"/file", data[from:to])
}

func TestUploadInParts(t *testing.T) {
	c := client(t)
	id := create(t, c, nil)
	path := "/image/v2/images/" + id + "/file"
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	offset := func(want string) {
		t.Helper()
		if got := c.Do("GET", path, nil).Want(t, 204).Header.Get("Upload-Offset"); got != want {
			t.Errorf("%q came, want %q", got, want)
		}
	}
	offset("0")
	if got := part(c, id, data, 0, 100_000).Want(t, 202).Header.Get("Upload-Offset"); got != "100000" {
		t.Errorf("%s came", got)
	}
	offset("100000")
	if got := c.Do("GET", "/image/v2/images/"+id, nil).Text("status"); got != "queued" {
		t.Errorf("between parts the image is %s", got)
	}
	part(c, id, data, 0, 100_000).Want(t, 409)
	part(c, id, data, 200_000, 300_000).Want(t, 409)
	offset("100000")
	part(c, id, data, 100_000, 299_999).Want(t, 202)
	part(c, id, data, 299_999, 300_000).Want(t, 204)
	if r := c.Do("GET", path, nil).Want(t, 200); !bytes.Equal(r.Body, data) {
		t.Errorf("%d bytes came back", len(r.Body))
	}
	part(c, id, data, 0, 1).Want(t, 409)
}

func TestBadParts(t *testing.T) {
	c := client(t)
	id := create(t, c, nil)
	path := "/image/v2/images/" + id + "/file"
	for _, header := range []string{"bytes", "bytes */10", "bytes 0-9", "bytes 0-9/*", "bytes -1-8/10", "bytes 5-4/10", "bytes 0-10/10", "lines 0-9/10", "bytes 0-9/99999999999999999999", "bytes +0-9/10"} {
		c.With("Content-Type", "application/octet-stream").With("Content-Range", header).Do("PUT", path, []byte("0123456789")).Want(t, 400)
	}
	c.With("Content-Type", "application/octet-stream").With("Content-Range", "bytes 0-4/10").Do("PUT", path, []byte("0123456789")).Want(t, 400)
	// A whole upload takes the place of parts.
	data := []byte("0123456789")
	part(c, id, data, 0, 4).Want(t, 202)
	upload(t, c, id, []byte("whole")).Want(t, 204)
	if r := c.Do("GET", path, nil).Want(t, 200); string(r.Body) != "whole" {
		t.Errorf("got %q", r.Body)
	}
}
