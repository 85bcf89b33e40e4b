package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// TestUploadGoesOn kills an upload half way, and the cloud too, and has it go on;
// tokens are good for a second all the while.
func TestUploadGoesOn(t *testing.T) {
	needE2E(t)
	c := newCloud(t, "fake", "HEARTH_IDENTITY_TOKEN_LIFE=1s", "HEARTH_IDENTITY_BCRYPT_COST=4")
	s := c.session()
	const size = 400 << 20
	file := filepath.Join(tempDir(t), "big.raw")
	want := randomFile(t, file, size)
	args := []string{"image", "upload", "--name", "big", "--property", "os_distro=debian", file}
	cmd := exec.Command(c.bin, args...)
	cmd.Env = append(os.Environ(), c.conf...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var id string
	eventually(t, "half of the image came", func() bool {
		id = s.imageNamed("big")
		return id != "" && s.came(id) >= size/2
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	c.kill()
	c.up()
	s = c.session()
	came := s.came(id)
	if came < size/2 || came >= size {
		t.Fatalf("%d of %d bytes came before the kill", came, size)
	}
	out := must(c.tryBoth(args...))(t)
	if !strings.Contains(out, "Added new image with ID: "+id) {
		t.Errorf("the second upload says:\n%s", out)
	}
	on := regexp.MustCompile(`goes on at ([0-9]+) %`).FindStringSubmatch(out)
	if on == nil || number(t, on[1]) != int(100*came/size) {
		t.Errorf("it went on at %v, want %d %%:\n%s", on, 100*came/size, out)
	}
	image := must(images.Get(s.ctx, s.image, id).Extract())(t)
	if image.Status != "active" || image.SizeBytes != size || image.Properties["os_distro"] != "debian" || image.Properties["hearth_upload"] != nil {
		t.Errorf("%+v", image)
	}
	body := must(imagedata.Download(s.ctx, s.image, id).Extract())(t)
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil || !bytes.Equal(sum.Sum(nil), want) {
		t.Errorf("what came back is not what was sent: %v", err)
	}
	t.Logf("killed at %d of %d bytes; then:\n%s", came, size, out)
}

// tryBoth runs hearth and gives both of its outputs.
func (c *theCloud) tryBoth(args ...string) (string, error) {
	cmd := exec.Command(c.bin, args...)
	cmd.Env = append(os.Environ(), c.conf...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// randomFile writes a file and gives its SHA-256.
func randomFile(t *testing.T, path string, size int64) []byte {
	t.Helper()
	f := must(os.Create(path))(t)
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, sum), rand.NewChaCha8([32]byte{1}), size); err != nil {
		t.Fatal(err)
	}
	return sum.Sum(nil)
}

// imageNamed is the id of an image; "" for none.
func (s *session) imageNamed(name string) string {
	s.t.Helper()
	list := must(images.ExtractImages(must(images.List(s.image, images.ListOpts{Name: name}).AllPages(s.ctx))(s.t)))(s.t)
	if len(list) == 0 {
		return ""
	}
	return list[0].ID
}

// came is how many bytes came of an image that is uploaded in parts; 0 while a part comes.
func (s *session) came(id string) int64 {
	s.t.Helper()
	resp, err := s.image.Request(s.ctx, http.MethodGet, s.image.ServiceURL("images", id, "file"), &gophercloud.RequestOpts{OkCodes: []int{200, 204}})
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	n, _ := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	return n
}

// amiArchive packs ember's kernel, ramdisk and root file system as Ubuntu packed its
// images: the root first, other files between.
func amiArchive(t *testing.T, ember baked) string {
	t.Helper()
	path := filepath.Join(tempDir(t), "ember-uec.tar.gz")
	f := must(os.Create(path))(t)
	defer f.Close()
	z := must(gzip.NewWriterLevel(f, gzip.BestSpeed))(t)
	w := tar.NewWriter(z)
	for _, m := range [][2]string{{"../ember-uec.img", ember.root}, {"README.files", "doc.go"}, {"ember-uec-vmlinuz-virtual", ember.kernel}, {"ember-uec-initrd-virtual", ember.ramdisk}} {
		body := must(os.Open(m[1]))(t)
		info := must(body.Stat())(t)
		if err := w.WriteHeader(&tar.Header{Name: m[0], Size: info.Size(), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		must(io.Copy(w, body))(t)
		body.Close()
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// archive boots what one archive with kernel, ramdisk and root holds.
func (g *stage) archive() {
	path := amiArchive(g.t, bakeImage(g.t, "ember"))
	id := strings.TrimSpace(g.hearth("image", "import-ami", "--name", "ember-uec", "--archive", path))
	image := must(images.Get(g.ctx, g.image, id).Extract())(g.t)
	if image.DiskFormat != "ami" || image.Properties["kernel_id"] == nil || image.Properties["ramdisk_id"] == nil {
		g.t.Errorf("%+v", image)
	}
	m := g.launch(g.flavor(3), wish{name: "unpacked", image: id, network: g.private, key: "me", group: "web", script: userScript})
	g.ready(m)
	g.giveFloating(m)
	in := sshTo(g.t, "ember", m.float, g.signer)
	checkDisk(g.t, in, 3)
	if got := in.run("cat /proc/cmdline"); !strings.Contains(got, "root=/dev/vda") {
		g.t.Errorf("its kernel was told %q", got)
	}
	g.remove(m)
}

// bench holds the disks of the forms of an image on a warm node against their goal: the
// middle one of five, for a busy host may keep one write waiting.
func (g *stage) bench() {
	for form, image := range map[string]string{"BARE qcow2": g.bare, "BARE raw": g.raw, "AMI": g.ami} {
		out := g.hearth("bench", "create", "--image", image, "--flavor", g.flavor(5), "--network", "private", "--count", "5")
		g.t.Logf("%s:\n%s", form, out)
		found := regexp.MustCompile(`(?m)^disk +5 +(\S+) +(\S+)`).FindStringSubmatch(out)
		if found == nil {
			g.t.Errorf("%s: no figures of the disk:\n%s", form, out)
			continue
		}
		if middle := must(time.ParseDuration(found[1]))(g.t); middle >= 2*time.Second {
			g.t.Errorf("%s: the disk took %s, want < 2 s", form, middle)
		}
	}
}
