package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestORAS has ORAS's own command line, which HEARTH_E2E_ORAS names, read what was published
// to Debian's registry, and push a disk that a cloud imports byte for byte. Debian does not
// have it: 'go build oras.land/oras/cmd/oras' makes it.
func TestORAS(t *testing.T) {
	oras := os.Getenv("HEARTH_E2E_ORAS")
	if oras == "" {
		t.Skip("HEARTH_E2E_ORAS is not set: the path of ORAS's command line")
	}
	c := importing(t)
	dir, manifest, key := bakedFolder(t, c)
	file := func(name string) string { return filepath.Join(dir, name) }
	address := registry(t)
	image := address + "/images/web:1"
	run := func(args ...string) string {
		t.Helper()
		return c.run(append(os.Environ(), "DOCKER_CONFIG="+dir), oras, args...)
	}
	published := c.hearth("bake", "publish", manifest, "--key", key, "--registry", image)
	digest := strings.TrimSpace(published[strings.LastIndex(published, "digest")+6:])

	var described struct {
		Digest, MediaType string
	}
	if err := json.Unmarshal([]byte(run("manifest", "fetch", "--plain-http", "--descriptor", image)), &described); err != nil || described.Digest != digest {
		t.Errorf("%+v, not %s: %v", described, digest, err)
	}
	var found struct {
		Manifests []struct{ Digest, ArtifactType string }
	}
	tree := run("discover", "--plain-http", image)
	t.Log(tree)
	if err := json.Unmarshal([]byte(run("discover", "--plain-http", "--format", "json", image)), &found); err != nil || len(found.Manifests) != 3 {
		t.Fatalf("%+v: %v", found, err)
	}
	out := file("pulled")
	t.Log(run("pull", "--plain-http", "-o", out, image))
	command(t, "tar", "-C", out, "-xf", filepath.Join(out, "web.qcow2.tar"))
	if got, want := sha512Of(t, filepath.Join(out, "disk/web.qcow2")), sha512Of(t, file("web.qcow2")); got != want {
		t.Errorf("%s came, and %s was published", got, want)
	}
	for _, m := range found.Manifests {
		t.Log(run("pull", "--plain-http", "-o", out, address+"/images/web@"+m.Digest))
	}
	for _, name := range []string{"web.json", "web.sbom.spdx.json", "web.sources.txt", "web.licences.txt"} {
		if got, want := sha512Of(t, filepath.Join(out, name)), sha512Of(t, file(name)); got != want {
			t.Errorf("%s is another one", name)
		}
	}
	run("manifest", "fetch", "--plain-http", "-o", filepath.Join(out, "web.oci-manifest.json"), image)
	command(t, "sh", "-c", "cd "+out+" && sha256sum --ignore-missing --strict -c SHA256SUMS")
	signed(t, out, key, digest)

	run("push", "--plain-http", "--disable-path-validation", address+"/disks/own:1", file("web.qcow2"))
	said := c.hearth("image", "import", "docker://"+address+"/disks/own:1", "--name", "own", "--disk-format", "qcow2")
	c.client("openstack", "image", "save", "--file", file("back"), strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), " ")+1:]))
	if got, want := sha512Of(t, file("back")), sha512Of(t, file("web.qcow2")); got != want {
		t.Errorf("%s came, and %s was pushed", got, want)
	}
	run("push", "--plain-http", "--disable-path-validation", "--artifact-type", "application/x.test", address+"/disks/bad:1", manifest)
	cmd := exec.Command(c.bin, "image", "import", "docker://"+address+"/disks/bad:1", "--name", "bad", "--disk-format", "qcow2")
	cmd.Env = append(os.Environ(), c.conf...)
	said2, err := cmd.CombinedOutput()
	t.Logf("what is no disk: %s", said2)
	if err == nil {
		t.Error("what is no disk was imported")
	}
}

// signed has ssh-keygen check the signature over sums, which have the image's manifest.
func signed(t *testing.T, dir, key, digest string) {
	t.Helper()
	sums := string(must(os.ReadFile(filepath.Join(dir, "SHA256SUMS")))(t))
	if !strings.Contains(sums, strings.TrimPrefix(digest, "sha256:")) {
		t.Errorf("the sums lack %s: %s", digest, sums)
	}
	public := strings.Fields(string(must(os.ReadFile(key + ".pub"))(t)))
	allowed := filepath.Join(dir, "allowed")
	if err := os.WriteFile(allowed, fmt.Appendf(nil, "me %s %s\n", public[0], public[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	signatures, _ := filepath.Glob(filepath.Join(dir, "*.sig"))
	if len(signatures) != 1 {
		t.Fatalf("signatures: %v", signatures)
	}
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "me", "-n", "hearth-image", "-s", signatures[0])
	cmd.Stdin = strings.NewReader(sums)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen: %v: %s", err, said)
	}
}
