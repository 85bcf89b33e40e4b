package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	scriptFile = "var/lib/hearth-guest/user-data"
	todoFile   = "var/lib/hearth-guest/user-data.todo"

	unfoundFile = "run/hearth-guest.unfound" // this boot went on without metadata
)

// storeUserData keeps the script and a mark that it has to run. Only scripts
// are understood; a cloud-config needs cloud-init.
func (g *guest) storeUserData(data []byte) error {
	if !bytes.HasPrefix(data, []byte("#!")) {
		first, _, _ := strings.Cut(string(data[:min(len(data), 60)]), "\n")
		g.say("user-data is not a script (it begins with %q) and is not run", first)
		return g.writeFile(scriptFile, data, 0o600)
	}
	if err := g.writeFile(scriptFile, data, 0o700); err != nil {
		return err
	}
	return g.writeFile(todoFile, nil, 0o600)
}

// startLate starts "hearth-guest late", so that neither slow keys nor a long
// script keep anyone from logging in.
func (g *guest) startLate() error {
	if g.root != "/" {
		return nil
	}
	cmd := exec.Command("/proc/self/exe", "late")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// late makes the slow host key and runs the user-data script, side by side.
func (g *guest) late() {
	var both sync.WaitGroup
	both.Go(func() {
		g.showHostKeys(quickTypes)
		if err := g.makeHostKeys(slowTypes); err != nil {
			g.say("host key: %v", err)
		}
		g.showHostKeys(slowTypes)
	})
	both.Go(func() {
		g.findLate()
		g.runUserData()
	})
	both.Wait()
}

// findLate goes on with the search that boot gave up: a cloud that was down for a
// while must not lock anyone out of what booted meanwhile. The ssh server runs, with
// the host keys that it has.
func (g *guest) findLate() {
	if _, err := os.Stat(g.path(unfoundFile)); err != nil {
		return
	}
	data, err := g.find(time.Now().AddDate(100, 0, 0))
	if err != nil {
		g.say("no metadata: %v", err)
		return
	}
	g.settle(data)
	if err := os.Remove(g.path(unfoundFile)); err != nil {
		g.say("%v", err)
	}
}

// runUserData runs the script once per instance: the mark goes before it
// starts, for a script that takes the guest down must not run at each boot.
func (g *guest) runUserData() {
	if err := os.Remove(g.path(todoFile)); err != nil {
		return
	}
	g.say("user-data: running")
	cmd := exec.Command(g.path(scriptFile))
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", g.console, g.console
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root"}
	if err := cmd.Run(); err != nil {
		g.say("user-data: %v", err)
		return
	}
	g.say("user-data: done")
}

// fingerprint picks it out of what dropbearkey -y prints.
func fingerprint(out string) string {
	for line := range strings.Lines(out) {
		if f, ok := strings.CutPrefix(line, "Fingerprint: "); ok {
			return strings.TrimSpace(f)
		}
	}
	return "unknown"
}
