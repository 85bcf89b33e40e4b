package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a boot waits for the network and the metadata service
// before it goes on without, and leaves the search to the background: a console
// login must stay possible.
const patience = 2 * time.Minute

// guest is the system the agent works on: all paths are under root, which is
// "/" but in tests.
type guest struct {
	root    string
	console io.Writer
	conf    config
	look    func() (*instance, error) // tries all sources of metadata once
}

// config is /etc/hearth-guest.conf: lines of key=value.
type config struct {
	User     string // user=: who gets the ssh keys; root when there is none
	RootKeys bool   // root_keys=yes: root gets them as well
}

func newGuest(root string, console io.Writer) *guest {
	g := &guest{root: root, console: console, conf: config{User: "root"}}
	g.look = g.lookAround
	b, _ := os.ReadFile(g.path("etc/hearth-guest.conf"))
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "user":
			g.conf.User = value
		case "root_keys":
			g.conf.RootKeys = value == "yes"
		}
	}
	return g
}

func (g *guest) path(rel string) string { return filepath.Join(g.root, rel) }

// say writes one line to the console.
func (g *guest) say(format string, args ...any) {
	fmt.Fprintf(g.console, "hearth-guest: "+format+"\r\n", args...)
}

func openConsole() io.Writer {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return os.Stderr
	}
	return f
}

// boot does what must be done before an ssh server starts. A step that fails is
// told and the others are done: a guest one can reach is better than none.
// A second call in the same boot (a restarted ssh server) does nothing.
func (g *guest) boot() {
	mark := g.path("run/hearth-guest.done")
	if _, err := os.Stat(mark); err == nil {
		return
	}
	if err := g.growRoot(); err != nil {
		g.say("root file system not grown: %v", err)
	}
	data, err := g.find(time.Now().Add(patience))
	if err != nil {
		g.say("no metadata yet, the search goes on: %v", err)
		data = &instance{}
		if err := g.writeFile(unfoundFile, nil, 0o600); err != nil {
			g.say("%v", err)
		}
	}
	g.apply(data)
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		g.say("%v", err)
	}
}

// apply makes this system the instance that data describes.
func (g *guest) apply(data *instance) {
	if g.isNew(data.UUID) {
		g.dropHostKeys()
	}
	g.step("host keys", g.makeHostKeys(quickTypes))
	g.settle(data)
	g.step("late work", g.startLate())
}

// settle gives this system the name, keys, volumes and script of the instance.
func (g *guest) settle(data *instance) {
	if data.Hostname != "" {
		g.step("host name", g.setHostname(data.Hostname))
	}
	g.mountAll(data.Mounts)
	g.step("ssh keys", g.installKeys(data.publicKeys()))
	if !g.isNew(data.UUID) {
		return
	}
	if len(data.UserData) > 0 {
		g.step("user-data", g.storeUserData(data.UserData))
	}
	g.step("instance id", g.writeFile("var/lib/hearth-guest/instance-id", []byte(data.UUID+"\n"), 0o644))
}

// step tells of one that failed.
func (g *guest) step(what string, err error) {
	if err != nil {
		g.say("%s: %v", what, err)
	}
}

// isNew says whether this disk runs as an instance it was not before. Without
// metadata it is what it was; one that never was any needs its host keys too.
func (g *guest) isNew(uuid string) bool {
	b, err := os.ReadFile(g.path("var/lib/hearth-guest/instance-id"))
	if uuid == "" {
		return false
	}
	return err != nil || strings.TrimSpace(string(b)) != uuid
}

// writeFile writes whole or not at all, and makes the folders on the way.
func (g *guest) writeFile(rel string, data []byte, mode os.FileMode) error {
	name := g.path(rel)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", data, mode); err != nil {
		return err
	}
	if err := os.Chmod(name+".new", mode); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
