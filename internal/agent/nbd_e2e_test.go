package agent_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hearth/internal/agent"
	"hearth/internal/agent/metadata"
	"hearth/internal/agent/port"
	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qemu"
	netfake "hearth/internal/driver/network/fake"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/pools"
	"hearth/internal/driver/storage/storagetest"
	"hearth/internal/node/local"
	"hearth/internal/node/remote/pki"
)

// ember is the newest image of that name that the end-to-end tests have baked.
func ember(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("HEARTH_E2E_EMBER"); path != "" {
		return path
	}
	cache := os.Getenv("HEARTH_E2E_CACHE")
	if cache == "" {
		cache = "/var/cache/hearth-e2e"
	}
	found, err := filepath.Glob(filepath.Join(cache, "ember-[0-9a-f]*", "ember.raw"))
	must(t, err)
	if len(found) == 0 {
		t.Fatal("no ember is baked: name one with HEARTH_E2E_EMBER, which 'hearth bake ember --raw' makes")
	}
	age := func(path string) time.Time {
		info, err := os.Stat(path)
		must(t, err)
		return info.ModTime()
	}
	return slices.MaxFunc(found, func(a, b string) int { return age(a).Compare(age(b)) })
}

// identity is that of a node's disks, by the nodes' own authority.
func identity(t *testing.T, ca *pki.CA, name string) hypervisor.Identity {
	t.Helper()
	pair, err := ca.Issue(name, time.Now(), []pki.Role{pki.RoleExport}, "127.0.0.1")
	must(t, err)
	authority, err := ca.Pair()
	must(t, err)
	if block, _ := pem.Decode(authority.Cert); block == nil {
		t.Fatal("the authority is no PEM")
	}
	return hypervisor.Identity{CA: authority.Cert, Cert: pair.Cert, Key: cloud.Secret(pair.Key)}
}

// files keeps disks in a folder.
func files(t *testing.T, dir string) *file.Driver {
	t.Helper()
	d, err := file.New(file.Config{Paths: file.Paths{Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")},
		Kitchen: file.DiskRoom{Runner: &disk.Runner{}}})
	must(t, err)
	return d
}

// nodeOf is an agent of a node with a pool "gold" of its own, and what other nodes know
// it by.
func nodeOf(t *testing.T, dir, image string, id hypervisor.Identity) *agent.Agent {
	t.Helper()
	return nodeWith(t, dir, image, id, "127.0.0.1", pools.Pool{Name: "gold", Open: func(context.Context) (storage.Driver, error) { return files(t, filepath.Join(dir, "gold")), nil }})
}

// nodeWith is a node with a pool and an address.
func nodeWith(t *testing.T, dir, image string, id hypervisor.Identity, address string, pool pools.Pool) *agent.Agent {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.MkdirAll(dir, 0o711))
	places := pools.New(files(t, in("own")), true, pool)
	network, guests := netfake.New(), qemu.New(qemu.Options{Accel: "tcg", Patience: 5 * time.Minute})
	a, err := agent.New(t.Context(), agent.Config{
		Dir: dir, Storage: places, Hypervisor: guests, Network: network,
		Exports: &agent.Exports{Exporter: guests, Identity: id, Address: netip.MustParseAddr(address)},
		NewNetworks: func(find agent.Find) (agent.Networks, error) {
			return port.New(in("networks"), network, port.Instances(find), port.Options{})
		},
		Images:       local.Images{Find: func(string) (string, error) { return image, nil }},
		ConfigDrive:  func(spec cloud.InstanceSpec) (map[string][]byte, error) { return metadata.ConfigDriveFiles(spec), nil },
		HypervisorIs: "QEMU", Version: "test", ShutdownGrace: time.Second,
	})
	must(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// inGuest is what the guest does with the disk of a serial number: it writes a pattern,
// goes on writing until the disk is larger, and then reads all back from it.
const inGuest = `#!/bin/sh
say() { echo "nbd: $*" >/dev/ttyS0; }
seek() { for s in /sys/block/vd*; do [ "$(cat $s/serial)" != SERIAL ] || { d=/dev/${s##*/} s=$s; return 0; }; done; return 1; }
work() {
	say ready
	until seek; do sleep 0.2; done
	was=$(cat $s/size)
	say "has $was sectors"
	dd if=/dev/urandom of=/tmp/pattern bs=65536 count=16 2>/dev/null
	dd if=/tmp/pattern of=$d bs=65536 conv=notrunc,fsync 2>/dev/null || say failed
	say "pattern $(md5sum </tmp/pattern | cut -c1-32)"
	n=0
	while [ "$(cat $s/size)" = $was ]; do
		n=$((n + 1))
		printf 'block %8d' $n | dd of=$d bs=4096 seek=$((1024 + n)) conv=notrunc,fsync 2>/dev/null || say failed
		say "block $n"
		sleep 0.2
	done
	say "grew to $(cat $s/size) sectors"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	say "read $(dd if=$d bs=65536 count=16 2>/dev/null | md5sum | cut -c1-32)"
	i=0
	while [ $i -lt $n ]; do
		i=$((i + 1))
		[ "$(dd if=$d bs=4096 skip=$((1024 + i)) count=1 2>/dev/null | tr -d '\000')" = "$(printf 'block %8d' $i)" ] || say "block $i is lost"
	done
	say "checked $n blocks"
}
work &
`

// console waits until the guest has printed what fits, and gives the first group of it.
func console(t *testing.T, a *agent.Agent, id, pattern string) string {
	t.Helper()
	fits := regexp.MustCompile(pattern)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	late := time.After(8 * time.Minute)
	for {
		text, err := a.Console(t.Context(), id, 0)
		if found := fits.FindSubmatch(text); err == nil && found != nil {
			return string(found[len(found)-1])
		}
		if bytes.Contains(text, []byte("nbd: failed")) || bytes.Contains(text, []byte("is lost")) {
			t.Fatalf("the guest says: %s", text)
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("the guest does not say %q; it said: %s", pattern, text)
		}
	}
}

// TestVolumeOfAnotherNode: a guest on one node has a disk from another node's pool,
// writes it while the process that gives it is killed, and the agent of its node, too,
// sees it grow, and reads back what it wrote; and the same is in the pool.
func TestVolumeOfAnotherNode(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots a guest: set HEARTH_E2E=1 and HEARTH_E2E_ALL=1")
	}
	image := ember(t)
	data, err := os.ReadFile(image)
	must(t, err)
	dir, err := os.MkdirTemp("", "hearth-nbd-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o711)) // guests have users of their own
	ca, err := pki.NewCA("test", time.Now())
	must(t, err)
	ids := map[string]hypervisor.Identity{"node-a": identity(t, ca, "node-a"), "node-b": identity(t, ca, "node-b")}
	keeper := nodeOf(t, filepath.Join(dir, "a"), image, ids["node-a"])
	runner := nodeOf(t, filepath.Join(dir, "b"), image, ids["node-b"])

	volume := cloud.NewID()
	disk := cloud.DiskIn(cloud.VolumeDisk(volume), "gold")
	made, err := keeper.Volumes().Apply(t.Context(), cloud.VolumeSpec{ID: disk, SizeBytes: cloud.GiB})
	must(t, err)
	given, err := keeper.ExportVolume(t.Context(), cloud.ExportSpec{Disk: disk, Nodes: []string{"node-b"}})
	must(t, err)
	given.Source.Node = "node-a"

	spec := cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", Hostname: "vm", VCPUs: 1, MemoryMB: 192, RootGB: 1, ConfigDrive: true, Image: storagetest.Ref(data),
		Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn}}
	spec.Meta.UserData = []byte(strings.ReplaceAll(inGuest, "SERIAL", volume[:20]))
	apply := func(volumes ...cloud.InstanceVolume) {
		t.Helper()
		spec.Volumes = volumes
		must(t, runner.Instances().Apply(t.Context(), spec))
		await(t, runner, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
		for _, st := range runner.Instances().Statuses() {
			if len(st.Refused) > 0 {
				t.Fatalf("refused: %v", st.Refused)
			}
		}
		spec.Intent.Generation++
	}
	apply()
	t.Cleanup(func() {
		_ = runner.Instances().Remove(t.Context(), spec.ID)
		_ = keeper.WithdrawVolume(t.Context(), disk, 0)
	})
	console(t, runner, spec.ID, `nbd: (ready)`)
	attached := cloud.InstanceVolume{AttachmentID: cloud.NewID(), VolumeID: volume, Disk: disk, Device: "/dev/vdc", SizeGB: 1, Source: given.Source}
	apply(attached) // while it runs
	if sectors := console(t, runner, spec.ID, `nbd: has (\d+) sectors`); sectors != strconv.Itoa(int(cloud.GiB/512)) {
		t.Errorf("the guest sees %s sectors", sectors)
	}
	sum := console(t, runner, spec.ID, `nbd: pattern (\w{32})`)
	exporter := func(a *agent.Agent) int {
		t.Helper()
		facts, err := a.Explain(t.Context(), "volume", cloud.DiskIn(volume, "gold"))
		must(t, err)
		pid, err := strconv.Atoi(fact(facts, "process"))
		must(t, err)
		if !strings.Contains(fact(facts, "given to"), "node-b") || fact(facts, "process uid") == "0" {
			t.Errorf("%+v", facts)
		}
		return pid
	}
	blocks := func() int { return strings.Count(string(tail(t, runner, spec.ID)), "nbd: block ") }
	console(t, runner, spec.ID, `nbd: block (3)\D`)

	first := exporter(keeper)
	must(t, syscall.Kill(first, syscall.SIGKILL))
	was := blocks()
	console(t, runner, spec.ID, fmt.Sprintf(`nbd: block (%d)\D`, was+3))
	second := exporter(keeper)
	t.Logf("the process %d was killed after %d blocks, %d has followed it", first, was, second)

	must(t, keeper.Close()) // and comes again: the guest notices nothing
	keeper = nodeOf(t, filepath.Join(dir, "a"), image, ids["node-a"])
	if now := exporter(keeper); now != second {
		t.Errorf("a new agent replaced the process %d by %d", second, now)
	}
	was = blocks()
	console(t, runner, spec.ID, fmt.Sprintf(`nbd: block (%d)\D`, was+2))

	must(t, keeper.Close()) // the process dies while there is no agent
	must(t, syscall.Kill(second, syscall.SIGKILL))
	keeper = nodeOf(t, filepath.Join(dir, "a"), image, ids["node-a"])
	was = blocks()
	console(t, runner, spec.ID, fmt.Sprintf(`nbd: block (%d)\D`, was+2))

	grown, err := keeper.Volumes().Apply(t.Context(), cloud.VolumeSpec{ID: disk, SizeBytes: 2 * cloud.GiB, Made: true})
	must(t, err)
	if grown.SizeBytes != 2*cloud.GiB {
		t.Errorf("%+v", grown)
	}
	attached.SizeGB = 2
	apply(attached)
	if sectors := console(t, runner, spec.ID, `nbd: grew to (\d+) sectors`); sectors != strconv.Itoa(int(2*cloud.GiB/512)) {
		t.Errorf("the guest sees %s sectors of the larger disk", sectors)
	}
	if read := console(t, runner, spec.ID, `nbd: read (\w{32})`); read != sum {
		t.Errorf("the guest wrote %s and reads %s", sum, read)
	}
	count, err := strconv.Atoi(console(t, runner, spec.ID, `nbd: checked (\d+) blocks`))
	must(t, err)
	apply() // detached
	must(t, keeper.WithdrawVolume(t.Context(), disk, 0))
	inPool(t, made.Path, sum, count)
	must(t, runner.Instances().Remove(t.Context(), spec.ID))
	for len(runner.Instances().Statuses()) > 0 {
		time.Sleep(time.Millisecond)
	}
	for name, a := range map[string]*agent.Agent{"a": keeper, "b": runner} {
		if found, err := a.Findings(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("left on %s: %v, %v", name, found, err)
		}
	}
}

// inPool looks whether a volume's file has what the guest wrote.
func inPool(t *testing.T, path, sum string, blocks int) {
	t.Helper()
	kept, err := beginning(path, 16<<20)
	must(t, err)
	if got := md5.Sum(kept[:1<<20]); hex.EncodeToString(got[:]) != sum {
		t.Error("the pool has another pattern than the guest wrote")
	}
	for n := 1; n <= blocks; n++ {
		if want := fmt.Appendf(nil, "block %8d", n); !bytes.HasPrefix(kept[(1024+n)*4096:], want) {
			t.Errorf("the pool does not have block %d", n)
		}
	}
	t.Logf("%d blocks were written and read", blocks)
}

// beginning reads the first bytes of a file.
func beginning(path string, bytes int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make([]byte, bytes)
	_, err = io.ReadFull(f, out)
	return out, err
}

// tail is all that the guest has printed.
func tail(t *testing.T, a *agent.Agent, id string) []byte {
	t.Helper()
	text, err := a.Console(t.Context(), id, 0)
	must(t, err)
	return text
}
