package main

import (
	"log/slog"
	"os"
	"syscall"
)

// failpoint kills this process at the point that HEARTH_FAILPOINT names, as a
// power cut would: for the tests of what is left behind.
func failpoint(log *slog.Logger) func(point string) {
	want := os.Getenv("HEARTH_FAILPOINT")
	if want == "" {
		return nil
	}
	return func(point string) {
		log.Debug("failpoint", "point", point)
		if point == want {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
}
