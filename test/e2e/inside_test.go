package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// number reads a command's answer as a number.
func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("%q is no number", text)
	}
	return n
}

// uptime of a guest in whole seconds.
func uptime(t *testing.T, in *login) int {
	t.Helper()
	return number(t, in.run("cut -d. -f1 /proc/uptime"))
}

// processesWith lists the processes whose command line or open files name a
// path, but for those of the given process ids.
func processesWith(t *testing.T, path string, but ...int) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if pid, _ := strconv.Atoi(filepath.Base(p)); slices.Contains(but, pid) {
			continue
		}
		line, _ := os.ReadFile(p + "/cmdline")
		if strings.Contains(string(line), path) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
			continue
		}
		fds, _ := filepath.Glob(p + "/fd/*")
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.HasPrefix(to, path) {
				found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
				break
			}
		}
	}
	return found
}

// counter reads one value of /proc/net/snmp or snmp6 in a guest: how many echo
// requests reached it.
func counter(t *testing.T, in *login, v6 bool) int {
	t.Helper()
	if v6 {
		return number(t, in.run(`awk '$1 == "Icmp6InEchos" {print $2}' /proc/net/snmp6`))
	}
	return number(t, in.run(`awk '/^Icmp:/ { if (n++ == 0) { for (i = 1; i <= NF; i++) if ($i == "InEchos") c = i } else print $c }' /proc/net/snmp`))
}

// noGuestsLeft fails the test when a process holds a file of a guest. The cloud
// itself may: it cleans up after them.
func (c *theCloud) noGuestsLeft() {
	c.t.Helper()
	if left := processesWith(c.t, c.data+"/node", c.proc.Process.Pid); len(left) > 0 {
		c.t.Errorf("processes of guests are left: %v", left)
	}
}
