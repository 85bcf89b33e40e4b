package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/paths"
)

// newUp is 'hearth up': head and node in one process.
func newUp(cfg *config.Config) *cobra.Command {
	var background bool
	cmd := &cobra.Command{
		Use: "up", Short: "Start the cloud: head and node in one process", Args: cobra.NoArgs,
		Long: "Start the cloud. The first start makes the admin with a random password, which it shows\n" +
			"once, projects, flavors and networks. A cloud that was stopped or killed goes on where it\n" +
			"was; guests run on without it and are found again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if background {
				return detach(cmd.Context(), cfg, cmd.OutOrStdout())
			}
			return up(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&background, "detach", false, "return when the cloud is ready and leave it running, its log in the data directory")
	return cmd
}

// up runs the cloud until ctx ends.
func up(ctx context.Context, cfg *config.Config, out, logTo io.Writer) error {
	lock, err := lockData(cfg.Paths())
	if err != nil {
		return err
	}
	defer lock.Close()
	log, err := newLog(cfg, logTo)
	if err != nil {
		return err
	}
	collectLess()
	h, err := openHead(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer h.close()
	password, err := h.bootstrap(ctx)
	if err != nil {
		return err
	}
	showPassword(out, password)
	if err := writeFile(cfg.Paths().PID(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return err
	}
	defer os.Remove(cfg.Paths().PID())
	return h.serve(ctx)
}

// collectLess lets the heap, which is a few MiB, grow to three times what is in
// use before a collection. What a request makes is garbage at its end; a fifth of
// the time of a long list was the collector's. GOGC says otherwise.
func collectLess() {
	const growth = 200 // per cent
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}

// newLog is the structured log, one line an event.
func newLog(cfg *config.Config, to io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, fmt.Errorf("log_level is %q: use debug, info, warn or error", cfg.LogLevel)
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level})), nil
}

// running tells whether a process holds the data directory.
func running(dir paths.Data) bool {
	lock, err := lockData(dir)
	if err == nil {
		lock.Close()
		return false
	}
	var locked *lockedError
	return errors.As(err, &locked)
}

// detach starts 'hearth up' as a process of its own and returns when it is
// ready. The first things are made here, so that the password is shown here and
// in no log.
func detach(ctx context.Context, cfg *config.Config, out io.Writer) error {
	password, err := initialize(ctx, cfg)
	if err != nil {
		return err
	}
	if password != "" {
		fmt.Fprintf(out, "the user admin's password, shown once: %s\n", password)
	}
	if running(cfg.Paths()) {
		return waitReady(ctx, cfg)
	}
	log, err := os.OpenFile(cfg.Paths().Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "up")
	cmd.Env = append(os.Environ(), environ(cfg)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return awaitStart(ctx, cfg, cmd)
}

// awaitStart waits until the child is ready, or has failed: then the end of its
// log says why.
func awaitStart(ctx context.Context, cfg *config.Config, cmd *exec.Cmd) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := cmd.Wait(); err != nil {
			cancel(fmt.Errorf("it ended at once (%w): see %s", err, cfg.Paths().Log()))
		}
	}()
	if err := waitReady(ctx, cfg); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("the cloud did not start: %w", cause)
		}
		return err
	}
	return nil
}

// environ is the configuration in effect as variables.
func environ(cfg *config.Config) (env []string) {
	for _, e := range cfg.Entries() {
		env = append(env, e.Variable()+"="+e.String())
	}
	return env
}

// self is how the user calls this program for the same cloud.
func self(cfg *config.Config) string {
	name := os.Args[0]
	if cfg.Data != string(paths.Default()) && !strings.Contains(cfg.Data, " ") {
		name += " --data " + cfg.Data
	}
	return name
}
