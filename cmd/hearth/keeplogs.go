package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/driver/hypervisor/qemu"
)

// keepLogs is the verb by which Hearth starts the process that keeps the logs of guests
// short while it is away itself.
const keepLogs = "keep-logs"

// keepLogsEvery bounds how far a guest that floods its line gets.
const keepLogsEvery = 2 * time.Second

// newKeepLogs is 'hearth keep-logs'. Nobody types it.
func newKeepLogs() *cobra.Command {
	return &cobra.Command{
		Use: keepLogs + " DIRECTORY BYTES", Short: "Keep the logs of a host's guests short until the last of them ends", Args: cobra.ExactArgs(2), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || limit <= 0 {
				return fmt.Errorf("%q is no number of bytes", args[1])
			}
			tick := time.NewTicker(keepLogsEvery)
			defer tick.Stop()
			return qemu.KeepLogs(cmd.Context(), args[0], limit, tick.C)
		},
	}
}
