// Package house checks the shape of the tree: who may import whom, how long a
// file and a function may be, that every package says what it is. The rules are
// those of the house in CONTRIBUTING.md.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root        = "../.."
	module      = "hearth/"
	maxFile     = 600 // lines
	maxFunction = 120 // lines
)

// source is one Go file.
type source struct {
	path string // from the root, with slashes
	dir  string
	test bool
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the tree.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		all = append(all, source{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), file: f, fset: fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files found below %s", len(all), root)
	}
	return all
}

// wall is a rule of the house: files below In may import what matches Deny only
// if they are below one of Except.
type wall struct {
	in     string // prefix of directories; "" for all
	except []string
	deny   []string // import paths, or prefixes that end in /
	why    string
}

var walls = []wall{
	{in: "internal/cloud", deny: []string{"hearth/", "."}, why: "cloud imports the standard library only"},
	{in: "internal/schedule", deny: []string{"hearth/internal/store", "hearth/internal/node", "hearth/internal/service/", "net/http", "time/tick"}, why: "the scheduler is pure"},
	{in: "internal/service", deny: []string{"hearth/internal/openstack/", "hearth/internal/driver/", "hearth/internal/agent/", "net/http"}, why: "service knows neither HTTP nor hosts"},
	{in: "internal/openstack", deny: []string{"hearth/internal/store", "hearth/internal/driver/", "hearth/internal/reconcile"}, why: "openstack speaks to service"},
	{in: "internal/agent", deny: []string{"hearth/internal/store", "hearth/internal/service/", "hearth/internal/openstack/"}, why: "a node goes on without its head"},
	{in: "internal/driver", deny: []string{"hearth/internal/store", "hearth/internal/service/", "hearth/internal/openstack/", "hearth/internal/agent/", "hearth/internal/node"}, why: "drivers know the host and nothing above"},
	{in: "internal/store", deny: []string{"hearth/internal/service/", "hearth/internal/openstack/", "hearth/internal/reconcile"}, why: "the store is below"},
	{in: "internal", except: []string{"internal/store"}, deny: []string{"database/sql", "modernc.org/sqlite", "github.com/jackc/", "github.com/pressly/"}, why: "SQL is in store only"},
	{in: "internal", except: []string{"internal/driver", "internal/disk", "internal/bake"}, deny: []string{"os/exec", "github.com/vishvananda/", "github.com/google/nftables"}, why: "only driver, disk and bake touch the host"},
	{in: "internal", except: []string{"internal/openstack", "internal/node/remote", "internal/agent/metadata", "internal/web"}, deny: []string{"net/http"}, why: "HTTP is in the front hall"},
	{in: "internal", deny: []string{"hearth/cmd/"}, why: "nothing imports the front door"},
}

func TestLayers(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range walls {
				if breaks(w, s.dir, path) {
					t.Errorf("%s imports %s: %s", s.path, path, w.why)
				}
			}
			if from, to := driverKind(s.dir), driverKind(strings.TrimPrefix(path, module)); from != "" && to != "" && from != to {
				t.Errorf("%s imports %s: a driver does not know another", s.path, path)
			}
		}
	}
}

// breaks tells whether a file of dir that imports path breaks a wall.
func breaks(w wall, dir, path string) bool {
	if !below(dir, w.in) {
		return false
	}
	for _, e := range w.except {
		if below(dir, e) {
			return false
		}
	}
	for _, d := range w.deny {
		switch {
		case d == ".": // anything that is not of the standard library
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				return true
			}
		case path == strings.TrimSuffix(d, "/") || strings.HasSuffix(d, "/") && strings.HasPrefix(path, d) || strings.HasPrefix(path, d+"/"):
			return true
		}
	}
	return false
}

func below(dir, room string) bool { return dir == room || strings.HasPrefix(dir, room+"/") }

// driverKind is "network" for internal/driver/network/linux; "" elsewhere.
func driverKind(dir string) string {
	rest, ok := strings.CutPrefix(dir, "internal/driver/")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, "/")
	return kind
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if ast.IsGenerated(s.file) {
			continue
		}
		if n := s.fset.Position(s.file.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines; more than %d is too much for one file", s.path, n, maxFile)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines; more than %d is too much for one function", s.path, f.Name.Name, n, maxFunction)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said, seen := map[string]bool{}, map[string]string{}
	for _, s := range sources(t) {
		if s.test && !strings.HasPrefix(s.dir, "test/") {
			continue
		}
		seen[s.dir] = s.path
		if s.file.Doc != nil {
			said[s.dir] = true
		}
	}
	for dir, path := range seen {
		if !said[dir] {
			t.Errorf("no file of %s (such as %s) has a package doc comment", dir, path)
		}
	}
}

func TestNoInitAndNoGrabBags(t *testing.T) {
	for _, s := range sources(t) {
		switch name := filepath.Base(s.dir); name {
		case "util", "utils", "common", "helpers", "misc":
			t.Errorf("%s: a package called %s says nothing of what it does", s.path, name)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function: registries are explicit, in cmd", s.path)
			}
		}
	}
}

// TestWallsStand makes sure that the rules themselves bite.
func TestWallsStand(t *testing.T) {
	for _, c := range []struct {
		dir, path string
		want      bool
	}{
		{"internal/cloud", "github.com/google/uuid", true},
		{"internal/cloud", "net/netip", false},
		{"internal/service/compute", "net/http", true},
		{"internal/openstack/nova", "hearth/internal/store", true},
		{"internal/openstack/nova", "hearth/internal/service/compute", false},
		{"internal/agent/instance", "hearth/internal/service/compute", true},
		{"internal/service/image", "database/sql", true},
		{"internal/store", "database/sql", false},
		{"internal/agent/instance", "os/exec", true},
		{"internal/driver/hypervisor/qemu", "os/exec", false},
		{"internal/agent/dhcp", "net/http", true},
	} {
		got := false
		for _, w := range walls {
			got = got || breaks(w, c.dir, c.path)
		}
		if got != c.want {
			t.Errorf("%s importing %s: broken is %v, want %v", c.dir, c.path, got, c.want)
		}
	}
}
