package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake/boottest"
	"hearth/internal/disk"
)

// testBaked boots an image that was just made, once for each model of processor, and writes
// the reports beside it, as NAME.boot-test. No model is the best that there is.
func testBaked(cmd *cobra.Command, image, user string, cpus []string) error {
	if len(cpus) == 0 {
		cpus = []string{""}
	}
	for _, cpu := range cpus {
		if err := testOn(cmd, image, user, cpu); err != nil {
			return err
		}
	}
	return nil
}

func testOn(cmd *cobra.Command, image, user, cpu string) error {
	out := cmd.ErrOrStderr()
	dir := strings.TrimSuffix(image, filepath.Ext(image)) + ".boot-test"
	if cpu != "" {
		dir += "-" + cpu
	}
	fmt.Fprintf(out, "  boot test %s\n", cpu)
	r, err := boottest.Run(cmd.Context(), &disk.Runner{Timeout: time.Hour}, boottest.Options{Image: image, User: user, CPU: cpu, Tell: func(s boottest.Stage) {
		fmt.Fprintf(out, "    %-14s %6.1f s  %.100s\n", s.Name, s.Seconds, s.Text)
	}})
	if err != nil {
		return err
	}
	return tellTested(cmd.OutOrStdout(), r, dir, false)
}
