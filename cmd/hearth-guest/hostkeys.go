package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// Host keys belong to one instance: an image must not carry them, and a disk
// that became another instance must not keep them.

var dropbearTypes = []string{"rsa", "ecdsa", "ed25519"}

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

// makeHostKeys makes the keys of the given types that lack. OpenSSH makes all
// of its types in one call.
func (g *guest) makeHostKeys(types ...string) error {
	var errs []error
	if tool := g.tool("ssh-keygen"); tool != "" {
		if _, err := os.Stat(g.path("etc/ssh")); err == nil {
			errs = append(errs, run(tool, "-A"))
		}
	}
	if tool := g.tool("dropbearkey"); tool != "" {
		for _, t := range types {
			errs = append(errs, g.makeDropbearKey(tool, t))
		}
	}
	return errors.Join(errs...)
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

// showHostKeys prints the fingerprints on the console, where the owner of the
// instance can read them before the first login.
func (g *guest) showHostKeys() {
	tool := g.tool("dropbearkey")
	if tool == "" {
		return
	}
	for _, t := range dropbearTypes {
		out, err := exec.Command(tool, "-y", "-f", g.path(dropbearKey(t))).Output()
		if err != nil {
			continue
		}
		g.say("host key %s %s", t, fingerprint(string(out)))
	}
}

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
