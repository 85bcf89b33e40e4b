package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hearth/internal/agent/instance"
	"hearth/internal/agent/volume"
	"hearth/internal/cloud"
)

// finding is something that nobody here has a use for.
type finding struct {
	text  string
	clean func(ctx context.Context) error
}

// Findings lists, in sentences, what of ours is on the host and belongs to
// nothing that is written down.
func (a *Agent) Findings(ctx context.Context) ([]string, error) {
	found, err := a.findings(ctx)
	var out []string
	for _, f := range found {
		out = append(out, f.text)
	}
	return out, err
}

// Clean removes all that Findings finds, and says what it was.
func (a *Agent) Clean(ctx context.Context) ([]string, error) {
	found, err := a.findings(ctx)
	errs := []error{err}
	var out []string
	for _, f := range found {
		if err := f.clean(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.text, err))
			continue
		}
		out = append(out, f.text)
	}
	return out, errors.Join(errs...)
}

func (a *Agent) findings(ctx context.Context) ([]finding, error) {
	// What exists is listed first, what is wanted after it: so what comes into
	// being meanwhile is not taken for a leftover.
	disks, err := a.strayDisks(ctx)
	guests, gerr := a.strayGuests(ctx)
	nets, nerr := a.strayNetworks(ctx)
	exports, eerr := a.strayExports(ctx)
	return slices.Concat(disks, guests, nets, exports), errors.Join(err, gerr, nerr, eerr)
}

func (a *Agent) strayDisks(ctx context.Context) (out []finding, err error) {
	disks, err := a.Storage.Disks(ctx)
	for _, d := range disks {
		if _, ok := a.find(instance.DiskOwner(d.ID)); ok || volume.Is(d.ID) {
			continue // a volume is the head's to remove
		}
		out = append(out, finding{fmt.Sprintf("the disk %s (%s) belongs to no instance", d.ID, d.Path),
			func(ctx context.Context) error { return a.Storage.RemoveDisk(ctx, d.ID) }})
	}
	return out, err
}

func (a *Agent) strayGuests(ctx context.Context) (out []finding, err error) {
	handles, err := a.Hypervisor.List(ctx, a.instancesDir())
	for _, h := range handles {
		if _, ok := a.find(h.ID); ok {
			continue
		}
		out = append(out, finding{fmt.Sprintf("the process %d is a guest of no instance (%s)", h.PID, h.ID),
			func(ctx context.Context) error { return a.Hypervisor.Destroy(ctx, h) }})
	}
	return out, err
}

func (a *Agent) strayNetworks(ctx context.Context) (out []finding, err error) {
	found, err := a.Network.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	status := a.networks.Status()
	for _, id := range found.Networks {
		if _, ok := status.Networks[id]; !ok {
			out = append(out, finding{"the network " + id + " is built but not wanted", func(ctx context.Context) error { return a.networks.RemoveNetwork(ctx, id) }})
		}
	}
	for _, id := range found.Routers {
		if _, ok := status.Routers[id]; !ok {
			out = append(out, finding{"the router " + id + " is built but not wanted", func(ctx context.Context) error { return a.networks.RemoveRouter(ctx, id) }})
		}
	}
	wanted := map[string]bool{}
	for _, spec := range a.Instances().Specs() {
		for _, p := range spec.Ports {
			wanted[p.ID] = true
		}
	}
	for _, id := range found.Ports {
		if !wanted[id] {
			out = append(out, finding{"the tap of port " + id + " belongs to no instance", func(ctx context.Context) error { return a.networks.Unplug(ctx, "", id) }})
		}
	}
	return out, nil
}

// Console gives the last max bytes (0: all that is kept) of an instance's serial
// log.
func (a *Agent) Console(_ context.Context, id string, max int) ([]byte, error) {
	if max < 0 {
		return nil, cloud.E("agent.Console", cloud.Invalid, "%d bytes of a console cannot be given", max)
	}
	return a.Instances().Console(id, max)
}
