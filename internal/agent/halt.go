package agent

import (
	"context"
	"errors"

	"hearth/internal/agent/instance"
)

// Down takes the host down, with no Agent at work: guests are shut down, and
// everything of the data plane is removed. What is wanted stays written down, so
// the next Agent builds it all again.
func Down(ctx context.Context, cfg Config) error {
	halted := instance.Halt(ctx, instance.Config{
		Dir: cfg.Dir + "/instances", Storage: cfg.Storage, Hypervisor: cfg.Hypervisor, Images: cfg.Images, Clock: cfg.Clock,
		Log: cfg.Log, ShutdownGrace: cfg.ShutdownGrace, NoSync: cfg.NoSync,
	})
	return errors.Join(halted, cfg.Network.Down(ctx))
}
