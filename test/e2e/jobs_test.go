package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// TestImageJobs has the imports and uploads of images told, step by step, and what others
// wrote for Ganeti pushed and refused without any guest.
func TestImageJobs(t *testing.T) {
	needE2E(t)
	c := newCloud(t, "fake", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8", "HEARTH_IDENTITY_BCRYPT_COST=4")
	s := c.session()
	dir := tempDir(t)
	own := func(args ...string) string { return c.run(c.env, c.bin, args...) }
	data := bytes.Repeat([]byte("hearth\n"), 300000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/x" {
			_, _ = w.Write(data)
			return
		}
		http.NotFound(w, r)
	}))
	defer web.Close()
	address := strings.Replace(web.URL, "http://", "http://me:secret@", 1)
	fetch := func(name, uri string) {
		id := must(images.Create(s.ctx, s.image, images.CreateOpts{Name: name, DiskFormat: "raw", ContainerFormat: "bare"}).Extract())(t).ID
		c.client("glance", "image-import", id, "--import-method", "web-download", "--uri", uri)
	}
	fetch("fetched", address+"/x?token=t0ken")
	fetch("missed", address+"/none")
	tell := func(name, word string) (log string) {
		eventually(t, name+" is told", func() bool {
			log = own("job", "log", name, "--level", "debug")
			return strings.Contains(log, word)
		})
		t.Logf("%s:\n%s", name, log)
		return log
	}
	log := tell("fetched", "web-download")
	for _, want := range []string{"success", "open", web.URL + "/x\n", "fetch", "2100000 bytes, md5", "check", "raw as it was said to be, a disk of 2100000 bytes", "store"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "secret") || strings.Contains(log, "t0ken") {
		t.Errorf("what lets somebody in is told:\n%s", log)
	}
	task := strings.Fields(log)[2]
	if got := own("job", "log", task); !strings.HasPrefix(got, strings.SplitN(log, "\n", 2)[0]) || strings.Contains(got, "md5") {
		t.Errorf("by its task, without what was done in the steps:\n%s", got)
	}
	if log = tell("missed", "failure"); !strings.Contains(log, "404") || !strings.Contains(log, "Error") {
		t.Errorf("the failure is not told:\n%s", log)
	}
	file := filepath.Join(dir, "image")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	id := s.upload("sent", "raw", file, nil)
	if log = tell("sent", "upload"); !strings.Contains(log, "receive") || !strings.Contains(log, "store") {
		t.Errorf("the upload is not told:\n%s", log)
	}
	c.client("openstack", "image", "delete", id)
	if out, err := c.try(c.env, c.bin, "job", "log", id); err == nil {
		t.Errorf("of an image that is gone it is told: %s", out)
	}

	theirs := filepath.Join(dir, "theirs")
	if err := os.Mkdir(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"create": "#!/bin/sh\n", "ganeti_api_version": "20\n"} {
		if err := os.WriteFile(filepath.Join(theirs, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.tenant("lab", "member")
	project := strings.TrimSpace(c.client("openstack", "project", "show", "lab", "-f", "value", "-c", "id"))
	member := c.asUser("lab", "pw-"+project, "lab")
	if out, err := c.try(member, c.bin, "os-def", "push", "theirs", theirs); err == nil {
		t.Errorf("who is no administrator pushed %s", out)
	} else {
		t.Logf("a member: %s", out)
	}
	if left := strings.TrimSpace(c.run(member, "/usr/bin/openstack", "image", "list", "--hidden", "-f", "value", "-c", "Name")); left != "" {
		t.Errorf("a refused push left the image %s", left)
	}
	for range 2 {
		if got := own("os-def", "push", "theirs", theirs, "--limit", "5m"); got != "theirs@1\n" {
			t.Errorf("an administrator pushed %q", got)
		}
	}
	if got := own("os-def", "list"); !strings.Contains(got, "foreign") {
		t.Errorf("the list is:\n%s", got)
	}
}
