package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// area is a part of a suite, of about one API.
type area struct{ suite, name, path string }

// areas are all there are: packages of gophercloud, folders of Debian's Python.
var areas = []area{
	{"seeds", "commands", ""},
	{"gophercloud", "identity", "identity/v3"},
	{"gophercloud", "image", "image/v2"},
	{"gophercloud", "networking", "networking/v2/..."},
	{"gophercloud", "blockstorage", "blockstorage/..."},
	{"gophercloud", "compute", "compute/v2"},
	{"gophercloud", "placement", "placement/v1"},
	{"sdk", "identity", "openstack/tests/functional/identity"},
	{"sdk", "image", "openstack/tests/functional/image"},
	{"sdk", "network", "openstack/tests/functional/network"},
	{"sdk", "block_storage", "openstack/tests/functional/block_storage"},
	{"sdk", "compute", "openstack/tests/functional/compute"},
	{"sdk", "placement", "openstack/tests/functional/placement"},
	{"sdk", "cloud", "openstack/tests/functional/cloud"},
	{"osc", "identity", "openstackclient/tests/functional/identity"},
	{"osc", "image", "openstackclient/tests/functional/image"},
	{"osc", "network", "openstackclient/tests/functional/network"},
	{"osc", "volume", "openstackclient/tests/functional/volume"},
	{"osc", "compute", "openstackclient/tests/functional/compute"},
	{"nova", "v2", "novaclient/tests/functional"},
	{"cinder", "v3", "cinderclient/tests/functional"},
	{"neutron", "core", "neutronclient/tests/functional/core"},
	{"keystone", "v3", "keystoneclient/tests/functional"},
	{"glance", "v2", "glanceclient/tests/functional/v2"},
	{"libcloud", "compute", "libcloud"},
	{"samples", "nova", ""},
	{"terraform", admin, ""},
	{"terraform", "demo", ""},
}

const (
	gophercloud = "github.com/gophercloud/gophercloud/v2"
	python      = "/usr/bin/python3" // Debian's, which has Debian's packages
	debian      = "/usr/lib/python3/dist-packages"
)

//go:embed results.py
var resultsPy []byte

//go:embed python/samples.py
var samplesPy []byte // replays the samples of an API reference

//go:embed python/libcloud_test.py
var libcloudPy []byte // the client comes without such tests; these are ours

// missing says why an area cannot run; "" when it can.
func (a area) missing(ctx context.Context, s *settings) string {
	if a.suite == "seeds" {
		return ""
	}
	if a.suite == "terraform" {
		if os.Getenv("HEARTH_TERRAFORM_TESTS") == "" || os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
			return "HEARTH_TERRAFORM_TESTS names no test program of terraform-provider-openstack, or TF_ACC_TERRAFORM_PATH no terraform or tofu"
		}
		return ""
	}
	if a.suite == "samples" {
		if os.Getenv("HEARTH_NOVA_SOURCES") == "" {
			return "HEARTH_NOVA_SOURCES names no sources of nova (github.com/openstack/nova, or Debian's source package)"
		}
		return ""
	}
	if a.suite != "gophercloud" {
		if _, err := os.Stat(filepath.Join(debian, a.path)); err != nil {
			return "it is not installed: " + err.Error()
		}
		return ""
	}
	if s.gopherDir != "" {
		return ""
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", gophercloud).Output()
	if s.gopherDir = strings.TrimSpace(string(out)); err != nil || s.gopherDir == "" {
		return "the module cache has no " + gophercloud + " ('go mod download' fetches it)"
	}
	return ""
}

// run runs the tests of an area one by one; the log is kept.
func (a area) run(ctx context.Context, s *settings) ([]result, error) {
	if a.suite == "seeds" {
		return runSeeds(ctx, s)
	}
	cmd, parse := a.command(ctx, s)
	log, err := os.Create(filepath.Join(s.dir, a.suite+"-"+a.name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	results, perr := parse(io.TeeReader(out, log))
	if perr != nil {
		return results, perr
	}
	if err := cmd.Wait(); len(results) == 0 && err != nil {
		return nil, fmt.Errorf("no test ran (%w); see %s", err, log.Name())
	}
	return results, nil
}

func (a area) command(ctx context.Context, s *settings) (*exec.Cmd, func(io.Reader) ([]result, error)) {
	if a.suite == "gophercloud" {
		cmd := exec.CommandContext(ctx, "go", "test", "-json", "-tags", "acceptance", "-p", "1", "-count", "1", "-timeout", "5m", "./internal/acceptance/openstack/"+a.path)
		cmd.Dir, cmd.Env = s.gopherDir, append(os.Environ(), s.gopherEnv...)
		return cmd, parseGo
	}
	if a.suite == "terraform" {
		cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-p", "terraform", os.Getenv("HEARTH_TERRAFORM_TESTS"),
			"-test.v=test2json", "-test.parallel=4", "-test.timeout=60m", "-test.run="+cmp.Or(os.Getenv("HEARTH_TERRAFORM_RUN"), "TestAcc"))
		proxy := httptest.NewServer(http.HandlerFunc(cirros))
		context.AfterFunc(ctx, proxy.Close)
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), append(s.terraform(a.name), "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL)...)
		return cmd, parseGo
	}
	folder, top := filepath.Join(debian, a.path), debian
	if a.suite == "libcloud" {
		folder, top = s.dir, s.dir
	}
	script := resultsPy
	if a.suite == "samples" {
		folder, script = os.Getenv("HEARTH_NOVA_SOURCES"), samplesPy
	}
	cmd := exec.CommandContext(ctx, python, "-", folder, top)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, append(os.Environ(), s.python(a.suite)...), bytes.NewReader(script)
	return cmd, parsePython
}

// cirros is a proxy that has something of the size of cirros 0.3.5 for whatever is
// asked for: the provider's tests upload what they download from the Internet.
func cirros(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 13267968)) }

// colour is what gophercloud paints its failures with.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// parseGo reads test2json. Names are those of the package below openstack/, a
// dot, the test. A test that began and did not end hung.
func parseGo(in io.Reader) (results []result, err error) {
	open, words := map[string]bool{}, map[string]string{}
	var order []string
	dec := json.NewDecoder(in)
	for {
		var e struct{ Action, Package, Test, Output string }
		if err = dec.Decode(&e); err != nil {
			break
		}
		if e.Test == "" || strings.Contains(e.Test, "/") {
			continue
		}
		pkg := e.Package
		if _, below, ok := strings.Cut(pkg, "/acceptance/openstack/"); ok {
			pkg = below
		}
		name := pkg + "." + e.Test
		switch e.Action {
		case "run":
			open[name] = true
			order = append(order, name)
		case "output":
			if text := strings.TrimSpace(colour.ReplaceAllString(e.Output, "")); strings.Contains(text, ".go:") {
				words[name] = text
			}
		case "pass", "fail", "skip":
			delete(open, name)
			r := result{name: name, state: map[string]string{"pass": passed, "fail": failed, "skip": skipped}[e.Action]}
			if r.state != passed {
				r.reason = words[name]
			}
			results = append(results, r)
		}
	}
	for _, name := range order {
		if open[name] {
			results = append(results, result{name, failed, "it did not end"})
		}
	}
	if err == io.EOF {
		err = nil
	}
	return results, err
}

// parsePython reads what results.py writes, among what tests print themselves.
func parsePython(in io.Reader) (results []result, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if f := strings.SplitN(lines.Text(), "\t", 4); len(f) == 4 && f[0] == "RESULT" {
			results = append(results, result{f[2], f[1], f[3]})
		}
	}
	return results, lines.Err()
}
