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
	return errors.Join(halted, endExports(ctx, cfg), cfg.Network.Down(ctx))
}

// endExports ends what gives volumes to other nodes, after the guests: theirs wait.
func endExports(ctx context.Context, cfg Config) error {
	handles, err := cfg.Hypervisor.List(ctx, exportsDir(cfg))
	for _, h := range handles {
		err = errors.Join(err, cfg.Hypervisor.Destroy(ctx, h))
	}
	return err
}
