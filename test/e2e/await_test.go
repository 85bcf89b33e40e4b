package e2e

import (
	"strings"
	"time"
)

// awaitStatus waits until a server has a status. A server in ERROR ends the
// wait, with its fault.
func (c *theCloud) awaitStatus(server, want string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := c.field("status", "server", "show", server)
		switch {
		case got == want:
			return
		case got == "ERROR":
			c.t.Fatalf("%s is in ERROR, not %s: %s", server, want, c.client("openstack", "server", "show", server))
		case time.Now().After(deadline):
			c.t.Fatalf("%s is %s, not %s, after %s:\n%s", server, got, want, patience, c.hearth("explain", "server", server))
		}
	}
}

// awaitConsole waits until a server's console log has every one of the words.
func (c *theCloud) awaitConsole(server string, words ...string) string {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		log := c.client("openstack", "console", "log", "show", server)
		missing := ""
		for _, w := range words {
			if !strings.Contains(log, w) {
				missing = w
			}
		}
		if missing == "" {
			return log
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the console of %s has no %q after %s:\n%s", server, missing, patience, log)
		}
	}
}
