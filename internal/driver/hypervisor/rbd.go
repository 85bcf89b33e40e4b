package hypervisor

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"

	"hearth/internal/cloud"
)

// RBD is an image of a Ceph cluster as a disk. The disk's path is, as QEMU's tools have it,
// "rbd:POOL/IMAGE:id=USER:conf=FILE:keyring=FILE", and its format raw.
type RBD struct {
	Pool, Image, User string
	Conf, Keyring     string // absolute; all may read the first, the second has the user's key
}

var rbdForm = regexp.MustCompile(`^rbd:([A-Za-z0-9._-]{1,64})/([A-Za-z0-9._-]{1,200}):id=([A-Za-z0-9._-]{1,64}):conf=(/[A-Za-z0-9._/-]+):keyring=(/[A-Za-z0-9._/-]+)$`)

// RBDOf takes a disk's path apart; ok is false for paths of files.
func RBDOf(path string) (r RBD, ok bool) {
	m := rbdForm.FindStringSubmatch(path)
	if m == nil {
		return r, false
	}
	return RBD{Pool: m[1], Image: m[2], User: m[3], Conf: m[4], Keyring: m[5]}, true
}

// Key reads the user's key, in base64, from the keyring
// (https://docs.ceph.com/en/pacific/man/8/ceph-authtool/).
func (r RBD) Key() (cloud.Secret, error) {
	f, err := os.Open(r.Keyring)
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines, mine := bufio.NewScanner(f), false
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			mine = line == "[client."+r.User+"]"
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok && mine && strings.TrimSpace(name) == "key" {
			return cloud.Secret(strings.TrimSpace(value)), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("%s has no key of client.%s", r.Keyring, r.User)
}

// place tells whether a disk can be where its path says.
func (d Disk) place() bool {
	_, rbd := RBDOf(d.Path)
	return clean(d.Path) || rbd && d.Format == FormatRaw
}
