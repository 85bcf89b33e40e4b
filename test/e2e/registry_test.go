package e2e

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// bakedFolder is what a bake leaves, of random bytes, and a key that signs.
func bakedFolder(t *testing.T, c *theCloud) (dir, manifest, key string) {
	t.Helper()
	dir = tempDir(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	randomFile(t, file("random"), 20<<20)
	c.run(os.Environ(), "/usr/bin/qemu-img", "convert", "-f", "raw", "-O", "qcow2", file("random"), file("web.qcow2"))
	text := must(json.Marshal(map[string]any{"recipe": "web", "user": "debian", "files": []any{map[string]any{"file": "web.qcow2", "sha256": sumOf(t, file("web.qcow2"))}}}))(t)
	for name, b := range map[string]string{"web.json": string(text), "web.sbom.spdx.json": `{"spdxVersion": "SPDX-2.3"}`, "web.sources.txt": "sources\n", "web.licences.txt": "licences\n", "password": "secret\n"} {
		if err := os.WriteFile(file(name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.run(os.Environ(), "/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file("key"))
	return dir, file("web.json"), file("key")
}

// sha512Of is a file's SHA-512.
func sha512Of(t *testing.T, path string) string {
	t.Helper()
	sum := sha512.Sum512(must(os.ReadFile(path))(t))
	return hex.EncodeToString(sum[:])
}

// stuckProxy is a registry by another address, where a large file stops after its first MiB: began
// is closed then, and it breaks off when killed is.
func stuckProxy(t *testing.T, address string) (at string, began, killed chan struct{}) {
	t.Helper()
	began, killed = make(chan struct{}), make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.ContentLength > 1<<20 {
			body := r.Body
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(body, 1<<20), readerFunc(func([]byte) (int, error) {
				close(began)
				<-killed
				return 0, io.ErrUnexpectedEOF
			})), body}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), began, killed
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestPublishToARegistry publishes to Debian's registry, which wants a login; a first try is
// killed while the disk goes, and leaves no tag. skopeo reads the image, a cloud that has the
// login imports it byte for byte, and another does not.
func TestPublishToARegistry(t *testing.T) {
	logins := filepath.Join(tempDir(t), "logins.json")
	open := importing(t)
	dir, manifest, key := bakedFolder(t, open)
	file := func(name string) string { return filepath.Join(dir, name) }
	hash := must(bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost))(t)
	if err := os.WriteFile(file("htpasswd"), []byte("anna:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := registry(t, fmt.Sprintf("auth: {htpasswd: {realm: here, path: %s}}", file("htpasswd")))
	publish := func(to string) *exec.Cmd {
		cmd := exec.Command(open.bin, "bake", "publish", manifest, "--key", key, "--registry", to+"/images/web:1", "--username", "anna", "--password-file", file("password"))
		cmd.Env = append(os.Environ(), open.conf...)
		return cmd
	}

	stuck, began, over := stuckProxy(t, address)
	killed := publish(stuck)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-began:
	case <-time.After(patience):
		t.Error("no large file was sent")
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()
	close(over)
	skopeo := func(args ...string) (string, error) {
		return open.try(os.Environ(), "/usr/bin/skopeo", append([]string{"--insecure-policy"}, args...)...)
	}
	ref := "docker://" + address + "/images/web:1"
	if out, err := skopeo("inspect", "--tls-verify=false", "--creds", "anna:secret", ref); err == nil {
		t.Errorf("what was killed left a tag: %s", out)
	}
	out := must(publish(address).CombinedOutput())(t)
	digest := strings.TrimSpace(string(out[bytes.LastIndex(out, []byte("digest"))+6:]))
	if !strings.Contains(string(out), "web.qcow2.tar: ") || strings.Contains(string(out), "secret") {
		t.Errorf("%s", out)
	}
	if again := must(publish(address).CombinedOutput())(t); strings.Contains(string(again), "MB") || !strings.Contains(string(again), digest) {
		t.Errorf("sent again: %s", again)
	}
	var seen struct{ Digest, Architecture string }
	text, err := skopeo("inspect", "--tls-verify=false", "--creds", "anna:secret", ref)
	if err != nil || json.Unmarshal([]byte(text), &seen) != nil || seen.Digest != digest || seen.Architecture != "amd64" {
		t.Fatalf("%s, not %s: %v", text, digest, err)
	}
	if text, err := skopeo("copy", "--src-tls-verify=false", "--src-creds", "anna:secret", ref, "dir:"+file("copied")); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	fallback := "docker://" + address + "/images/web:" + strings.Replace(digest, ":", "-", 1) // this registry has no list of referrers
	if text, err := skopeo("inspect", "--raw", "--tls-verify=false", "--creds", "anna:secret", fallback); err != nil || strings.Count(text, `"artifactType"`) != 3 {
		t.Errorf("%v: %s", err, text)
	}

	failed := exec.Command(open.bin, "image", "import", ref, "--name", "none", "--disk-format", "qcow2")
	failed.Env = append(os.Environ(), open.conf...)
	if out, err := failed.CombinedOutput(); err == nil || !strings.Contains(string(out), "image.registry_logins") {
		t.Errorf("a cloud without the login: %v: %s", err, out)
	}
	if text, err := skopeo("login", "--authfile", logins, "--tls-verify=false", "-u", "anna", "-p", "secret", address); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	c := newCloud(t, "fake", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8", "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_IMAGE_REGISTRY_LOGINS="+logins)
	said := c.hearth("image", "import", ref, "--name", "web", "--disk-format", "qcow2")
	id := strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), " ")+1:])
	c.client("openstack", "image", "save", "--file", file("back"), id)
	if got, want := sha512Of(t, file("back")), sha512Of(t, file("web.qcow2")); got != want {
		t.Errorf("%s came, and %s was published", got, want)
	}
	shown := c.client("openstack", "image", "show", id, "-f", "json")
	if strings.Contains(shown, "anna") || strings.Contains(shown, "secret") {
		t.Error(shown)
	}
}
