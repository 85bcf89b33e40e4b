package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	v, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v %v", info, err)
	}
	secret := NewPassphrase()
	sealed := v.Seal(secret, "a")
	if bytes.Contains(sealed, []byte(secret)) {
		t.Error("the secret can be read")
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(sealed, "a"); err != nil || got != secret {
		t.Errorf("with the same file: %v", err)
	}
	if _, err := again.Open(sealed, "b"); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("for another: %v", err)
	}
	if _, err := New().Open(sealed, "a"); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("under another key: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
	}{"short": {"00", 0o600}, "words": {strings.Repeat("x", 64), 0o600}, "open": {strings.Repeat("0", 64), 0o644}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	s := struct{ Key cloud.Secret }{"open sesame"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", s.Key, "all", s)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s.Key)
	if text := log.String() + fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s.Key, s.Key); strings.Contains(text, "sesame") || strings.Contains(text, "736573616d65") {
		t.Errorf("a secret is shown: %s", text)
	}
	if told, err := json.Marshal(s); err != nil || !strings.Contains(string(told), "sesame") {
		t.Errorf("who is to have it is not told: %s", told)
	}
}
