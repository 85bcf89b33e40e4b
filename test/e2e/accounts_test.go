package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nisAccounts are such as a NIS server hands out: with ids that this host's own
// accounts have, and with one where guests would run.
const nisAccounts = `alice:x:0:0:clashes with root:/home/alice:/bin/sh
billy:x:33:33:clashes with www-data:/home/billy:/bin/sh
carol:x:%BASE%:100:clashes with a guest:/home/carol:/bin/sh
`

// TestForeignAccounts looks at a host as sites with NIS have them, with SELinux
// absent: each conflict is named with its fix, none is an obstacle, and neither
// the doctor nor a cloud makes or changes an account.
func TestForeignAccounts(t *testing.T) {
	bin := needE2E(t)
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		t.Fatal("this host has SELinux, so its absence cannot be tried here")
	}
	base := strings.TrimSpace(configValue(t, bin, "uid_base"))
	dir := tempDir(t)
	passwd := must(os.ReadFile("/etc/passwd"))(t)
	write(t, filepath.Join(dir, "passwd"), string(passwd)+strings.ReplaceAll(nisAccounts, "%BASE%", base))
	write(t, filepath.Join(dir, "nsswitch.conf"), "passwd: files nis\ngroup: files nis\nshadow: files nis\nhosts: files dns\n")
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o711); err != nil {
		t.Fatal(err)
	}
	// The files are laid over those of the host in a mount namespace of the script's own.
	script := `set -eu
mount --make-rprivate /
mount --bind "$DIR/passwd" /etc/passwd
mount --bind "$DIR/nsswitch.conf" /etc/nsswitch.conf
state() { getent passwd; getent group; sha256sum /etc/passwd /etc/group /etc/shadow; }
state >"$DIR/before"
"$HEARTH" doctor --json >"$DIR/doctor.json"
for driver in fake qemu; do
	HEARTH_DRIVER=$driver "$HEARTH" up >"$DIR/log" 2>&1 & up=$!
	trap 'kill $up || true; wait $up || true; "$HEARTH" down >&2 || true' EXIT
	"$HEARTH" wait ready --timeout 120s || { tail -20 "$DIR/log"; exit 1; }
	kill $up; wait $up || true
	HEARTH_DRIVER=$driver "$HEARTH" down >&2
	trap - EXIT
	rm -rf "$DIR/data"; mkdir "$DIR/data"
done
state >"$DIR/after"
`
	cmd := exec.Command("unshare", "-m", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "DIR="+dir, "HEARTH="+bin, "HEARTH_DATA="+filepath.Join(dir, "data"), "HEARTH_LISTEN="+freePort(t), "HEARTH_NODE=e2e",
		"HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-e2e", "HEARTH_NETWORK_PUBLIC_CIDR=172.24.5.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:5::/64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, after := string(must(os.ReadFile(filepath.Join(dir, "before")))(t)), string(must(os.ReadFile(filepath.Join(dir, "after")))(t))
	if before != after || !strings.Contains(before, "carol:") {
		t.Errorf("the accounts were\n%sand are\n%s", before, after)
	}
	checkDoctor(t, must(os.ReadFile(filepath.Join(dir, "doctor.json")))(t))
}

func checkDoctor(t *testing.T, report []byte) {
	t.Helper()
	var r struct {
		Findings []struct{ Name, Grade, Detail, Fix string }
	}
	if err := json.Unmarshal(report, &r); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	seen := map[string]string{}
	for _, f := range r.Findings {
		seen[f.Name] = f.Detail
		if f.Grade != "ok" && f.Fix == "" {
			t.Errorf("%s is %s (%s) and no fix is named", f.Name, f.Grade, f.Detail)
		}
	}
	for _, want := range []string{"carol (", "root and alice share user id 0", "www-data and billy share user id 33", "also come from nis"} {
		if !strings.Contains(seen["user ids"], want) {
			t.Errorf("%q says nothing of %q", seen["user ids"], want)
		}
	}
	if !strings.HasPrefix(seen["SELinux"], "off") {
		t.Errorf("SELinux: %q", seen["SELinux"])
	}
}

// configValue reads one setting of the effective configuration.
func configValue(t *testing.T, bin, key string) string {
	t.Helper()
	out := must(exec.Command(bin, "config").Output())(t)
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+":"); ok {
			return v
		}
	}
	t.Fatalf("hearth config has no %s:\n%s", key, out)
	return ""
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
