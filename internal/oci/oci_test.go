package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestLoopback(t *testing.T) {
	for registry, want := range map[string]bool{
		"127.0.0.1:5000": true, "127.9.9.9": true, "localhost": true, "localhost:5000": true, "[::1]:5000": true, "[::1]": true,
		"quay.io": false, "10.0.0.1:5000": false, "localhost.example.org:5000": false, "[2001:db8::1]:5000": false, "": false,
	} {
		if got := Loopback(registry); got != want {
			t.Errorf("%q: %v", registry, got)
		}
	}
}

// config is Docker's: anna:secret for one registry.
const config = `{"auths": {"registry.example.org:5000": {"auth": "YW5uYTpzZWNyZXQ="}}, "credsStore": "nosuchprogram"}`

func TestFileLogins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(path, []byte(text), mode); err != nil || os.Chmod(path, mode) != nil {
			t.Fatal(err)
		}
	}
	if _, err := FileLogins(path); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Error(err)
	}
	write(config, 0o644)
	if _, err := FileLogins(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
	write(config, 0o600)
	logins, err := FileLogins(path)
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]auth.Credential{"registry.example.org:5000": {Username: "anna", Password: "secret"}, "registry.example.org": {}, "other.example.org": {}} {
		if got, err := logins(t.Context(), registry); err != nil || got != want {
			t.Errorf("%s: %+v %v", registry, got, err)
		}
	}
	write(`{"auths": "secret"`, 0o600)
	if _, err := FileLogins(path); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestUserLogins(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("DOCKER_CONFIG", "")
	if logins, err := UserLogins(); logins != nil || err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	text := strings.Replace(config, `, "credsStore": "nosuchprogram"`, "", 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	logins, err := UserLogins()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := logins(t.Context(), "registry.example.org:5000"); err != nil || got.Password != "secret" {
		t.Errorf("%+v %v", got, err)
	}
}
