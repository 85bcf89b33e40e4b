// Command placement holds the placement API against the gabbi files of OpenStack's
// own placement service: every request with the answer that it must get.
//
//	placement [flags] SOURCES
//
// SOURCES is a folder with placement's sources. The files expect a service without hosts, whose
// tokens say who calls ("admin", or "user:project" with roles in X-Roles), as
// placement's noauth2 has it, and begin anew for each file: so the API runs in this
// process, over a store in memory, which the path /reset empties.
//
// Failures that are known, with their reasons, stand in expected-failures.txt. A
// failure that does not, and a line there that is no longer true, fail the run.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"hearth/test/outside"
)

//go:embed gabbits.py
var script string

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "placement:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	expectedFile := flag.String("expected", "test/placement/expected-failures.txt", "known failures")
	only := flag.String("only", "", "the one `file` to run, without .yaml")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("say where placement's sources are")
	}
	expected, err := outside.ReadExpected(*expectedFile)
	if err != nil {
		return err
	}
	api, err := newService(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	server := httptest.NewServer(http.HandlerFunc(api.serve))
	defer server.Close()
	results, err := ask(ctx, flag.Arg(0), server.Listener.Addr().(*net.TCPAddr), *only)
	if err != nil {
		return err
	}
	return judge(results, expected, *only == "")
}

// result is what became of one request.
type result struct{ state, name, reason string }

// ask has gabbi send the requests.
func ask(ctx context.Context, sources string, at *net.TCPAddr, only string) ([]result, error) {
	sources, err := filepath.Abs(sources)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-", sources, at.IP.String(), fmt.Sprint(at.Port), only)
	cmd.Stdin, cmd.Stderr = strings.NewReader(script), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var results []result
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if f := strings.SplitN(lines.Text(), "\t", 4); len(f) == 4 && f[0] == "RESULT" {
			results = append(results, result{f[1], f[2], f[3]})
		}
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("gabbi (Debian's python3-gabbi): %w", err)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s has no gabbi files, or none was read", sources)
	}
	return results, nil
}

// judge prints the counts and what is not as expected.
func judge(results []result, expected map[string]string, whole bool) error {
	n, used, wrong := map[string]int{}, map[string]bool{}, []string{}
	for _, r := range results {
		n[r.state]++
		if r.state != "failed" {
			continue
		}
		if line := known(expected, r.name); line != "" {
			used[line] = true
			continue
		}
		wrong = append(wrong, "failed: "+r.name+": "+r.reason)
	}
	unknown := len(wrong)
	for line := range expected {
		if whole && !used[line] {
			wrong = append(wrong, "no longer fails: "+line)
		}
	}
	fmt.Printf("%d passed, %d failed (%d of them known), %d skipped\n", n["passed"], n["failed"], n["failed"]-unknown, n["skipped"])
	slices.Sort(wrong)
	for _, line := range wrong {
		fmt.Println(line)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d results are not as expected-failures.txt says", len(wrong))
	}
	return nil
}

// known finds the line of a failure: its name, or a beginning with * behind it.
func known(expected map[string]string, name string) string {
	if _, ok := expected[name]; ok {
		return name
	}
	for line := range expected {
		if begin, ok := strings.CutSuffix(line, "*"); ok && strings.HasPrefix(name, begin) {
			return line
		}
	}
	return ""
}
