package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newDown is 'hearth down': ends the cloud's process, its guests and its data
// plane. What is stored stays; the next 'hearth up' starts the guests again.
func newDown(cfg *config.Config) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "down", Short: "Stop the cloud of this data directory and take down its guests and networks", Args: cobra.NoArgs,
		Long: "Stop the cloud's process; then shut its guests down and remove every namespace, bridge and\n" +
			"interface that it made. Servers, images and networks stay stored: the next 'hearth up' starts\n" +
			"the guests again. With --keep-guests they go on running.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := stopRunning(cmd.Context(), cfg); err != nil {
				return err
			}
			if keep {
				return nil
			}
			return takeDown(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-guests", false, "leave guests and networks running")
	return cmd
}

// stopRunning asks the running hearth to end and waits for its lock.
func stopRunning(ctx context.Context, cfg *config.Config) error {
	lock, err := lockData(cfg.Paths())
	if err == nil {
		return lock.Close()
	}
	var locked *lockedError
	if !errors.As(err, &locked) || locked.pid == 0 {
		return err
	}
	if err := syscall.Kill(locked.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot stop pid %d: %w", locked.pid, err)
	}
	return waitForLock(ctx, cfg)
}

// waitForLock blocks in the kernel until the lock is free.
func waitForLock(ctx context.Context, cfg *config.Config) error {
	f, err := os.OpenFile(cfg.Paths().Lock(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	done := make(chan error, 1)
	go func() { done <- syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
