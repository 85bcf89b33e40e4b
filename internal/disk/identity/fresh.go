package identity

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"hearth/internal/disk/guestos"
)

// Made is what is made new for one guest.
type Made struct {
	Files    []NewFile
	HostKeys []string // fingerprints, as ssh-keygen -l prints them
	Warnings []string
}

// NewFile belongs to root.
type NewFile struct {
	Path string
	Data []byte
	Mode uint32
}

// Fresh makes the host keys of every type that the guest's ssh server asks for, a
// machine-id, random seeds and names for storage on the network. All other host keys that the guest has must go.
func Fresh(t guestos.Files) (*Made, error) {
	m, err := HostKeys(t)
	if err != nil {
		return nil, err
	}
	id, err := newUUID() // as machine-id(5) has it
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if guestos.Has(t, name) || name == "/etc/machine-id" && guestos.Has(t, "/lib/systemd/systemd", "/usr/lib/systemd/systemd") {
			m.add(name, []byte(hex.EncodeToString(id)+"\n"), 0o444)
		}
	}
	for _, name := range []string{"/var/lib/systemd/random-seed", "/var/lib/random-seed", "/var/lib/urandom/random-seed", "/var/lib/misc/random-seed"} {
		if !guestos.Has(t, name) && (name != "/var/lib/systemd/random-seed" || !guestos.Has(t, "/var/lib/systemd")) {
			continue
		}
		seed := make([]byte, 512)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		m.add(name, seed, 0o600)
	}
	return m, m.storageNames(t)
}

// HostKeys makes the host keys alone.
func HostKeys(t guestos.Files) (*Made, error) {
	m := &Made{}
	if err := m.hostKeys(t); err != nil {
		return nil, err
	}
	return m, m.dropbear(t)
}

func (m *Made) add(name string, data []byte, mode uint32) {
	m.Files = append(m.Files, NewFile{name, data, mode})
}

var hostKeyName = regexp.MustCompile(`^ssh_host_(rsa|dsa|ecdsa|ed25519)_key$`)

// hostKeys makes those that sshd_config names, or those that sshd takes when it
// names none.
func (m *Made) hostKeys(t guestos.Files) error {
	dir := ""
	for _, d := range []string{"/etc/ssh", "/etc/openssh"} {
		if guestos.Has(t, d+"/sshd_config", d+"/ssh_host_*") {
			dir = d
			break
		}
	}
	if dir == "" {
		return nil
	}
	names := map[string]string{} // path -> type
	files, _ := t.Glob(dir + "/sshd_config.d/*.conf")
	for _, name := range append(files, dir+"/sshd_config") {
		b, err := t.ReadFile(name, maxFile)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(strings.Replace(line, "=", " ", 1))
			if len(f) < 2 || !strings.EqualFold(f[0], "HostKey") {
				continue
			}
			name := strings.Trim(f[1], `"`)
			if k := hostKeyName.FindStringSubmatch(path.Base(name)); k != nil && path.IsAbs(name) {
				names[path.Clean(name)] = k[1]
			} else {
				m.Warnings = append(m.Warnings, fmt.Sprintf("sshd's host key %q was left as it is: its name does not say its type", name))
			}
		}
	}
	if len(names) == 0 {
		for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
			names[dir+"/ssh_host_"+kind+"_key"] = kind
		}
	}
	for _, kind := range []string{"rsa", "dsa", "ecdsa", "ed25519"} {
		for _, name := range sortedOf(names, kind) {
			k, err := newHostKey(kind)
			if err != nil {
				return err
			}
			m.add(name, k.private, 0o600)
			m.add(name+".pub", k.public, 0o644)
			m.HostKeys = append(m.HostKeys, k.fingerprint)
		}
	}
	return nil
}

// Jitter moves the jobs of root in a crontab that run a folder of programs, such
// as cron.daily: their minutes are drawn from random. All else stays.
func Jitter(crontab string, random io.Reader) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(crontab) {
		f := strings.Fields(line)
		if len(f) > 6 && strings.Contains(line, "run-parts") {
			if _, err := strconv.Atoi(f[0]); err == nil {
				minute, err := below(random, 60)
				if err != nil {
					return "", err
				}
				line = strings.Replace(line, f[0], strconv.Itoa(minute), 1)
			}
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

// below draws a number under n, which is at most 256, with equal chances.
func below(random io.Reader, n int) (int, error) {
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < 256/n*n {
			return int(b[0]) % n, nil
		}
	}
}
