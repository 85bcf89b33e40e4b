package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/storagetest"
)

// newDriverTest is 'hearth volume driver-test': the suite that all storage drivers
// pass, on a backend as it is configured or on a plug-in that is being written.
func newDriverTest(cfg *config.Config) *cobra.Command {
	var program, only string
	var options map[string]string
	cmd := &cobra.Command{
		Use: "driver-test [BACKEND]", Short: "Try whether a storage backend, or a storage plug-in, does what Hearth needs of it",
		Long: "Runs the suite that Hearth's own storage drivers pass on a backend of volume.backends, 'file' for the data directory, or on the\n" +
			"program of --plugin, and prints a line for each case. Disks of the suite have names of their own and are removed; others are left alone.\n" +
			"The exit code is 0 when all cases passed. A backend of the driver lvm is tried while hearth is stopped.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b := config.Backend{Name: "plugin", Plugin: program, Options: options}
			if program == "" {
				if len(args) == 0 {
					return fmt.Errorf("name a backend, or a program by --plugin")
				}
				var err error
				if b, err = namedBackend(cfg, args[0]); err != nil {
					return err
				}
			} else if path, err := filepath.Abs(program); err == nil {
				b.Plugin = path
			}
			return driverTest(cmd.Context(), cfg, b, only, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&program, "plugin", "", "program of a storage plug-in that is not configured")
	cmd.Flags().StringToStringVar(&options, "option", nil, "option for that program, NAME=VALUE; may be given several times")
	cmd.Flags().StringVar(&only, "run", "", "only the cases that have this in their names")
	return cmd
}

func namedBackend(cfg *config.Config, name string) (config.Backend, error) {
	for _, b := range cfg.Volume.Backends {
		if b.Name == name && name != config.HostBackend {
			return b, nil
		}
	}
	if name == config.HostBackend {
		return config.Backend{Name: name, Driver: "file", Dir: string(cfg.Paths())}, nil
	}
	return config.Backend{}, fmt.Errorf("volume.backends has no backend %s; --plugin tries a program that is not configured", name)
}

// driverTest opens a backend beside what is in it, and runs the suite.
func driverTest(ctx context.Context, cfg *config.Config, b config.Backend, only string, w io.Writer) error {
	if b.Kind() == "lvm" { // it would sweep what hearth has in the making
		lock, err := lockData(cfg.Paths())
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	tmp, err := os.MkdirTemp("", "hearth-driver-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	at := place{sub: filepath.Base(tmp), owner: "driver-test", tmp: tmp, log: slog.New(slog.DiscardHandler)}
	d, err := openBackend(ctx, b, at)
	if err != nil {
		return err
	}
	if closer, ok := d.(interface{ Close() }); ok {
		defer closer.Close()
	}
	if b.Dir != "" {
		defer os.RemoveAll(filepath.Join(b.Dir, at.sub))
	}
	return runCases(ctx, storagetest.Within(d), only, w)
}

// runCases runs the cases one after another, each on a driver without disks.
func runCases(ctx context.Context, d *storagetest.Scope, only string, w io.Writer) error {
	failed, ran := 0, 0
	for _, c := range storagetest.Cases() {
		if !strings.Contains(c.Name, only) {
			continue
		}
		ran++
		began, t := time.Now(), &caseOfCommand{ctx: ctx}
		err := d.Clear(ctx)
		if err == nil {
			t.run(func() { c.Run(t, d) })
			err = d.Clear(ctx)
		}
		if err != nil {
			t.said = append(t.said, "cannot clear the backend: "+cloud.Message(err))
		}
		word := "ok    "
		if len(t.said) > 0 {
			word = "FAILED"
			failed++
		}
		fmt.Fprintf(w, "%s  %s (%s)\n", word, c.Name, time.Since(began).Round(time.Millisecond))
		for _, line := range t.said {
			fmt.Fprintln(w, "        "+strings.ReplaceAll(line, "\n", "\n        "))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintf(w, "%d of %d cases passed\n", ran-failed, ran)
	switch {
	case ran == 0:
		return errors.New("no case has that in its name")
	case failed > 0:
		return exitCode(1)
	}
	return nil
}

// caseOfCommand is what a case is run with outside 'go test'.
type caseOfCommand struct {
	ctx  context.Context
	said []string
}

var _ storagetest.T = (*caseOfCommand)(nil)

// run runs a case to its end, or to its first fatal failure.
func (t *caseOfCommand) run(test func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("the driver panicked: %v", p)
			}
		}()
		test()
	}()
	<-done
}

// Helper implements storagetest.T.
func (t *caseOfCommand) Helper() {}

// Context implements storagetest.T.
func (t *caseOfCommand) Context() context.Context { return t.ctx }

// Error implements storagetest.T.
func (t *caseOfCommand) Error(args ...any) { t.said = append(t.said, fmt.Sprint(args...)) }

// Errorf implements storagetest.T.
func (t *caseOfCommand) Errorf(format string, args ...any) { t.Error(fmt.Sprintf(format, args...)) }

// Fatal implements storagetest.T.
func (t *caseOfCommand) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

// Fatalf implements storagetest.T.
func (t *caseOfCommand) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

var _ storage.Driver = (*storagetest.Scope)(nil)
