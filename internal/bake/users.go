package bake

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// account adds a user, if the system does not have one of the name: a home, no
// password and, for an administrator, the groups wheel, sudo and users as far as they exist.
func (r *rootfs) account(user string, administrator bool) error {
	if !plainName(user) {
		return fmt.Errorf("%q is no name for a user: use lower case letters, digits, - and _", user)
	}
	passwd, err := r.read("/etc/passwd")
	if err != nil {
		return err
	}
	groups, err := r.read("/etc/group")
	if err != nil {
		return err
	}
	if field(passwd, user, 0) != "" {
		return nil
	}
	id := freeID(passwd, groups)
	shell := r.first("/bin/bash", "/usr/bin/bash", "/bin/sh")
	home := "/home/" + user
	return errors.Join(
		r.edit("/etc/passwd", 0o644, func(s string) string {
			return line(s, fmt.Sprintf("%s:x:%d:%d::%s:%s", user, id, id, home, shell))
		}),
		r.edit("/etc/group", 0o644, func(s string) string {
			if administrator {
				for _, g := range []string{"wheel", "sudo", "users"} {
					s = joinGroup(s, g, user)
				}
			}
			return line(s, fmt.Sprintf("%s:x:%d:", user, id))
		}),
		r.edit("/etc/shadow", 0o600, func(s string) string { return line(s, shadowLine(user)) }),
		r.put(entry{path: home, mode: fs.ModeDir | 0o755, uid: id, gid: id}),
	)
}

// sudo lets the groups wheel and sudo become root: by sudo's own rules where it
// is installed, else by the agent under that name, for wheel.
func (r *rootfs) sudo() error {
	if r.first("/usr/bin/sudo", "/bin/sudo") != "" {
		return r.put(entry{path: "/etc/sudoers.d/90-hearth", mode: 0o440, data: []byte("%wheel ALL=(ALL) NOPASSWD:ALL\n%sudo ALL=(ALL) NOPASSWD:ALL\n")})
	}
	agent, err := r.root.ReadFile("usr/sbin/hearth-guest")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := r.read("/etc/group")
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(field(groups, "wheel", 2))
	if err != nil {
		return nil // nobody is in a group that is not there
	}
	return r.put(entry{path: "/usr/bin/sudo", mode: 0o750 | fs.ModeSetuid, gid: gid, data: agent})
}

func plainName(s string) bool {
	for i, c := range s {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// field gives a field of the line of name in a file such as /etc/passwd.
func field(file, name string, n int) string {
	for l := range strings.Lines(file) {
		if f := strings.Split(strings.TrimSpace(l), ":"); f[0] == name && n < len(f) {
			return f[n]
		}
	}
	return ""
}

// freeID is the first number from 1000 that is neither a user's nor a group's.
func freeID(files ...string) int {
	taken := map[string]bool{}
	for _, file := range files {
		for l := range strings.Lines(file) {
			if f := strings.Split(strings.TrimSpace(l), ":"); len(f) > 2 {
				taken[f[2]] = true
			}
		}
	}
	id := userID
	for taken[strconv.Itoa(id)] {
		id++
	}
	return id
}

// joinGroup adds a user to a group of /etc/group, if it is there.
func joinGroup(file, group, user string) string {
	var b strings.Builder
	for l := range strings.Lines(file) {
		l = strings.TrimRight(l, "\n")
		if f := strings.Split(l, ":"); len(f) == 4 && f[0] == group {
			members := strings.FieldsFunc(f[3], func(c rune) bool { return c == ',' })
			f[3] = strings.Join(append(members, user), ",")
			l = strings.Join(f, ":")
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}
