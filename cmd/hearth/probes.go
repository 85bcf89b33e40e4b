package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"hearth/internal/agent/doctor"
	"hearth/internal/cloud"
	"hearth/internal/config"
)

// probes asks the drivers what this host can do.
func probes(cfg *config.Config) []func(context.Context) doctor.Finding {
	log := slog.New(slog.DiscardHandler)
	return []func(context.Context) doctor.Finding{
		func(ctx context.Context) doctor.Finding { return probeHypervisor(ctx, cfg, log) },
		func(ctx context.Context) doctor.Finding { return probeNetwork(ctx, cfg, log) },
	}
}

func probeHypervisor(ctx context.Context, cfg *config.Config, log *slog.Logger) doctor.Finding {
	caps, err := newHypervisor(cfg, log).Probe(ctx)
	switch {
	case err != nil:
		return doctor.Finding{Name: "hypervisor", Grade: doctor.Missing, Detail: cloud.Message(err), Fix: "apt-get install qemu-system-x86"}
	case caps.Accel == "kvm":
		return doctor.Finding{Name: "hypervisor", Grade: doctor.OK, Detail: "KVM: " + caps.Reason}
	}
	return doctor.Finding{
		Name: "hypervisor", Grade: doctor.Slow, Detail: "emulation (TCG): " + caps.Reason,
		Fix: "use a host whose processors' virtualization is switched on and reaches this machine; guests work, several times slower",
	}
}

func probeNetwork(ctx context.Context, cfg *config.Config, log *slog.Logger) doctor.Finding {
	f := doctor.Finding{Name: "data plane", Grade: doctor.OK}
	if os.Geteuid() != 0 {
		return doctor.Finding{Name: "data plane", Grade: doctor.Missing, Detail: "not looked at without root", Fix: "run 'hearth doctor' as root"}
	}
	driver, err := newNetworkDriver(cfg, log)
	if err != nil {
		return doctor.Finding{Name: "data plane", Grade: doctor.Missing, Detail: cloud.Message(err), Fix: "see the sentence before"}
	}
	defer driver.Close()
	caps, err := driver.Probe(ctx)
	if err != nil {
		return doctor.Finding{Name: "data plane", Grade: doctor.Missing, Detail: cloud.Message(err), Fix: "load the kernel's modules of nf_tables, bridge, veth and tun"}
	}
	f.Detail = fmt.Sprintf("filters by %s, VXLAN: %v", caps.Filter, caps.VXLAN)
	if len(caps.Notes) > 0 {
		f.Detail += "; " + strings.Join(caps.Notes, "; ")
	}
	return f
}
