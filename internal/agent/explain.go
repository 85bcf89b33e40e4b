package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Explain tells where the parts of a server, port, network, router or image (by
// its digest) are on this host.
func (a *Agent) Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error) {
	switch kind {
	case "server":
		return a.explainServer(ctx, id)
	case "image":
		return a.explainImage(ctx, id)
	}
	if disk, ok := volumeDisks[kind]; ok {
		return a.explainVolume(ctx, disk(id))
	}
	return a.networks.Explain(ctx, kind, id)
}

// volumeDisks name the disks of kinds of volumes, which are asked for by their ids
// and pools: cloud.DiskIn.
var volumeDisks = map[string]func(id string) string{"volume": cloud.VolumeDisk, "snapshot": cloud.SnapshotDisk}

// explainVolume tells where a volume's disk is and what room it takes.
func (a *Agent) explainVolume(ctx context.Context, id string) ([]cloud.Fact, error) {
	d, err := a.Storage.Disk(ctx, id)
	if err != nil {
		return nil, err
	}
	facts := []cloud.Fact{{Topic: "disk", Value: fmt.Sprintf("%s (%s, %d bytes)", d.Path, d.Format, d.Size)}}
	if d.Backing != "" {
		facts = append(facts, cloud.Fact{Topic: "backing", Value: d.Backing})
	}
	if d.Grown != "" {
		facts = append(facts, cloud.Fact{Topic: "grown", Value: d.Grown})
	}
	var st syscall.Stat_t
	if syscall.Stat(d.Path, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG { // of a device the kernel does not say
		facts = append(facts, cloud.Fact{Topic: "allocated", Value: fmt.Sprintf("%d bytes", st.Blocks*512)})
	}
	return append(facts, a.explainExport(id)...), nil
}

// explainImage tells where an image is cached and which disks read from it;
// nothing when it is not cached.
func (a *Agent) explainImage(ctx context.Context, digest string) (facts []cloud.Fact, err error) {
	images, err := a.Storage.Images(ctx)
	if err != nil {
		return nil, err
	}
	disks, err := a.Storage.Disks(ctx)
	for _, img := range images {
		if img.Digest != digest {
			continue
		}
		facts = append(facts, cloud.Fact{Topic: "cache", Value: fmt.Sprintf("%s (%s, %d bytes)", img.Path, img.Format, img.VirtualSize)})
		for _, d := range disks {
			if d.Backing != "" && filepath.Dir(d.Backing) == filepath.Dir(img.Path) {
				facts = append(facts, cloud.Fact{Topic: "clone", Value: d.Path})
			}
		}
	}
	return facts, err
}

func (a *Agent) explainServer(ctx context.Context, id string) ([]cloud.Fact, error) {
	facts, err := a.Instances().Explain(ctx, id)
	if err != nil {
		return nil, err
	}
	if h := a.Instances().Handle(id); h != nil {
		facts = append(facts, process(*h)...)
	}
	spec, _ := a.Instances().Spec(id)
	for _, p := range spec.Ports {
		more, err := a.networks.Explain(ctx, "port", p.ID)
		if err != nil {
			more = []cloud.Fact{{Topic: "port " + p.ID, Value: cloud.Message(err)}}
		}
		facts = append(facts, more...)
	}
	return facts, nil
}

// process tells of a guest's process, if it is still the one of the handle: a
// pid is used again.
func process(h hypervisor.Handle) []cloud.Fact {
	dir := fmt.Sprintf("/proc/%d/", h.PID)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil || startTime(string(stat)) != h.Started {
		return nil
	}
	facts := []cloud.Fact{{Topic: "process", Value: strconv.Itoa(h.PID)}}
	if uid, err := procField(dir+"status", "Uid"); err == nil && uid != "" {
		facts = append(facts, cloud.Fact{Topic: "process uid", Value: strings.Fields(uid)[0]})
	}
	if line, err := os.ReadFile(dir + "cmdline"); err == nil {
		facts = append(facts, cloud.Fact{Topic: "command", Value: strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))})
	}
	return facts
}

// startTime is field 22 of /proc/PID/stat: when the process began, in ticks.
// Field 2, the name, may hold anything but ends with the last parenthesis.
func startTime(stat string) uint64 {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}
