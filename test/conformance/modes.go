package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mode is one way to run the suite.
type mode struct {
	conf        []string // HEARTH_… of the cloud
	list        string   // file of the tests to run; "" for what match and omit choose
	match       string   // regular expression of tests
	omit        string   // regular expression of tests that are left out, each for a reason said beside it
	guests      bool     // real guests: tests may ssh into them
	xen         bool     // run the tests of server metadata, which hang on a flag of Xen's name
	compliance  bool     // the cloud has rules of passwords and locks users out
	concurrency int
	limit       time.Duration // the tests that have not run by then have failed; 0 for none
}

// quick is a cloud whose time is the APIs' own: cheap hashes, guests in memory
// only, and room for as many as a suite starts.
var quick = []string{
	"HEARTH_DRIVER=fake", "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8",
	"HEARTH_IDENTITY_LOCKOUT_ATTEMPTS=2", "HEARTH_IDENTITY_LOCKOUT_DURATION=5s", "HEARTH_IDENTITY_UNIQUE_LAST_PASSWORD_COUNT=2",
	"HEARTH_COMPUTE_CPU_RATIO=1000", "HEARTH_COMPUTE_MEMORY_RATIO=1000", "HEARTH_COMPUTE_DISK_RATIO=1000",
	"HEARTH_VOLUME_BACKENDS=[{name: file}, {name: second, driver: file, dir: /in-memory}]",
}

// real is a cloud of emulated guests that meddles with no other on this host.
var real = []string{
	"HEARTH_DRIVER=qemu", "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_COMPUTE_SHUTDOWN_GRACE=10s", "HEARTH_COMPUTE_DISK_RATIO=10",
	"HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-cfm", "HEARTH_NETWORK_PUBLIC_CIDR=172.24.7.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:7::/64",
	"HEARTH_NETWORK_NAMESPACE=hearth-cfm",
}

var modes = map[string]mode{
	"union": {conf: quick, list: "interop-union.list", omit: inGuest, xen: true, compliance: true, concurrency: 4},
	// os-agents are Xen's, and no hypervisor here has them.
	"api": {conf: quick, match: `^tempest\.api\.`, omit: inGuest + `|` + notLUKS1 + `|tempest\.api\.object_storage|tempest\.api\.compute\.admin\.test_agents|tempest\.api\.identity\.(admin\.)?v2\.`, xen: true, compliance: true, concurrency: 4},
	// A suite of its own, by Neutron's developers: the package neutron-tempest-plugin. What is not advertised skips itself.
	// One worker: tests that page through all policies meet others' that go meanwhile.
	"neutron":  {conf: quick, match: `^neutron_tempest_plugin\.api\.`, concurrency: 1},
	"ssh":      {conf: real, list: "ssh.list", guests: true, concurrency: 1, limit: 30 * time.Minute},
	"scenario": {conf: real, list: "scenario.list", guests: true, concurrency: 1, limit: 2 * time.Hour},
}

// inGuest are tests of the list that look inside a guest over ssh, which no
// fake guest answers: the mode ssh runs them.
const inGuest = `test_create_server\.ServersTest\w+\.(test_host_name_is_same_as_server_name|test_verify_created_server_vcpus)`

// notLUKS1 are tests of encryption that a device mapper does: QEMU's own driver knows LUKS 1 alone, and a volume type
// that asks for another gets no volumes.
const notLUKS1 = `encrypted_volume_luksv2`

// wantedTests are the tests of a mode that the list names and that must
// therefore run; nil when the mode has no list.
func (o options) wantedTests(m mode) ([]string, error) {
	if m.list == "" {
		return nil, nil
	}
	body, err := os.ReadFile(filepath.Join(o.dir, m.list))
	if err != nil {
		return nil, err
	}
	omit, err := regexp.Compile(orNothing(m.omit))
	if err != nil {
		return nil, err
	}
	only, err := regexp.Compile(o.regex)
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(body)) {
		test := strings.TrimSpace(line)
		if test != "" && test[0] != '#' && !omit.MatchString(test) && only.MatchString(test) {
			all = append(all, test)
		}
	}
	return all, nil
}

// orNothing is a regular expression that matches nothing for "".
func orNothing(expression string) string {
	if expression == "" {
		return `$^`
	}
	return expression
}

// imageFile is what guests boot: a bootable one that is baked here for real
// guests, else a disk of nothing in particular.
func (c *theCloud) imageFile(ctx context.Context, m mode) (file, format, user string, err error) {
	if !m.guests {
		file = filepath.Join(c.Work, "disk.raw")
		return file, "raw", "nobody", os.WriteFile(file, bytes.Repeat([]byte("conformance\n"), 8192), 0o600)
	}
	const cache = "/var/cache/hearth-e2e" // shared with test/e2e
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", "", "", err
	}
	out := filepath.Join(c.Work, "ember")
	cmd := exec.CommandContext(ctx, c.Bin, "bake", "ember", "--out", out, "--cache", cache)
	cmd.Env = c.Env
	said, err := cmd.Output()
	if err != nil {
		return "", "", "", fmt.Errorf("hearth bake ember: %w\n%s", err, said)
	}
	for line := range strings.Lines(string(said)) {
		switch f := strings.Fields(line); f[0] {
		case "disk":
			file = f[1]
		case "user":
			user = f[1]
		}
	}
	return file, "qcow2", user, nil
}
