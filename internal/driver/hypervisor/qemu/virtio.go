package qemu

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// driverOK is what a virtio driver says of its device when it is set up (virtio 1.2,
// 2.1), as QEMU writes it, with an explanation behind it.
const driverOK = "VIRTIO_CONFIG_S_DRIVER_OK"

// driverOf tells whether the guest drives a device. Only of virtio devices on the
// PCI bus is it known, and of a QEMU that tells (from 7.2 on).
func (g *guest) driverOf(ctx context.Context, op, id, model string) (hypervisor.DriverState, error) {
	if !strings.HasPrefix(model, "virtio-") || !strings.HasSuffix(model, "-pci") {
		return hypervisor.DriverUnknown, nil
	}
	var status struct {
		Status struct {
			Statuses []string `json:"statuses"`
		} `json:"status"`
	}
	err := g.ask(ctx, op, nil, "x-query-virtio-status", map[string]any{"path": peripheral + "/" + id + "/virtio-backend"}, &status)
	switch {
	case cloud.Is(err, cloud.Conflict): // it is on its way out, or QEMU knows no such command
		return hypervisor.DriverUnknown, nil
	case err != nil:
		return hypervisor.DriverUnknown, err
	}
	if slices.ContainsFunc(status.Status.Statuses, func(s string) bool { return strings.HasPrefix(s, driverOK) }) {
		return hypervisor.DriverReady, nil
	}
	return hypervisor.DriverMissing, nil
}
