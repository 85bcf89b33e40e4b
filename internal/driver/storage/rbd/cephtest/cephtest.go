// Package cephtest runs a Ceph cluster of one monitor, one manager and one OSD in memory, for
// tests: in a folder of its own, on 127.0.0.1, of Debian's packages
//
//	apt-get install --no-install-recommends ceph-mon ceph-osd ceph-mgr ceph-common qemu-block-extra
//
// which take 300 MB, so that only those who ask for all tests (HEARTH_E2E_ALL) need them.
package cephtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// Cluster is one that runs until the test ends.
type Cluster struct {
	Conf, Keyring string // of client.admin
	Pool          string // for RBD, empty
}

// Start starts a cluster, or skips the test where nobody asked for such.
func Start(t *testing.T) Cluster {
	t.Helper()
	if os.Getenv("HEARTH_E2E") == "" || os.Getenv("HEARTH_E2E_ALL") == "" {
		t.Skip("HEARTH_E2E and HEARTH_E2E_ALL are not set: 'make e2e-all' runs this, with Ceph's packages (see this package)")
	}
	dir, err := os.MkdirTemp("/tmp", "hearth-ceph-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	monitor := fmt.Sprintf("[v2:%s]", l.Addr())
	l.Close()
	b := builder{t: t, dir: dir, conf: filepath.Join(dir, "ceph.conf")}
	keyring := filepath.Join(dir, "keyring")
	id := cloud.NewID()
	// What only the daemons write to is not told to clients.
	text := fmt.Sprintf(`[global]
fsid = %[1]s
mon host = %[2]s
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[mon]
mon data = %[3]s/mon
mon data avail crit = 1
mon initial = a
[mgr]
mgr data = %[3]s/mgr
mgr initial modules =
[osd]
osd data = %[3]s/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[mon.a]
%[4]s
[mgr.x]
%[4]s
[osd.0]
%[4]s
`, id, monitor, dir, strings.Join([]string{"run dir = " + dir, "admin socket = " + dir + "/$name.asok", "pid file = " + dir + "/$name.pid", "log file = " + dir + "/$name.log", "keyring = " + keyring}, "\n"))
	for _, d := range []string{"mon", "mgr", "osd"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(b.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b.keys(keyring)
	b.run("monmaptool", "--create", "--addv", "a", monitor, "--fsid", id, filepath.Join(dir, "monmap"))
	b.run("ceph-mon", "-c", b.conf, "-i", "a", "--mkfs", "--monmap", filepath.Join(dir, "monmap"), "--keyring", keyring)
	b.daemon("ceph-mon", "mon.a", "-i", "a")
	client := []string{"-c", b.conf, "--keyring", keyring}
	osd := cloud.NewID()
	b.run("ceph", append(client, "osd", "new", osd, "0")...)
	b.run("ceph-osd", "-c", b.conf, "-i", "0", "--osd-uuid", osd, "--mkfs")
	b.daemon("ceph-osd", "osd.0", "-i", "0")
	b.daemon("ceph-mgr", "mgr.x", "-i", "x")
	c := Cluster{Conf: b.conf, Keyring: keyring, Pool: "volumes"}
	b.run("ceph", append(client, "osd", "pool", "create", c.Pool, "8")...)
	b.run("rbd", append(client, "pool", "init", c.Pool)...)
	b.awaitUsage(client, c.Pool)
	return c
}

type builder struct {
	t         *testing.T
	dir, conf string
}

func (b builder) run(name string, args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (b builder) keys(keyring string) {
	b.t.Helper()
	create := []string{"--create-keyring"}
	for _, who := range [][]string{
		{"mon.", "mon", "allow *"}, {"client.admin", "mon", "allow *", "osd", "allow *", "mgr", "allow *"},
		{"mgr.x", "mon", "allow profile mgr", "osd", "allow *"}, {"osd.0", "mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"},
	} {
		args := append([]string{keyring}, append(create, "--gen-key", "-n", who[0])...)
		for i := 1; i < len(who); i += 2 {
			args = append(args, "--cap", who[i], who[i+1])
		}
		b.run("ceph-authtool", args...)
		create = nil
	}
}

// daemon starts one, which goes to the background when it is ready, and ends it with the test.
func (b builder) daemon(program, name string, args ...string) {
	b.t.Helper()
	b.run(program, append([]string{"-c", b.conf}, args...)...)
	b.t.Cleanup(func() {
		text, err := os.ReadFile(filepath.Join(b.dir, name+".pid"))
		if err != nil {
			b.t.Errorf("%s: %v", name, err)
			return
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			b.t.Errorf("%s: %v", name, err)
			return
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	})
}

// awaitUsage waits until the manager tells how full the pool is.
func (b builder) awaitUsage(client []string, pool string) {
	b.t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); ; <-tick.C {
		if strings.Contains(b.run("ceph", append(client, "df", "--format", "json")...), `"name":"`+pool+`"`) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("Ceph's manager does not say how full the pool is")
		}
	}
}
