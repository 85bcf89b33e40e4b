// Command bench-images measures the image workshop beside the tools that Debian has
// for the same, in one run, and prints the table of docs/performance-images.md: ratios
// of wall and of processor time, the sizes of what is made, and the most memory that
// hearth and its tools had at once. It runs as root, for the loop device of the manual
// pipeline; what is not installed is left out, and said so.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// memoryGoal is what hearth and its tools may have at once, in MiB.
const memoryGoal = 200

// shop is where the measuring happens.
type shop struct {
	bin, work, disk string // the binary, a folder, the disk of a Debian as raw
	tree            string // a Debian with GRUB and dracut as an archive; "": mmdebstrap makes one
	runs            int
	rest            time.Duration
	missed          int
}

// race is one work, done by hearth and by another.
type race struct {
	what    string
	other   string   // its name
	ours    []string // after the name of the binary
	theirs  []string
	tool    string                      // of theirs, that must be there; "": the first word
	env     []string                    // of the other
	input   func(context.Context) error // makes once what both read
	before  func() error
	made    [2]string // what each made, "" if sizes mean nothing; removed before each run
	atLeast float64   // how many times faster is wanted; 1/1.1: not slower by more than a tenth
	files   bool      // one of them makes a file on the host for each of the tree
}

func main() {
	s := shop{}
	only := flag.String("only", "", "run those with this in their name")
	flag.StringVar(&s.bin, "hearth", "./hearth", "the binary")
	flag.StringVar(&s.disk, "disk", "", "a Debian as a raw disk with one ext4 partition (default: the newest that the tests baked)")
	flag.StringVar(&s.tree, "tree", "", "a Debian with kernel, GRUB and dracut as a tar, for KIWI (default: made by mmdebstrap)")
	flag.StringVar(&s.work, "work", os.TempDir(), "folder for a folder of files in between")
	flag.IntVar(&s.runs, "runs", 3, "runs of each")
	flag.DurationVar(&s.rest, "rest", 65*time.Second, "how long nothing is done before a run that makes many files on the host")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench-images:", err)
		os.Exit(1)
	}
	if s.missed > 0 {
		fmt.Printf("\n%d goals are missed.\n", s.missed)
	}
}

func (s *shop) run(ctx context.Context, only string) (err error) {
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	if s.disk == "" {
		if s.disk, err = newest("/var/cache/hearth-e2e/debian-*/debian.raw"); err != nil {
			return err
		}
	}
	if s.work, err = os.MkdirTemp(s.work, "bench-images-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.work)
	if err := s.prepare(ctx); err != nil {
		return err
	}
	info, err := os.Stat(s.disk)
	if err != nil {
		return err
	}
	fmt.Printf("A Debian of %d MiB on a raw disk; %d runs of each in turn; %s\n\n", info.Size()>>20, s.runs, load())
	fmt.Print("| what | beside | wall time, hearth | the other | times faster | processor time, other ÷ hearth | size, hearth ÷ other | most memory | goal |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range s.races() {
		if !strings.Contains(r.what, only) {
			continue
		}
		if _, err := exec.LookPath(cmp.Or(r.tool, r.theirs[0])); err != nil {
			fmt.Printf("| %s | %s | | not installed | | | | | |\n", r.what, r.other)
			continue
		}
		if err := s.race(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
	}
	return nil
}

func newest(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return "", errors.Join(err, fmt.Errorf("there is no %s: say by -disk what is measured with, such as 'hearth bake debian' makes", pattern))
	}
	age := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.ModTime().Unix()
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(age(a), age(b)) }), nil
}

// load is how busy the machine is.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return "load " + strings.Fields(string(b))[0]
}

// race has both do the work in turn, and prints the medians.
func (s *shop) race(ctx context.Context, r race) error {
	var wall, cpu [2][]float64
	var memory []float64
	size := [2]int64{}
	if r.input != nil {
		if err := r.input(ctx); err != nil {
			return err
		}
	}
	for range s.runs {
		for who, line := range [][]string{append([]string{s.bin}, r.ours...), r.theirs} {
			if err := s.clear(r); err != nil {
				return err
			}
			if r.files {
				if err := s.pause(ctx); err != nil {
					return err
				}
			}
			var env []string
			if who == 1 {
				env = r.env
			}
			took, err := measure(ctx, s.work, line, env)
			if err != nil {
				return fmt.Errorf("%s: %w", line[0], err)
			}
			wall[who], cpu[who] = append(wall[who], took.wall.Seconds()), append(cpu[who], took.cpu.Seconds())
			if who == 0 {
				memory = append(memory, float64(took.memory)/(1<<20))
			}
			if r.made[who] != "" {
				if size[who], err = bytesOf(filepath.Join(s.work, r.made[who])); err != nil {
					return err
				}
			}
		}
	}
	s.print(r, wall, cpu, memory, size)
	return nil
}

func (s *shop) print(r race, wall, cpu [2][]float64, memory []float64, size [2]int64) {
	faster := median(wall[1]) / median(wall[0])
	goal := fmt.Sprintf("≥ %.2g ×, ≤ %d MiB", r.atLeast, memoryGoal)
	if faster < r.atLeast || slices.Max(memory) > memoryGoal {
		goal += ": missed"
		s.missed++
	}
	sizes := ""
	if size[0] > 0 && size[1] > 0 {
		sizes = fmt.Sprintf("%.3f", float64(size[0])/float64(size[1]))
	}
	fmt.Printf("| %s | %s | %s | %s | %.2f | %.2f | %s | %.0f MiB | %s |\n", r.what, r.other, spread(wall[0]), spread(wall[1]), faster, median(cpu[1])/median(cpu[0]), sizes, slices.Max(memory), goal)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func spread(v []float64) string {
	return fmt.Sprintf("%.2f s (%.2f–%.2f)", median(v), slices.Min(v), slices.Max(v))
}

// pause lets the host forget the files that the run before has removed. Linux's ext4 gives
// no inode anew that was freed within a minute, and looks past each of them for every new
// file (RECENTCY_MIN in fs/ext4/ialloc.c): whoever came second would pay for the first.
func (s *shop) pause(ctx context.Context) error {
	syscall.Sync()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.rest):
		return nil
	}
}

// clear makes things as they were before the work.
func (s *shop) clear(r race) error {
	if r.before != nil {
		return r.before()
	}
	for _, pattern := range []string{"ours*", "theirs*"} {
		found, err := filepath.Glob(filepath.Join(s.work, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// bytesOf is how much room a file takes.
func bytesOf(path string) (int64, error) {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	return st.Blocks * 512, err
}

// took is what a run took.
type took struct {
	wall, cpu time.Duration
	memory    int64 // bytes: the most that it and its children had at once, as far as was seen
}

// measure runs a line, and looks at its memory all the while.
func measure(ctx context.Context, dir string, line, env []string) (t took, err error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &said, &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return t, err
	}
	seen := make(chan int64)
	over := make(chan struct{})
	go func() {
		most := int64(0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, together(cmd.Process.Pid))
			case <-over:
				seen <- most
				return
			}
		}
	}()
	err = cmd.Wait()
	t.wall = time.Since(start)
	close(over)
	t.memory = <-seen
	use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return t, errors.New("the system does not say what was used")
	}
	t.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.memory = max(t.memory, use.Maxrss<<10) // the largest of them alone, which the kernel saw
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.String())
	}
	return t, err
}
