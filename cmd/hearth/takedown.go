package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"hearth/internal/agent"
	"hearth/internal/config"
	"hearth/internal/driver/storage/blob"
)

// takeDown shuts the guests of this node down and removes its data plane. The
// head has ended.
func takeDown(ctx context.Context, cfg *config.Config, out io.Writer) error {
	if cfg.Driver == "fake" || !exists(cfg.Paths().Node()) {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("guests and networks were made by root: run 'hearth down' as root")
	}
	lock, err := lockData(cfg.Paths())
	if err != nil {
		return err
	}
	defer lock.Close()
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	network, err := newNetworkDriver(cfg, log)
	if err != nil {
		return err
	}
	defer network.Close()
	if err := network.Own(cfg.Data); err != nil {
		return err
	}
	blobs, err := blob.Open(cfg.Paths().Blobs())
	if err != nil {
		return err
	}
	parts, err := agentConfig(cfg, log, network, contents{blobs: blobs})
	if err != nil {
		return err
	}
	if err := agent.Down(ctx, parts); err != nil {
		return err
	}
	fmt.Fprintln(out, "the cloud is down; what is stored stays for the next 'hearth up'")
	return nil
}
