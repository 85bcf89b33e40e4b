package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk/inject"
)

// TestPublicKeys reads keys as people have them in files, and tells of a file that has none:
// an image without the key is found out when nobody can log in.
func TestPublicKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const one, two = "ssh-ed25519 AAAA ann@laptop", `from="10.0.0.0/8" ssh-ed25519 BBBB`
	for _, c := range []struct {
		arg, why string
		want     []string
	}{
		{one, "", []string{one}},
		{file("id.pub", one+"\n"), "", []string{one}},
		{file("two keys.pub", "\ufeff# of the team\r\n"+one+"\r\n\r\n  "+two+"\r\n"), "", []string{one, two}},
		{file("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n"), "give the public one, " + dir + "/id.pub", nil},
		{file("empty", "\n# nothing\n"), "has no key in it", nil},
		{"", "no such file", nil},
		{filepath.Join(dir, "nothing"), "no such file", nil},
	} {
		got, err := publicKeys(c.arg)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v", c.arg, got, err)
		}
	}
}

func TestInjectHostname(t *testing.T) {
	for name, good := range map[string]bool{"web1": true, "a.b.c.d.example.org": true, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, strings.Repeat("abc.", 64) + "d": false, "-web": false, "a..b": false, "web 1": false, "web1\n": false, "ünder": false} {
		if err := injectOptions(&inject.Options{Hostname: name}, nil, nil, ""); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
