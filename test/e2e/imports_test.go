package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// importing is a cloud that may fetch from this machine.
func importing(t *testing.T) *theCloud {
	t.Helper()
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("wants docker-registry and skopeo, and takes a minute: 'make e2e-all' runs this")
	}
	for _, program := range []string{"docker-registry", "skopeo", "minisign"} { // not in scripts/deps: the first would listen at port 5000
		if _, err := exec.LookPath("/usr/bin/" + program); err != nil {
			t.Fatalf("%v: apt-get install --no-install-recommends docker-registry skopeo minisign", err)
		}
	}
	return newCloud(t, "fake", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8", "HEARTH_IDENTITY_BCRYPT_COST=4")
}

// sumOf is a file's SHA-256.
func sumOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// layout writes an image of one layer as OCI's image layout: what skopeo pushes.
func layout(t *testing.T, dir, layer, kind string) {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(text []byte, kind string) map[string]any {
		sum := sha256.Sum256(text)
		name := hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(blobs, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"mediaType": kind, "digest": "sha256:" + name, "size": len(text)}
	}
	body, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	text := func(v any) []byte { return must(json.Marshal(v))(t) }
	sum := sha256.Sum256(body)
	config := put(text(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}}}), "application/vnd.oci.image.config.v1+json")
	manifest := put(text(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []any{put(body, kind)}}), "application/vnd.oci.image.manifest.v1+json")
	for name, b := range map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": text(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// registry starts Debian's docker-registry and gives its address. more are lines of its configuration.
func registry(t *testing.T, more ...string) string {
	t.Helper()
	dir, address := tempDir(t), freePort(t)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp: {addr: %s}\n%s\n", dir, address, strings.Join(more, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the registry answers", func() bool {
		resp, err := http.Get("http://" + address + "/v2/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized
	})
	return address
}

// TestImportsFromRegistries has the cloud fetch disks that skopeo pushed to Debian's
// registry: KubeVirt's way, as a layer by itself, and an overlay of files.
func TestImportsFromRegistries(t *testing.T) {
	c := importing(t)
	dir, address := tempDir(t), registry(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	randomFile(t, file("random"), 20<<20)
	c.run(os.Environ(), "/usr/bin/qemu-img", "convert", "-f", "raw", "-O", "qcow2", file("random"), file("disk.qcow2"))
	want := sumOf(t, file("disk.qcow2"))

	var contained bytes.Buffer
	w := tar.NewWriter(&contained)
	body := must(os.ReadFile(file("disk.qcow2")))(t)
	_ = w.WriteHeader(&tar.Header{Name: "disk/", Typeflag: tar.TypeDir, Mode: 0o755})
	_ = w.WriteHeader(&tar.Header{Name: "disk/image.img", Mode: 0o644, Size: int64(len(body))})
	_, _ = w.Write(body)
	if err := w.Close(); err != nil || os.WriteFile(file("layer.tar"), contained.Bytes(), 0o644) != nil {
		t.Fatal(err)
	}
	layout(t, file("containerdisk"), file("layer.tar"), "application/vnd.oci.image.layer.v1.tar")
	layout(t, file("oras"), file("disk.qcow2"), "application/vnd.example.disk.qcow2")
	for _, name := range []string{"containerdisk", "oras"} {
		ref := "docker://" + address + "/disks/" + name + ":one"
		c.run(os.Environ(), "/usr/bin/skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "oci:"+file(name), ref)
		out := c.hearth("image", "import", ref, "--name", name)
		id := strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), " ")+1:])
		c.client("openstack", "image", "save", "--file", file(name+".back"), id)
		if got := sumOf(t, file(name+".back")); got != want {
			t.Errorf("%s: %s came, and %s was pushed", name, got, want)
		}
	}
	c.hearth("os-def", "overlay", "put", "web", "docker://"+address+"/disks/containerdisk:one")
	if list := c.hearth("os-def", "overlay", "list"); !strings.Contains(list, "web@1") {
		t.Error(list)
	}
}

// TestCatalogImports brings the newest image of a server of this machine into the cloud:
// the cloud fetches it, by the sum that a signed list has; other bytes are refused.
func TestCatalogImports(t *testing.T) {
	c := importing(t)
	dir := tempDir(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"1.9", "1.10"} {
		if err := os.Mkdir(file(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	randomFile(t, file("1.10/disk-x86_64.img"), 8<<20)
	sums := sumOf(t, file("1.10/disk-x86_64.img")) + "  disk-x86_64.img\n"
	if err := os.WriteFile(file("1.10/SHA256SUMS"), []byte(sums), 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(os.Environ(), "/usr/bin/minisign", "-G", "-W", "-f", "-p", file("key.pub"), "-s", file("key"))
	c.run(os.Environ(), "/usr/bin/minisign", "-S", "-s", file("key"), "-m", file("1.10/SHA256SUMS"))
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer s.Close()
	text := fmt.Sprintf(`- {name: mine, title: Ours, arch: x86_64, os: debian, user: debian, image: "%[1]s/{v}/disk-{arch}.img", sums: "%[1]s/{v}/SHA256SUMS", signature: "%[1]s/{v}/SHA256SUMS.minisig", keys: [%[2]s],
   newest: [{name: v, at: "%[1]s/", match: 'href="([\d.]+)/"'}]}
`, s.URL, file("key.pub"))
	if err := os.WriteFile(filepath.Join(c.data, "catalog.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if list := c.hearth("image", "catalog"); !strings.Contains(list, "mine") || !strings.Contains(list, "never tested here") {
		t.Error(list)
	}
	var made struct{ ID, Version, Signed string }
	if err := json.Unmarshal([]byte(c.hearth("image", "catalog", "import", "mine", "--json")), &made); err != nil || made.Version != "1.10" || !strings.Contains(made.Signed, "minisign key") {
		t.Fatalf("%+v %v", made, err)
	}
	shown := c.client("openstack", "image", "show", made.ID, "-f", "json")
	for _, want := range []string{`"active"`, "hearth_catalog_version", `"debian"`, sumOf(t, file("1.10/disk-x86_64.img"))} {
		if !strings.Contains(shown, want) {
			t.Errorf("%s is not in %s", want, shown)
		}
	}
	body := must(os.ReadFile(file("1.10/disk-x86_64.img")))(t)
	body[5000] ^= 1
	if err := os.WriteFile(file("1.10/disk-x86_64.img"), body, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(c.bin, "image", "catalog", "import", "mine", "--name", "corrupt")
	cmd.Env = append(os.Environ(), c.conf...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "was refused") || c.session().imageNamed("corrupt") != "" {
		t.Errorf("a corrupt byte: %v\n%s", err, out)
	}
}

// slow gives a file at so many bytes a second.
func slow(t *testing.T, path string, rate int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer f.Close()
		info := must(f.Stat())(t)
		w.Header().Set("Content-Length", fmt.Sprint(info.Size()))
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.CopyN(w, f, int64(rate/20)); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestImportIsAsFastAsCurl times an import from a slow server beside curl, sees its
// progress each second, and cancels one.
func TestImportIsAsFastAsCurl(t *testing.T) {
	c := importing(t)
	dir := tempDir(t)
	path := filepath.Join(dir, "image.raw")
	randomFile(t, path, 100<<20)
	s := slow(t, path, 10<<20)
	began := time.Now()
	c.run(os.Environ(), "/usr/bin/curl", "-sS", "-o", filepath.Join(dir, "curl"), s.URL+"/image.raw")
	curl := time.Since(began)
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(c.bin, append([]string{"image", "import", "--disk-format", "raw"}, args...)...)
		cmd.Env = append(os.Environ(), c.conf...)
		return cmd
	}
	cmd := run("--name", "timed", "--sha256", sumOf(t, path), s.URL+"/image.raw")
	var said bytes.Buffer
	cmd.Stderr = &said
	began = time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatal(err, said.String())
	}
	took := time.Since(began)
	lines := strings.Count(said.String(), " left\n")
	t.Logf("curl %.2f s, import %.2f s: %.3f times; %d lines of progress\n%s", curl.Seconds(), took.Seconds(), took.Seconds()/curl.Seconds(), lines, said.String())
	if took > curl*11/10 || lines < int(took.Seconds())-2 {
		t.Errorf("the import took %.2f times as long as curl, and told %d times how far it is", took.Seconds()/curl.Seconds(), lines)
	}

	cmd = run("--name", "cancelled", s.URL+"/image.raw")
	said.Reset()
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	session := c.session()
	eventually(t, "the import begins", func() bool { return session.imageNamed("cancelled") != "" })
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "cancelled") {
		t.Errorf("%v: %s", err, said.String())
	}
	eventually(t, "the image is gone", func() bool { return session.imageNamed("cancelled") == "" })

	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	out := c.hearth("image", "import", "--disk-format", "raw", "--name", "mirrored", "--mirror", s.URL+"/image.raw", broken.URL+"/image.raw")
	if !strings.Contains(out, "Added new image") {
		t.Error(out)
	}
}

// TestPackagesBoot has the stock client upload ember as an OVA and as a tar.gz, and nova
// boots a guest of each. The package says SATA and Intel's card, for which ember's kernel
// has no drivers; what is set already it does not change.
func TestPackagesBoot(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots two guests: 'make e2e-all' runs this")
	}
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	s := c.session()
	dir := tempDir(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	c.hearth("image", "convert", ember.disk, "--to", "ova", "--ram", "256", "-o", file("ember.ova"))
	c.hearth("image", "convert", ember.disk, "--to", "tar.gz", "-o", file("ember.tar.gz"))
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	for name, args := range map[string][]string{"ova": {"vmdk", "ova", "ember.ova"}, "targz": {"raw", "bare", "ember.tar.gz"}} {
		image := strings.TrimSpace(c.client("openstack", "image", "create", "--disk-format", args[0], "--container-format", args[1], "--property", "hw_disk_bus=virtio", "--property", "hw_vif_model=virtio", "--file", file(args[2]), "-f", "value", "-c", "id", "ember-"+name))
		m := s.launch(s.flavor(2), wish{name: "of-" + name, image: image, network: s.networkNamed("private"), key: "me", group: "web"})
		s.ready(m)
		s.giveFloating(m)
		in := sshTo(t, "ember", m.float, signer)
		checkDisk(t, in, 2)
		if got := in.run("hostname"); got != "of-"+name {
			t.Errorf("%s: the guest is %q", name, got)
		}
		s.remove(m)
	}
}
