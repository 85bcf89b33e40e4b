package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// setHostname sets the name now and for the next boot.
func (g *guest) setHostname(name string) error {
	short, _, _ := strings.Cut(name, ".")
	if g.root == "/" {
		if err := syscall.Sethostname([]byte(short)); err != nil {
			return err
		}
	}
	if err := g.writeFile("etc/hostname", []byte(short+"\n"), 0o644); err != nil {
		return err
	}
	return g.nameInHosts(name, short)
}

// nameInHosts keeps one line of ours, 127.0.1.1, as Debian has it.
func (g *guest) nameInHosts(name, short string) error {
	old, _ := os.ReadFile(g.path("etc/hosts"))
	line := "127.0.1.1\t" + name
	if short != name {
		line += " " + short
	}
	lines := []string{line}
	for l := range strings.Lines(string(old)) {
		if !strings.HasPrefix(l, "127.0.1.1") {
			lines = append(lines, strings.TrimRight(l, "\n"))
		}
	}
	return g.writeFile("etc/hosts", []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// account is a line of /etc/passwd.
type account struct {
	name     string
	uid, gid int
	home     string
}

func (g *guest) account(name string) (account, error) {
	b, err := os.ReadFile(g.path("etc/passwd"))
	if err != nil {
		return account{}, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 || f[0] != name {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			return account{}, fmt.Errorf("the ids of user %s are no numbers", name)
		}
		return account{name, uid, gid, f[5]}, nil
	}
	return account{}, fmt.Errorf("there is no user %s", name)
}

// installKeys adds the keys that are not there yet; what the user put beside
// them stays.
func (g *guest) installKeys(keys []string) error {
	users := []string{g.conf.User}
	if g.conf.RootKeys && g.conf.User != "root" {
		users = append(users, "root")
	}
	for _, name := range users {
		if len(keys) == 0 {
			continue
		}
		who, err := g.account(name)
		if err != nil {
			return err
		}
		if err := g.installFor(who, keys); err != nil {
			return err
		}
		g.say("%d ssh key(s) for %s", len(keys), name)
	}
	return nil
}

func (g *guest) installFor(who account, keys []string) error {
	dir := filepath.Join(who.home, ".ssh")
	file := filepath.Join(dir, "authorized_keys")
	old, _ := os.ReadFile(g.path(file))
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, k := range keys {
		if !strings.Contains("\n"+text, "\n"+k+"\n") {
			text += k + "\n"
		}
	}
	if err := g.writeFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(g.path(dir), 0o700); err != nil {
		return err
	}
	if g.root != "/" { // in a test, not as root
		return nil
	}
	for _, p := range []string{dir, file} {
		if err := os.Lchown(p, who.uid, who.gid); err != nil {
			return err
		}
	}
	return nil
}
