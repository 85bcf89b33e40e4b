package e2e

import (
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
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
	s, tick := c.session(), time.NewTicker(250*time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		log := must(servers.ShowConsoleOutput(s.ctx, s.compute, server, servers.ShowConsoleOutputOpts{}).Extract())(c.t)
		lacks := slices.IndexFunc(words, func(word string) bool { return !strings.Contains(log, word) })
		if lacks < 0 {
			return log
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the console of %s has no %q after %s:\n%s", server, words[lacks], patience, log)
		}
	}
}
