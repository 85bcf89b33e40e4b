package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Host keys belong to one instance: an image must not carry them, and a disk
// that became another instance must not keep them.

// Boot makes the quick types, and the background the slow one: to find an RSA key
// takes minutes where the processor is emulated and its host busy.
var (
	quickTypes = []string{"ecdsa", "ed25519"}
	slowTypes  = []string{"rsa"}
)

// dropHostKeys removes the host keys of all kinds of both servers.
func (g *guest) dropHostKeys() {
	for _, pattern := range []string{"etc/dropbear/dropbear_*_host_key", "etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_*_key.pub"} {
		found, _ := filepath.Glob(g.path(pattern))
		for _, f := range found {
			if err := os.Remove(f); err != nil {
				g.say("%v", err)
			}
		}
	}
}

// makeHostKeys makes the keys of the given types that lack, for the servers that are there.
func (g *guest) makeHostKeys(types []string) error {
	var errs []error
	if tool := g.tool("ssh-keygen"); tool != "" {
		if _, err := os.Stat(g.path("etc/ssh")); err == nil {
			errs = append(errs, g.makeOpenSSHKeys(tool, types))
		}
	}
	if tool := g.tool("dropbearkey"); tool != "" {
		for _, t := range types {
			errs = append(errs, g.makeDropbearKey(tool, t))
		}
	}
	return errors.Join(errs...)
}

// makeOpenSSHKeys makes those that lack. Where not one of the types is known, as to a server of
// 2010, or not allowed, the server's own choice is made: it starts with no key at all.
func (g *guest) makeOpenSSHKeys(tool string, types []string) error {
	made := 0
	var errs []error
	for _, t := range types {
		err := g.makeOpenSSHKey(tool, t)
		if err == nil {
			made++
		}
		errs = append(errs, err)
	}
	if made > 0 {
		return errors.Join(errs...)
	}
	return run(tool, "-A")
}

// makeOpenSSHKey has the key appear when it is whole: a boot that ends half way leaves none
// that the server cannot read and nobody would make anew.
func (g *guest) makeOpenSSHKey(tool, kind string) error {
	file := g.path(opensshKey(kind))
	if st, err := os.Stat(file); err == nil && st.Size() > 0 {
		return nil
	}
	fresh := file + ".new"
	for _, name := range []string{fresh, fresh + ".pub"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := run(tool, "-q", "-t", kind, "-N", "", "-f", fresh); err != nil {
		return err
	}
	return errors.Join(os.Rename(fresh+".pub", file+".pub"), os.Rename(fresh, file))
}

func (g *guest) makeDropbearKey(tool, kind string) error {
	file := dropbearKey(kind)
	if _, err := os.Stat(g.path(file)); err == nil {
		return nil
	}
	if err := os.MkdirAll(g.path("etc/dropbear"), 0o700); err != nil {
		return err
	}
	return run(tool, "-t", kind, "-f", g.path(file))
}

// showHostKeys prints the fingerprints of the types' keys on the console, where the owner of
// the instance can read them before the first login.
func (g *guest) showHostKeys(types []string) {
	openssh, dropbear := g.tool("ssh-keygen"), g.tool("dropbearkey")
	for _, t := range types {
		if openssh != "" {
			if out, err := exec.Command(openssh, "-l", "-E", "sha256", "-f", g.path(opensshKey(t)+".pub")).Output(); err == nil {
				g.say("host key %s", shownBySSH(string(out)))
			}
		}
		if dropbear != "" {
			if out, err := exec.Command(dropbear, "-y", "-f", g.path(dropbearKey(t))).Output(); err == nil {
				g.say("host key %s %s", t, fingerprint(string(out)))
			}
		}
	}
}

// shownBySSH makes of what ssh-keygen -l prints, BITS FINGERPRINT COMMENT (KIND), the kind
// and the fingerprint.
func shownBySSH(out string) string {
	f := strings.Fields(out)
	if len(f) < 3 {
		return "unknown"
	}
	return strings.ToLower(strings.Trim(f[len(f)-1], "()")) + " " + f[1]
}

func opensshKey(kind string) string { return "/etc/ssh/ssh_host_" + kind + "_key" }

func dropbearKey(kind string) string { return "/etc/dropbear/dropbear_" + kind + "_host_key" }

// tool finds a program of the guest.
func (g *guest) tool(name string) string {
	for _, dir := range []string{"usr/bin", "usr/sbin", "bin", "sbin"} {
		p := g.path(filepath.Join(dir, name))
		if st, err := os.Stat(p); err == nil && st.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

func run(tool string, args ...string) error {
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		return errors.New(filepath.Base(tool) + ": " + err.Error() + ": " + string(out))
	}
	return nil
}
