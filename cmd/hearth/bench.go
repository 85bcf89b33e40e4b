package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newBench is 'hearth bench'.
func newBench(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure a cloud"}
	cmd.AddCommand(newBenchCreate(cfg))
	return cmd
}

// benchRun is what 'hearth bench create' is asked.
type benchRun struct {
	image, flavor, network, prefix string
	count, parallel                int
	limit                          time.Duration
}

// newBenchCreate is 'hearth bench create'.
func newBenchCreate(cfg *config.Config) *cobra.Command {
	var run benchRun
	cmd := &cobra.Command{
		Use: "create --image IMAGE --flavor FLAVOR [--network NETWORK]", Short: "Measure how long servers take to be ACTIVE, and delete them", Args: cobra.NoArgs,
		Long: "Create servers, wait until each is ACTIVE, print how long that took (and the disk's part of it,\n" +
			"where the cloud tells) as median and 95th percentile, and delete them: on Ctrl-C too. The cloud is\n" +
			"that of the OS_… variables, whichever it is, or the one of this machine.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if run.count < 1 || run.parallel < 1 {
				return errors.New("--count and --parallel must be at least 1")
			}
			subject, err := newNova(cmd.Context(), cfg, run)
			if err != nil {
				return refusal(err)
			}
			return run.measure(cmd.Context(), subject, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&run.image, "image", "", "name or id of the image")
	cmd.Flags().StringVar(&run.flavor, "flavor", "", "name or id of the flavor")
	cmd.Flags().StringVar(&run.network, "network", "", "name or id of the network; empty: as the cloud chooses")
	cmd.Flags().StringVar(&run.prefix, "name", "bench", "what the servers' names begin with")
	cmd.Flags().IntVar(&run.count, "count", 10, "how many servers")
	cmd.Flags().IntVar(&run.parallel, "parallel", 1, "how many at a time")
	cmd.Flags().DurationVar(&run.limit, "timeout", 5*time.Minute, "how long one may take")
	_ = cmd.MarkFlagRequired("image")
	_ = cmd.MarkFlagRequired("flavor")
	return cmd
}

// benched is a cloud whose servers are measured.
type benched interface {
	create(ctx context.Context, name string) (id string, err error)
	// active returns when the server is ACTIVE; an error when it never will be.
	active(ctx context.Context, id string) error
	// disk is how long its disk took; false where the cloud does not tell.
	disk(ctx context.Context, id string) (time.Duration, bool)
	// remove returns when the server is gone.
	remove(ctx context.Context, id string) error
}

// sample is a server that was measured.
type sample struct {
	whole, disk time.Duration
	told        bool // of the disk
	err         error
}

// removeLimit bounds the tidying up after an interruption.
const removeLimit = 2 * time.Minute

// measure creates the servers, each of them timed and then deleted. An interruption
// ends it when those that are there are deleted.
func (b benchRun) measure(ctx context.Context, cloud benched, out, progress io.Writer) error {
	samples := make([]sample, b.count)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(b.parallel, b.count) {
		wg.Go(func() {
			for i := range next {
				samples[i] = b.one(ctx, cloud, fmt.Sprintf("%s-%d", b.prefix, i+1))
				fmt.Fprintf(progress, "  %s-%d: %s\n", b.prefix, i+1, samples[i])
			}
		})
	}
	for i := range b.count {
		if ctx.Err() != nil {
			samples[i].err = ctx.Err()
			continue
		}
		select {
		case next <- i:
		case <-ctx.Done():
			samples[i].err = ctx.Err()
		}
	}
	close(next)
	wg.Wait()
	return errors.Join(report(out, samples), ctx.Err())
}

// one measures a server and deletes it, whatever became of it.
func (b benchRun) one(ctx context.Context, cloud benched, name string) (s sample) {
	limited, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	began := time.Now()
	id, err := cloud.create(limited, name)
	if err != nil {
		return sample{err: err}
	}
	s.err = cloud.active(limited, id)
	s.whole = time.Since(began)
	if s.err == nil {
		s.disk, s.told = cloud.disk(limited, id)
	}
	tidy, done := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer done()
	if err := cloud.remove(tidy, id); err != nil {
		s.err = errors.Join(s.err, fmt.Errorf("server %s (%s) stays: %w", name, id, err))
	}
	return s
}

// String is the sample on one line.
func (s sample) String() string {
	switch {
	case s.err != nil:
		return s.err.Error()
	case s.told:
		return fmt.Sprintf("%s, its disk %s", s.whole.Round(time.Millisecond), s.disk.Round(time.Microsecond))
	}
	return s.whole.Round(time.Millisecond).String()
}

// report prints the figures; an error when no server, or not every one, was ACTIVE.
func report(out io.Writer, samples []sample) error {
	var whole, disk []time.Duration
	failed := 0
	for _, s := range samples {
		if s.err != nil {
			failed++
			continue
		}
		whole = append(whole, s.whole)
		if s.told {
			disk = append(disk, s.disk)
		}
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tSERVERS\tP50\tP95\tMAX")
	for _, row := range []struct {
		step string
		took []time.Duration
		unit time.Duration
	}{{"create to ACTIVE", whole, time.Millisecond}, {"disk", disk, time.Microsecond}} {
		if n := len(row.took); n > 0 {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", row.step, n, percentile(row.took, 50).Round(row.unit), percentile(row.took, 95).Round(row.unit), percentile(row.took, 100).Round(row.unit))
		}
	}
	err := w.Flush()
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d servers were not measured", failed, len(samples)))
	}
	return err
}

// percentile is the smallest value that so many per cent are not above; 0 of none.
func percentile(list []time.Duration, per int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[max(0, (len(sorted)*per+99)/100-1)]
}
