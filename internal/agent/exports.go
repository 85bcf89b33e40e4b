package agent

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"hearth/internal/agent/export"
	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Exports is what a node gives volumes to other nodes by, and has theirs by.
type Exports struct {
	Exporter hypervisor.Exporter
	Identity hypervisor.Identity // of this node's disks (pki.RoleExport): processes of guests have it, so it is good for nothing else
	Address  netip.Addr          // where other nodes reach this one: volumes are given there, and nowhere else
}

func exportsDir(cfg Config) string { return filepath.Join(cfg.Dir, "exports") }

func (a *Agent) openExports(ctx context.Context) (err error) {
	if a.Exports == nil {
		return nil
	}
	a.exports, err = export.New(ctx, export.Config{
		Dir: exportsDir(a.Config), Storage: a.Storage, Exporter: a.Exports.Exporter, Identity: a.Exports.Identity, Address: a.Exports.Address, Log: a.Log,
	})
	return err
}

func (a *Agent) closeExports() error {
	if a.exports == nil {
		return nil
	}
	return a.exports.Close()
}

func (a *Agent) identity() hypervisor.Identity {
	if a.Exports == nil {
		return hypervisor.Identity{}
	}
	return a.Exports.Identity
}

// alone is what is said by a node that has no other beside it.
func alone(op string) error {
	return cloud.E(op, cloud.Unsupported, "this node has no certificate of the cloud's nodes, and gives no volumes to others")
}

// ExportVolume has a volume given to other nodes.
func (a *Agent) ExportVolume(ctx context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error) {
	if a.exports == nil {
		return cloud.ExportStatus{}, alone("agent.ExportVolume")
	}
	return a.exports.Apply(ctx, spec)
}

// WithdrawVolume takes it back, unless it was asked for more than asked times.
func (a *Agent) WithdrawVolume(ctx context.Context, disk string, asked int64) error {
	if a.exports == nil {
		return nil
	}
	return a.exports.Withdraw(ctx, disk, asked)
}

// ExportedVolumes lists what is given, sorted.
func (a *Agent) ExportedVolumes() []cloud.ExportStatus {
	if a.exports == nil {
		return []cloud.ExportStatus{}
	}
	return a.exports.Statuses()
}

// holders are all who have volumes of this node open.
type holders struct{ *Agent }

// GrowVolume implements volume.Guests.
func (h holders) GrowVolume(ctx context.Context, disk string, size int64) (bool, error) {
	return h.Instances().GrowVolume(ctx, disk, size)
}

// Quiesce implements volume.Guests.
func (h holders) Quiesce(ctx context.Context, disk string, fn func() error) error {
	return h.Instances().Quiesce(ctx, disk, func() error {
		if h.exports == nil {
			return fn()
		}
		return h.exports.Still(ctx, disk, fn)
	})
}

// Renew implements volume.Guests.
func (h holders) Renew(ctx context.Context, disk string, fn func() error) error {
	if h.exports == nil {
		return fn()
	}
	return h.exports.Renew(ctx, disk, fn)
}

// Withdraw implements volume.Guests.
func (h holders) Withdraw(ctx context.Context, disk string) error {
	return h.WithdrawVolume(ctx, disk, 0)
}

// strayExports are processes that give a disk to others, and that nobody knows of.
func (a *Agent) strayExports(ctx context.Context) (out []finding, err error) {
	find := a.exports.Stray
	if a.exports == nil {
		find = func(ctx context.Context) ([]hypervisor.Handle, error) {
			return a.Hypervisor.List(ctx, exportsDir(a.Config))
		}
	}
	stray, err := find(ctx)
	for _, h := range stray {
		out = append(out, finding{fmt.Sprintf("the process %d gives the disk %s to other nodes, and nobody has asked for that", h.PID, h.ID),
			func(ctx context.Context) error { return a.Hypervisor.Destroy(ctx, h) }})
	}
	if a.exports == nil {
		return out, err
	}
	for _, st := range a.exports.Statuses() {
		if _, err := a.Storage.Disk(ctx, st.Disk); cloud.Is(err, cloud.NotFound) {
			out = append(out, finding{fmt.Sprintf("the disk %s is to be given to other nodes and is not there", st.Disk),
				func(ctx context.Context) error { return a.exports.Withdraw(ctx, st.Disk, 0) }})
		}
	}
	return out, err
}

// explainExport tells to whom a disk is given, and where.
func (a *Agent) explainExport(disk string) (facts []cloud.Fact) {
	if a.exports == nil {
		return nil
	}
	for _, st := range a.exports.Statuses() {
		if st.Disk != disk {
			continue
		}
		how := "may be read and written"
		if st.ReadOnly {
			how = "may be read"
		}
		facts = append(facts, cloud.Fact{Topic: "given to", Value: fmt.Sprintf("%s, at %s by NBD, where it %s", strings.Join(st.Nodes, ", "), st.Source.Address, how)})
		if st.Error != "" {
			facts = append(facts, cloud.Fact{Topic: "not given now", Value: st.Error})
		}
		if h := a.exports.Handle(disk); h != nil {
			facts = append(facts, process(*h)...)
		}
	}
	return facts
}
