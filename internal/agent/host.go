package agent

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// Host tells what a machine has.
type Host interface {
	// BootID changes with every boot of the kernel.
	BootID() (string, error)
	// VCPUs counts processors, MemoryMB is all memory.
	VCPUs() int
	MemoryMB() (int, error)
	// CPU is the architecture as Linux names it and the model's name.
	CPU() (arch, model string)
}

// Machine is the host this process is on, as /proc tells it (proc(5)).
type Machine struct{}

// BootID implements Host.
func (Machine) BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", cloud.E("agent.BootID", cloud.Internal, "the boot id cannot be read; is /proc mounted?: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// VCPUs implements Host.
func (Machine) VCPUs() int { return runtime.NumCPU() }

// MemoryMB implements Host.
func (Machine) MemoryMB() (int, error) {
	value, err := procField("/proc/meminfo", "MemTotal")
	if err != nil {
		return 0, cloud.E("agent.Memory", cloud.Internal, "the size of the memory cannot be read: %w", err)
	}
	kb, err := strconv.Atoi(strings.TrimSuffix(value, " kB"))
	if err != nil {
		return 0, cloud.E("agent.Memory", cloud.Internal, "the size of the memory is no number: %w", err)
	}
	return kb / 1024, nil
}

// CPU implements Host. The model is "" where /proc/cpuinfo has none.
func (Machine) CPU() (arch, model string) {
	model, _ = procField("/proc/cpuinfo", "model name")
	arch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return arch, model
}

// procField is the value of the first line "name: value" of a file of /proc.
func procField(path, name string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", lines.Err()
}

// Status tells what the host has and how it is.
func (a *Agent) Status(ctx context.Context) (cloud.HostStatus, error) {
	caps, err := a.Hypervisor.Probe(ctx)
	if err != nil {
		return cloud.HostStatus{}, err
	}
	total, free, err := a.Storage.Usage(ctx)
	if err != nil {
		return cloud.HostStatus{}, err
	}
	memory, err := a.Host.MemoryMB()
	if err != nil {
		return cloud.HostStatus{}, err
	}
	bootID, err := a.Host.BootID()
	if err != nil {
		return cloud.HostStatus{}, err
	}
	reserved := a.ReservedMB
	for _, spec := range a.Instances().Specs() {
		reserved += caps.OverheadMB(spec.MemoryMB)
	}
	arch, model := a.Host.CPU()
	var pools []cloud.PoolStatus
	if a.Pools != nil {
		pools = a.Pools(ctx)
	}
	images, err := a.cachedImages(ctx)
	if err != nil {
		return cloud.HostStatus{}, err
	}
	return cloud.HostStatus{
		VCPUs: a.Host.VCPUs(), MemoryMB: memory, DiskGB: int(total >> 30), DiskFreeGB: int(free >> 30), ReservedMB: reserved,
		Accel: caps.Accel, AccelReason: caps.Reason, CPUArch: arch, CPUModel: model,
		Hypervisor: a.HypervisorIs, HypervisorVersion: versionNumber(caps.Version),
		HostIP: a.IP, AgentVersion: a.Version, BootID: bootID,
		BootedAt: bootedAt(time.Now()), Load: loadAverage(), Pools: pools, Images: images, Exports: a.exports != nil,
	}, nil
}

// versionNumber is nova's number for a version: 7002022 for 7.2.22.
func versionNumber(version string) int {
	number := 0
	parts := strings.SplitN(version, ".", 3)
	for i := range 3 {
		n := 0
		if i < len(parts) {
			digits := strings.FieldsFunc(parts[i], func(r rune) bool { return r < '0' || r > '9' })
			if len(digits) > 0 {
				n, _ = strconv.Atoi(digits[0])
			}
		}
		number = number*1000 + min(n, 999)
	}
	return number
}
