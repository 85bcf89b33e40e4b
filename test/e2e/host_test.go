package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostState is what a cloud must leave alone. Counters and ages are left out.
func hostState(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for _, line := range []string{"ip -o link", "ip -o addr", "ip route show table all", "ip -6 route show table all", "ip rule", "ip -6 rule", "ip netns", "nft list ruleset"} {
		words := strings.Fields(line)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		lines := strings.Split(string(out), "\n")
		for i, l := range lines {
			lines[i] = strings.Join(strings.Fields(l), " ")
			if at := strings.Index(lines[i], " expires "); at >= 0 {
				lines[i] = lines[i][:at]
			}
		}
		sort.Strings(lines)
		state[line] = strings.Join(lines, "\n")
	}
	state["sysctl"] = sysctls(t)
	return state
}

// sysctls reads what of /proc/sys/net concerns forwarding, filters and the
// host's interfaces.
func sysctls(t *testing.T) string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"ipv4/ip_*", "ipv4/conf/*/*", "ipv6/conf/*/*", "bridge/*", "netfilter/*max*"} {
		files, err := filepath.Glob("/proc/sys/net/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if body, err := os.ReadFile(f); err == nil && !strings.Contains(f, "stable_secret") {
				all = append(all, f+"="+strings.TrimSpace(string(body)))
			}
		}
	}
	return strings.Join(all, "\n")
}

// TestHostIsLeftAlone compares the host's network before the cloud with that
// while a guest runs, and after it was taken down.
func TestHostIsLeftAlone(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	before := hostState(t)
	var data string
	t.Run("cloud", func(t *testing.T) {
		c := newCloud(t, "qemu")
		data = c.data
		s := c.session()
		m := s.launch("42", wish{name: "g", image: s.upload("ember", "qcow2", ember.disk, nil), network: s.networkNamed("private")})
		s.ready(m)
		s.giveFloating(m)
		c.keepsFrom(tempDir(t))
		during := hostState(t)
		for what, was := range before {
			if what == "ip netns" || what == "nft list ruleset" && was == during[what] {
				continue
			}
			for _, line := range strings.Split(was, "\n") {
				if !strings.Contains(during[what]+"\n", line+"\n") {
					t.Errorf("%s: with the cloud up this is gone or changed: %s", what, line)
				}
			}
			for _, line := range strings.Split(during[what], "\n") {
				if !strings.Contains(was, line) && !strings.Contains(line, "hearth-e2e") && !strings.Contains(line, "172.24.5.") && !strings.Contains(line, "2001:db8:5:") {
					t.Errorf("%s: with the cloud up this is new: %s", what, line)
				}
			}
		}
	})
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("the host is not what it was:\n%s", diff)
	}
	if left := processesWith(t, data); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// keepsFrom starts a second cloud of the same node's name, which must leave the
// networks of the first alone.
func (c *theCloud) keepsFrom(data string) {
	c.t.Helper()
	other := exec.Command(c.bin, "up")
	other.Env = append(append(os.Environ(), c.conf...), "HEARTH_DATA="+data, "HEARTH_LISTEN="+freePort(c.t))
	out, err := other.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "are those of the cloud in "+c.data) {
		c.t.Errorf("a second cloud of one name: %v\n%s", err, out)
	}
}
