package glance_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk/rendition"
	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
)

func TestDownloadInAnotherFormat(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip(err)
	}
	shop := rendition.New(filepath.Join(t.TempDir(), "renditions"), 4<<30)
	c := wiretest.New(t, glance.API(service(t, image.Options{Shop: shop}))).As(wiretest.Member("p1"))
	id := create(t, c, nil)
	file := "/image/v2/images/" + id + "/file?format="
	c.Do("GET", file+"qcow2", nil).Want(t, 204)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	upload(t, c, id, data).Want(t, 204)
	if r := c.Do("GET", file+"floppy", nil).Want(t, 400); !strings.Contains(string(r.Body), "qcow2, raw, vmdk, vdi, vhd, vhdx, ova, tar.zst, tar.gz, tar, dump") {
		t.Errorf("%s", r.Body)
	}
	c.As(wiretest.Member("p2")).Do("GET", file+"qcow2", nil).Want(t, 404)
	whole := c.Do("GET", file+"vdi", nil).Want(t, 200)
	sum := md5.Sum(whole.Body)
	tag := whole.Header.Get("Etag")
	if whole.Header.Get("Content-MD5") != hex.EncodeToString(sum[:]) || tag == "" || bytes.Equal(whole.Body, data) {
		t.Errorf("%v", whole.Header)
	}
	rest := c.With("Range", "bytes=1000-").With("If-Range", tag).Do("GET", file+"vdi", nil).Want(t, 206)
	if !bytes.Equal(rest.Body, whole.Body[1000:]) || rest.Header.Get("Content-MD5") != "" || !strings.HasPrefix(rest.Header.Get("Content-Range"), "bytes 1000-") {
		t.Errorf("the rest is not of the same: %v", rest.Header)
	}
	if r := c.With("Range", "bytes=1000-").With("If-Range", `"other"`).Do("GET", file+"vdi", nil).Want(t, 200); !bytes.Equal(r.Body, whole.Body) {
		t.Error("not all of it, though it is another")
	}
	packed := create(t, c, wire.M{"disk_format": "vdi"})
	upload(t, c, packed, whole.Body).Want(t, 204)
	file = "/image/v2/images/" + packed + "/file?format="
	c.With("Range", "bytes=99999999-").Do("GET", file+"raw", nil).Want(t, 416)
	for form, want := range map[string][]byte{"raw": data, "vdi": whole.Body} {
		if r := c.Do("GET", file+form, nil).Want(t, 200); !bytes.Equal(r.Body, want) {
			t.Errorf("%s: %d bytes", form, len(r.Body))
		}
	}
}
