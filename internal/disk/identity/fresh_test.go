package identity

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestFresh: two clones share no key, no id and no seed, of every type; a DSA key
// is there where sshd asks for it alone.
func TestFresh(t *testing.T) {
	guest := files{"/etc/ssh/sshd_config": "Port 22\n", "/etc/ssh/ssh_host_dsa_key": "old", "/lib/systemd/systemd": "", "/var/lib/systemd": "", "/var/lib/dbus/machine-id": "old",
		"/var/lib/urandom/random-seed": "old", "/etc/dropbear/dropbear_rsa_host_key": "old", "/etc/dropbear/dropbear_ed25519_host_key": "old", "/etc/dropbear/dropbear_ecdsa_host_key": "old"}
	seen := map[string]bool{}
	for range 2 {
		m, err := Fresh(guest)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.HostKeys) != 6 || len(m.Files) != 3*2+3+2+2 {
			t.Errorf("%d keys, %d files: %+v", len(m.HostKeys), len(m.Files), m.HostKeys)
		}
		for _, f := range m.Files {
			if seen[string(f.Data)] && f.Path != "/var/lib/dbus/machine-id" {
				t.Errorf("%s is not new", f.Path)
			}
			seen[string(f.Data)] = true
		}
		checkKeys(t, m)
	}
	asks := files{"/etc/ssh/sshd_config": "HostKey /etc/ssh/ssh_host_dsa_key\n#HostKey /etc/ssh/ssh_host_rsa_key\nHostKey=/etc/ssh/own\n"}
	m, err := Fresh(asks)
	if err != nil || len(m.Files) != 2 || m.Files[0].Path != "/etc/ssh/ssh_host_dsa_key" || len(m.Warnings) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	checkKeys(t, m)
	if m, err := Fresh(files{}); err != nil || len(m.Files) > 0 {
		t.Errorf("of an empty guest %+v, %v", m, err)
	}
}

// checkKeys reads the keys back, and has ssh-keygen and dropbearkey read them
// where those are.
func checkKeys(t *testing.T, m *Made) {
	t.Helper()
	dir := t.TempDir()
	byName := map[string][]byte{}
	for _, f := range m.Files {
		byName[f.Path] = f.Data
	}
	for name, data := range byName {
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var command []string
		switch {
		case strings.HasSuffix(name, "id"), strings.HasSuffix(name, "seed"), strings.HasSuffix(name, ".pub"):
			continue
		case strings.Contains(name, "dropbear"):
			command = []string{"dropbearkey", "-y", "-f", file}
		default:
			command = []string{"ssh-keygen", "-y", "-f", file}
			k, err := ssh.ParsePrivateKey(data)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if pub := ssh.MarshalAuthorizedKey(k.PublicKey()); !bytes.Equal(pub, byName[name+".pub"]) {
				t.Errorf("%s.pub is of another key", name)
			}
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			continue
		}
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v: %s", command, err, out)
		}
		if pub := byName[name+".pub"]; pub != nil && !strings.HasPrefix(string(out), strings.TrimSpace(string(pub))) {
			t.Errorf("%v says %s", command, out)
		}
	}
}

func TestJitter(t *testing.T) {
	const crontab = "SHELL=/bin/sh\n# m h dom\n17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n25 6\t* * *\troot\ttest -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )\n5 5 * * * ann backup\n*/5 * * * * root run-parts /x\n"
	got, err := Jitter(crontab, bytes.NewReader([]byte{255, 61, 3}))
	want := strings.Replace(strings.Replace(crontab, "17 *", "1 *", 1), "25 6", "3 6", 1)
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := Jitter(crontab, bytes.NewReader(nil)); err == nil {
		t.Error("without chance it goes on")
	}
}
