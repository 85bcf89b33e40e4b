package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// result is how one test, or the setting up of a class of them, came out.
type result struct {
	name   string // of the test with its tags, as lists have it, or "setUpClass (class)"
	state  string // ok, FAILED or SKIPPED
	reason string // of a skip
}

// resultLine is how 'tempest run' says it: {1} name [0.3s] ... SKIPPED: why.
var resultLine = regexp.MustCompile(`^\{\d+\} (.+?)(?: \[([\d.]+)s\])? \.\.\. (ok|FAILED|SKIPPED|\*\*\* FAIL|INPROGRESS)(?:: (.*))?$`)

// tempest runs the suite and reads its results as they come.
func (w *workspace) tempest(ctx context.Context, o options, m mode) ([]result, error) {
	args, err := w.arguments(o, m)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/usr/bin/tempest", args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	said, err := os.Create(filepath.Join(w.dir, "output.log"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// Its workers are processes of the same group, which a signal to the group ends.
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
	defer stop()
	if m.limit > 0 {
		late := time.AfterFunc(m.limit, func() {
			fmt.Printf("the mode's %s are over: what has not run will not\n", m.limit)
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		})
		defer late.Stop()
	}
	results := read(io.TeeReader(out, said), o.concurrency != 0 || m.guests)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("tempest ran nothing: %w; it said why in %s", err, said.Name())
	}
	return results, nil // its exit code says only that some test failed
}

// read reads results from what tempest prints; each is printed when loud, else
// failures only.
func read(r io.Reader, loud bool) []result {
	var results []result
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	began := time.Now()
	for lines.Scan() {
		f := resultLine.FindStringSubmatch(lines.Text())
		if f == nil {
			continue
		}
		res := result{name: f[1], state: f[3], reason: f[4]}
		results = append(results, res)
		if loud || (res.state != "ok" && res.state != "SKIPPED") {
			fmt.Printf("%6s  %-7s %6ss  %s\n", time.Since(began).Round(time.Second), res.state, f[2], res.name)
		}
	}
	return results
}

// arguments of 'tempest run' for a mode.
func (w *workspace) arguments(o options, m mode) (args []string, err error) {
	if w.wanted, err = o.wantedTests(m); err != nil {
		return nil, err
	}
	n := m.concurrency
	if o.concurrency != 0 {
		n = o.concurrency
	}
	args = []string{"run", "--concurrency", strconv.Itoa(n)}
	if w.wanted == nil {
		match := m.match
		if o.regex != "" {
			match = o.regex
		}
		args = append(args, "--regex", match)
		if m.omit != "" {
			args = append(args, "--exclude-regex", m.omit)
		}
		return args, nil
	}
	// Tempest tags some tests as slow only where they would ssh: both names are there, and the one unknown is passed over.
	var b strings.Builder
	for _, test := range w.wanted {
		b.WriteString(test + "\n")
		if plain := strings.Replace(test, ",slow", "", 1); plain != test {
			b.WriteString(plain + "\n")
		}
	}
	list := filepath.Join(w.dir, "tests.list")
	return append(args, "--load-list", list), os.WriteFile(list, []byte(b.String()), 0o600)
}
