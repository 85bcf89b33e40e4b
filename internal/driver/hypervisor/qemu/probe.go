package qemu

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

const opProbe = "hypervisor.Probe"

// probePatienceQEMU bounds a question to QEMU's binary, which takes 20 ms to answer.
const probePatienceQEMU = 30 * time.Second

// binaries are QEMU's names and places on Debian and its kin, Fedora and its kin, SUSE. Debian's "kvm" is none: it is a
// script that insists on KVM.
var binaries = []string{"qemu-system-x86_64", "/usr/libexec/qemu-kvm", "qemu-kvm", "/usr/bin/qemu-system-x86_64"}

// Probe implements hypervisor.Driver. A failure is not remembered, so that it can be mended meanwhile.
func (d *Driver) Probe(ctx context.Context) (hypervisor.Capabilities, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.caps != nil {
		return *d.caps, nil
	}
	caps, err := d.probe(ctx)
	if err != nil {
		return hypervisor.Capabilities{}, err
	}
	d.caps = &caps
	d.options.Log.Info("the hypervisor was probed", "binary", caps.Binary, "version", caps.Version, "accel", caps.Accel, "reason", caps.Reason)
	return caps, nil
}

func (d *Driver) probe(ctx context.Context) (hypervisor.Capabilities, error) {
	binary, err := findBinary(d.options.Binary)
	if err != nil {
		return hypervisor.Capabilities{}, err
	}
	boot, _ := bootID() // "" measures anew
	measure := func() measurement { return remembered(d.options.CacheDir, boot, measureKVM, d.options.Log) }
	c, m, err := choose(d.options.Accel, measure, openable(d.users.drop))
	if err != nil {
		return hypervisor.Capabilities{}, cloud.E(opProbe, cloud.Invalid, "%w", err)
	}
	version, err := ask(ctx, binary, "-version")
	if err != nil {
		return hypervisor.Capabilities{}, err
	}
	list, err := ask(ctx, binary, "-machine", "help")
	if err != nil {
		return hypervisor.Capabilities{}, err
	}
	devices, err := ask(ctx, binary, "-device", "help")
	if err != nil {
		return hypervisor.Capabilities{}, err
	}
	machines := parseMachines(list)
	machine, err := pickMachine(machines)
	return hypervisor.Capabilities{Accel: c.accel, Reason: c.reason, Warning: c.warning, Rate: m.Rate, Binary: binary,
		Version: parseVersion(version), Machines: machines, Machine: machine, Videos: parseVideos(devices)}, err
}

func findBinary(setting string) (string, error) {
	names := binaries
	if setting != "" {
		names = []string{setting}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", cloud.E(opProbe, cloud.Unavailable, "no QEMU here (looked for %s): install qemu-system-x86 (Debian) or qemu-kvm (Fedora)",
		strings.Join(names, ", "))
}

// ask runs the binary with a question that it answers and ends.
func ask(ctx context.Context, binary string, question ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probePatienceQEMU)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, question...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		words := ""
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			words = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", cloud.E(opProbe, cloud.Unavailable, "%s %s: %w%s", binary, strings.Join(question, " "), err, words)
	}
	return string(out), nil
}

var versionText = regexp.MustCompile(`version (\d+\.\d+\.\d+)`)

// parseVersion finds "7.2.22" in QEMU's answer to -version; "" if it is not there.
func parseVersion(answer string) string {
	if m := versionText.FindStringSubmatch(answer); m != nil {
		return m[1]
	}
	return ""
}

// parseMachines finds the names in QEMU's answer to -machine help: a heading, then a name and a description a line.
func parseMachines(answer string) []string {
	var names []string
	for line := range strings.Lines(answer) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasSuffix(strings.TrimSpace(line), ":") {
			names = append(names, name)
		}
	}
	return names
}

// pickMachine prefers pc: it boots as fast as q35, and takes disks and cards while it runs without a slot made
// ready for each. Distributions without it have q35.
func pickMachine(known []string) (string, error) {
	for _, name := range []string{"pc", "q35"} {
		if slices.Contains(known, name) {
			return name, nil
		}
	}
	return "", cloud.E(opProbe, cloud.Unavailable, "this QEMU has neither a pc nor a q35 machine: it is built for other guests")
}
