package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// baked makes a folder as a bake leaves it.
func baked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	disk := []byte("a disk")
	sum := sha256.Sum256(disk)
	m, _ := json.Marshal(map[string]any{"recipe": "web", "files": []map[string]any{{"file": "web.qcow2", "size": 6, "sha256": hex.EncodeToString(sum[:])}}, "properties": map[string]string{"hw_machine_type": "pc"}})
	for name, data := range map[string][]byte{"web.qcow2": disk, "web.json": m, "web.sbom.spdx.json": []byte(`{"spdxVersion":"SPDX-2.3"}`), "web.sources.txt": []byte("s\n"), "web.licences.txt": []byte("l\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// key makes one by ssh-keygen.
func key(t *testing.T, kind string) (file string, signer ssh.Signer) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Skipf("ssh-keygen: %v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.ParsePrivateKey(b); err != nil {
		t.Fatal(err)
	}
	return file, signer
}

// TestFolder publishes and has sha256sum and ssh-keygen look at it, as a stranger would.
func TestFolder(t *testing.T) {
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		file, signer := key(t, kind)
		s, err := Read(filepath.Join(baked(t), "web.json"))
		if err != nil || s.Disk != "web.qcow2" || len(s.Files) != 5 || s.Properties["hw_machine_type"] != "pc" {
			t.Fatalf("%+v, %v", s, err)
		}
		out := filepath.Join(t.TempDir(), "pub")
		if err := s.To(context.Background(), out, signer); err != nil {
			t.Fatal(err)
		}
		check := exec.Command("sha256sum", "--strict", "-c", Sums)
		check.Dir = out
		if text, err := check.CombinedOutput(); err != nil || strings.Count(string(text), ": OK") != 5 {
			t.Errorf("%v: %s", err, text)
		}
		public, _ := os.ReadFile(file + ".pub")
		allowed := filepath.Join(t.TempDir(), "allowed")
		if err := os.WriteFile(allowed, append([]byte("me@example.org "), public...), 0o600); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(filepath.Join(out, Sums))
		verify := func(text []byte) error {
			c := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "me@example.org", "-n", Namespace, "-s", filepath.Join(out, Signature))
			c.Stdin = bytes.NewReader(text)
			return c.Run()
		}
		if err := verify(text); err != nil {
			t.Errorf("%s: ssh-keygen does not take the signature: %v", kind, err)
		}
		if verify(append(text, '\n')) == nil {
			t.Errorf("%s: ssh-keygen takes the signature for another text", kind)
		}
	}
}

// TestTwoBakes has both sums in the folder afterwards.
func TestTwoBakes(t *testing.T) {
	_, signer := key(t, "ed25519")
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, Sums), []byte(strings.Repeat("0", 64)+"  old.qcow2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Read(filepath.Join(baked(t), "web.json"))
	if err == nil {
		err = s.To(context.Background(), out, signer)
	}
	b, _ := os.ReadFile(filepath.Join(out, Sums))
	if err != nil || strings.Count(string(b), "\n") != 6 || !strings.Contains(string(b), "  old.qcow2\n") {
		t.Errorf("%v\n%s", err, b)
	}
}

// TestRefused is what is not published.
func TestRefused(t *testing.T) {
	for what, change := range map[string]func(dir string) error{
		"not what was baked": func(dir string) error { return os.WriteFile(filepath.Join(dir, "web.qcow2"), []byte("b disk"), 0o644) },
		"web.licences.txt":   func(dir string) error { return os.Remove(filepath.Join(dir, "web.licences.txt")) },
		"which is not beside": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "web.json"), []byte(`{"files":[{"file":"../passwd"}]}`), 0o644)
		},
		"no manifest": func(dir string) error { return os.WriteFile(filepath.Join(dir, "web.json"), []byte(`{}`), 0o644) },
	} {
		dir := baked(t)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(filepath.Join(dir, "web.json")); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
