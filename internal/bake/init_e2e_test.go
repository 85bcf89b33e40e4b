package bake

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/bake/guest"
	"hearth/internal/disk"
)

// TestInits boots a Debian under each init system, without cloud-init: the
// agent's own start files do what is to be done. Each takes some two minutes, so
// CI is content with OpenRC, which TestBakeGentoo of test/e2e boots.
func TestInits(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("needs QEMU and ten minutes: set HEARTH_E2E=1 and HEARTH_E2E_ALL=1")
	}
	for _, init := range []string{guest.OpenRC, guest.SysV, guest.Runit, guest.Systemd} {
		t.Run(init, func(t *testing.T) {
			bootPlain(t, bakeLogged(t, Options{Recipe: "debian", Init: init}), init)
		})
	}
}

func bakeLogged(t *testing.T, opt Options) Result {
	t.Helper()
	begin := time.Now()
	opt.OutDir, opt.CacheDir = t.TempDir(), os.Getenv("HEARTH_BAKE_CACHE")
	opt.Progress = func(s Step) {
		if s.Finished {
			t.Logf("%-45s %6.2f s", s.Name, s.Took.Seconds())
		}
	}
	res, err := Bake(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("baked in %.1f s; the qcow2 has %d bytes", time.Since(begin).Seconds(), fileSize(res.Disk))
	return res
}

// bootPlain boots the disk and looks at all that the agent promises, twice: what
// belongs to an instance is done once.
func bootPlain(t *testing.T, res Result, init string) {
	t.Helper()
	signer, key := newKey(t)
	run := &disk.Runner{}
	over := filepath.Join(t.TempDir(), "disk.qcow2")
	base := disk.Layer{Path: res.Disk, Format: disk.QCOW2}
	if err := run.CreateOverlay(context.Background(), over, base, 2<<30); err != nil {
		t.Fatal(err)
	}
	grow(t, run, disk.Layer{Path: over, Format: disk.QCOW2}, []disk.Layer{base})
	service := metadataServer(t, "uuid-"+init, key)
	m := boot(t, service, append(drive("format=qcow2,file="+over), "-m", "512", "-smp", "2")...)
	c := m.login(t, res.User, signer, 10*time.Minute)
	m.waitFor(t, 10*time.Minute, "hearth-guest: user-data: done", "(Hearth)", "Linux version", "login:")
	for command, want := range map[string]string{
		"id -un":                                  res.User,
		"hostname":                                "spark",
		"cat /etc/hostname":                       "spark",
		"sudo cat /var/lib/ran":                   "user-data ran as 0",
		"sudo cat /var/lib/count":                 "again",
		"stat -c %U:%a ~/.ssh":                    res.User + ":700",
		"stat -c %u:%g:%a /":                      "0:0:755",
		"findmnt -no SOURCE,FSTYPE / | tr -s ' '": "/dev/vda1 ext4",
		"findmnt -no OPTIONS / | tr , '\\n' | grep -x rw": "rw",
		"ps -p 1 -o comm=": map[string]string{guest.Runit: "runit", guest.Systemd: "systemd"}[init],
		"sudo find / -xdev -uid 1000 ! -path '/home/*' ! -path '/tmp/*' 2>/dev/null": "",
	} {
		if got := do(t, c, command); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
