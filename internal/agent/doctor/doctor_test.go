package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// host makes a root with the given files; those under bin are executable.
func host(t *testing.T, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for name, body := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Host{Root: root, Path: "/usr/bin", EUID: 0, Data: t.TempDir(), Listen: "127.0.0.1:0", UIDBase: 1000, UIDCount: 10}
}

func grades(all []Finding) map[string]Finding {
	m := map[string]Finding{}
	for _, f := range all {
		m[f.Name] = f
	}
	return m
}

func TestEveryLackHasAFix(t *testing.T) {
	h := host(t, map[string]string{"proc/meminfo": "MemAvailable:   100000 kB\n"})
	h.EUID = 1
	for _, f := range Examine(context.Background(), h) {
		if f.Grade != OK && f.Fix == "" {
			t.Errorf("%s is %s (%s) and no fix is named", f.Name, f.Grade, f.Detail)
		}
	}
}

func TestWhatIsThereIsFound(t *testing.T) {
	h := host(t, map[string]string{"usr/bin/qemu-system-x86_64": "", "sbin/e2fsck": "", "proc/meminfo": "MemAvailable: 9000000 kB\n"})
	got := grades(Examine(context.Background(), h))
	for name, want := range map[string]Grade{"qemu-system-x86_64": OK, "e2fsck": OK, "qemu-img": Missing, "mmdebstrap": Absent, "memory": OK, "rights": OK, "listen": OK} {
		if got[name].Grade != want {
			t.Errorf("%s: %+v, want %s", name, got[name], want)
		}
	}
}

func TestForeignAccountsInTheRange(t *testing.T) {
	h := host(t, map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\nbilly:x:1003:1003::/:/bin/sh\n+::::::\n"})
	f := grades(Examine(context.Background(), h))["user ids"]
	if f.Grade != Slow || !strings.Contains(f.Detail, "billy") {
		t.Errorf("got %+v, want a conflict that names billy", f)
	}
}

func TestAccountsOfNIS(t *testing.T) {
	h := host(t, map[string]string{
		"etc/passwd":        "root:x:0:0::/:/bin/sh\nqemu:x:107:107::/:/bin/false\nalice:x:107:100::/home/alice:/bin/sh\nbilly:x:1003:1003::/:/bin/sh\ncarol:x:1009:1::/:/bin/sh\ndave:x:1010:1::/:/bin/sh\n",
		"etc/nsswitch.conf": "# passwd: ldap\npasswd:\tfiles nis [NOTFOUND=return] sss systemd # ldap\ngroup: files ldap\n",
	})
	f := grades(Examine(context.Background(), h))["user ids"]
	for _, want := range []string{"billy (1003)", "carol (1009)", "qemu and alice share user id 107", "also come from nis, sss"} {
		if !strings.Contains(f.Detail, want) {
			t.Errorf("%q says nothing of %q", f.Detail, want)
		}
	}
	if f.Grade != Slow || strings.Contains(f.Detail, "dave") || strings.Contains(f.Detail, "ldap") || !strings.Contains(f.Fix, "compute.uid_base") {
		t.Errorf("%+v", f)
	}
	h = host(t, map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\n+::::::\n", "etc/nsswitch.conf": "passwd: compat\n"})
	f = grades(Examine(context.Background(), h))["user ids"]
	if f.Grade != OK || !strings.Contains(f.Detail, "also come from nis") || !strings.Contains(f.Fix, "seq 1000 1009") {
		t.Errorf("with a + line: %+v", f)
	}
}
