package identity

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/guestos"
)

// files is a guest in memory.
type files = guestfstest.Files

// TestGolden: each archive of testdata has a guest's files as they were, under
// before/, the name in its comment, and under after/ all files as they must be.
func TestGolden(t *testing.T) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	if len(archives) < 8 {
		t.Fatalf("only %d archives", len(archives))
	}
	for _, file := range archives {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, before, after := parse(t, string(b))
			guest, want := files(maps.Clone(before)), files(maps.Clone(before))
			maps.Copy(want, after)
			system := guestos.Identify(guest)
			if system == nil {
				t.Fatal("the guest is not known")
			}
			for _, c := range SetHostname(guest, system.Family, name) {
				guest[c.Path] = string(c.Data)
			}
			for name := range guest {
				if guest[name] != want[name] {
					t.Errorf("%s is\n%s, want\n%s", name, guest[name], want[name])
				}
			}
			if again := SetHostname(guest, system.Family, name); len(again) > 0 {
				t.Errorf("a second time changes %v", again)
			}
		})
	}
}

// parse takes an archive apart: lines "-- NAME --" begin a file.
func parse(t *testing.T, text string) (name string, before, after map[string]string) {
	t.Helper()
	before, after = map[string]string{}, map[string]string{}
	into, file := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "--" && f[2] == "--" {
			into = before
			full, isAfter := strings.CutPrefix(f[1], "after")
			if isAfter {
				into = after
			} else {
				full = strings.TrimPrefix(f[1], "before")
			}
			file = full
			into[file] = ""
			continue
		}
		if file == "" {
			name = strings.TrimSpace(strings.TrimPrefix(line, "name:"))
			continue
		}
		into[file] += line
	}
	return name, before, after
}

func TestParseHost(t *testing.T) {
	long := strings.Repeat("a", 100)
	for name, want := range map[string]Host{
		"web1": {"web1", "web1"}, "a.b.c.d.e": {"a", "a.b.c.d.e"}, "Web Server_1": {"web-server-1", "web-server-1"},
		"größe": {"gre", "gre"}, "日本": {"guest", "guest"}, "": {"guest", "guest"}, "..x..": {"x", "x"}, "-x-.y": {"x", "x.y"},
		long: {long[:63], long[:63]},
	} {
		if got := ParseHost(name); got != want {
			t.Errorf("%q is %+v, want %+v", name, got, want)
		}
	}
	if got := ParseHost(strings.Repeat("label.", 100)); len(got.FQDN) > 253 {
		t.Errorf("a name of %d bytes", len(got.FQDN))
	}
}

// FuzzSetHostname: no name and no file of a guest makes it fail, and what it
// writes is settled at once.
func FuzzSetHostname(f *testing.F) {
	f.Add("web.example.org", "127.0.0.1 localhost old\n", "old\n", "hostname=old")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, name, hosts, hostname, conf string) {
		guest := files{"/etc/hosts": hosts, "/etc/hostname": hostname, "/etc/conf.d/hostname": conf}
		for _, family := range []guestos.Family{guestos.Debian, guestos.RedHat, guestos.SUSE, guestos.Gentoo, guestos.Unknown} {
			for _, c := range SetHostname(guest, family, name) {
				if c.Path == "/etc/hosts" && !strings.Contains(string(c.Data), ParseHost(name).Short) {
					t.Errorf("%q lacks in %q", name, c.Data)
				}
			}
		}
	})
}
