package catalog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/bake/boottest"
	"hearth/internal/bake/catalog"
	"hearth/internal/disk"
)

// server is a web server of tests: addresses and what they give.
type server struct {
	t     *testing.T
	pages map[string][]byte
	asked map[string]int
}

func (s *server) fetch(_ context.Context, address string) (io.ReadCloser, int64, error) {
	s.asked[address]++
	b, ok := s.pages[address]
	if !ok {
		return nil, 0, fmt.Errorf("the server answers 404")
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../disk/verify/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load reads a catalog with entries of a user's own.
func load(t *testing.T, text string) *catalog.Catalog {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const entries = `
- {name: versions, arch: x86_64, image: "http://x/{release}/{build}-{arch}.img", sums: "http://x/{release}/SHA256SUMS", mirrors: ["http://mirror/{file}"],
   newest: [{name: release, at: "http://x/", match: 'href="([\d.]+)/"'}, {name: build, at: "http://x/{release}/", match: 'b\d+'}]}
- {name: signed, arch: x86_64, image: "http://x/image", sums: "http://x/CHECKSUM.asc", keys: [/nowhere, TESTDATA/images.asc]}
- {name: other-key, arch: x86_64, image: "http://x/image", sums: "http://x/CHECKSUM.asc", keys: [TESTDATA/other.gpg]}
- {name: no-key, arch: x86_64, image: "http://x/image", sums: "http://x/CHECKSUM.asc", keys: [/nowhere]}
- {name: unsigned, arch: x86_64, image: "http://x/image", sums: "http://x/CHECKSUM", keys: [TESTDATA/images.asc]}
- {name: detached, arch: x86_64, image: "http://x/image", image_signature: "{image}.minisig", keys: [TESTDATA/minisign.pub]}
- {name: ember, arch: x86_64, bake: ember, title: mine}
`

func house(t *testing.T) (*catalog.Kitchen, *catalog.Catalog, *server) {
	t.Helper()
	dir, err := filepath.Abs("../../disk/verify/testdata")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, asked: map[string]int{}, pages: map[string][]byte{}}
	for _, name := range []string{"image", "CHECKSUM", "CHECKSUM.asc", "image.minisig"} {
		s.pages["http://x/"+name] = testdata(t, name)
	}
	k := &catalog.Kitchen{Dir: t.TempDir(), Fetch: s.fetch, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	return k, load(t, strings.ReplaceAll(entries, "TESTDATA", dir)), s
}

func get(t *testing.T, c *catalog.Catalog, name string) catalog.Entry {
	t.Helper()
	e, err := c.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBuiltIn(t *testing.T) {
	c, err := catalog.Load(filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"cirros", "debian", "ubuntu", "fedora", "almalinux", "rocky", "opensuse", "gentoo", "alpine", "arch", "ember"}
	for _, os := range wanted {
		found := false
		for _, e := range c.All() {
			found = found || e.OS == os && e.User != "" && e.Title != "" && e.Home != "" && e.Recipe != "" && e.Origin == "built in"
		}
		if !found {
			t.Errorf("no entry for %s that says all", os)
		}
	}
	if _, err := c.Get("solaris"); err == nil || !strings.Contains(err.Error(), "cirros") {
		t.Error(err)
	}
}

func TestOwnEntries(t *testing.T) {
	c := load(t, "- {name: ember, arch: x86_64, title: mine, bake: ember}\n")
	if e := get(t, c, "ember"); e.Title != "mine" || e.Origin == "built in" {
		t.Errorf("%+v", e)
	}
	for text, why := range map[string]string{
		"- {name: x, arch: y, image: http://x/y}":                                         "vouches",
		"- {name: x, arch: y}":                                                            "either image",
		"- {name: X/.., arch: y, bake: ember}":                                            "letters",
		"- {name: x, arch: y, bake: ember, colour: red}":                                  "colour",
		"- {name: x, arch: y, bake: ember}\n- {name: x, arch: y, bake: e}":                "twice",
		"- {name: x, arch: y, image: i, sums: s, newest: [{name: a, at: b, match: '('}]}": "regular",
		"- {name: x, arch: y, image: i, image_signature: s}":                              "keys",
	} {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := catalog.Load(path); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNewest(t *testing.T) {
	k, c, s := house(t)
	s.pages["http://x/"] = []byte(`<a href="0.5.2/"> <a href="0.10.1/"> <a href="0.9.9/"> <a href="test/">`)
	s.pages["http://x/0.10.1/"] = []byte("b9 b10 b2")
	s.pages["http://mirror/b10-x86_64.img"] = []byte("the image")
	sum := sha256.Sum256([]byte("the image"))
	s.pages["http://x/0.10.1/SHA256SUMS"] = []byte(hex.EncodeToString(sum[:]) + " *b10-x86_64.img\n")
	s.pages["http://x/0.10.1/b10-x86_64.img"] = []byte("the imagf")
	var told []int64
	k.Tell = func(done, total int64) { told = append(told, done, total) }
	got, err := k.Obtain(t.Context(), get(t, c, "versions")) // the first address has a corrupt byte
	if err != nil || got.Version != "0.10.1 b10" || got.Signed != "" || !strings.Contains(got.Note, "no key is known") {
		t.Fatalf("%+v %v", got, err)
	}
	if b, err := os.ReadFile(got.Path); err != nil || string(b) != "the image" {
		t.Errorf("%q %v", b, err)
	}
	if len(told) == 0 || told[1] != 9 {
		t.Error(told)
	}
	if _, err := k.Obtain(t.Context(), get(t, c, "versions")); err != nil || s.asked["http://mirror/b10-x86_64.img"] != 1 {
		t.Error("an image that is here is fetched again", err)
	}
	if err := os.WriteFile(got.Path, []byte("the imagg"), 0o644); err != nil {
		t.Fatal(err)
	}
	delete(s.pages, "http://mirror/b10-x86_64.img")
	if _, err := k.Obtain(t.Context(), get(t, c, "versions")); disk.KindOf(errors.Unwrap(firstOf(err))) != disk.Refused {
		t.Error("a corrupt byte is taken:", err)
	}
	s.pages["http://x/"] = []byte("moved")
	if _, err := k.Obtain(t.Context(), get(t, c, "versions")); err == nil || !strings.Contains(err.Error(), "arranged anew") {
		t.Error(err)
	}
}

// firstOf is the first of joined errors.
func firstOf(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()[0]
	}
	return err
}

func TestSigned(t *testing.T) {
	k, c, s := house(t)
	for name, want := range map[string]string{"signed": "Images of Test", "no-key": "", "detached": "its own signature"} {
		got, err := k.Obtain(t.Context(), get(t, c, name))
		if err != nil || !strings.Contains(got.Signed, want) || (want == "") != (got.Signed == "") || (want == "") != strings.Contains(got.Note, "/nowhere") {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for _, name := range []string{"other-key", "unsigned"} {
		if got, err := k.Obtain(t.Context(), get(t, c, name)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	corrupt := bytes.Clone(s.pages["http://x/image"])
	corrupt[7] ^= 4
	s.pages["http://x/image"] = corrupt
	k.Dir = t.TempDir()
	for _, name := range []string{"signed", "no-key", "detached"} {
		if got, err := k.Obtain(t.Context(), get(t, c, name)); err == nil {
			t.Errorf("%s: a corrupt byte is taken: %+v", name, got)
		}
		if left, _ := filepath.Glob(filepath.Join(k.Dir, name, "*")); len(left) > 0 {
			t.Error(left)
		}
	}
}

func TestResults(t *testing.T) {
	k, c, _ := house(t)
	if r, err := catalog.Tested(k.Dir, "ember"); r != nil || err != nil || r.Said() != "never tested here" {
		t.Error(r, err)
	}
	baked := 0
	k.Bake = func(_ context.Context, recipe, dir string) (string, error) {
		baked++
		path := filepath.Join(dir, recipe+".qcow2")
		return path, os.WriteFile(path, []byte("disk"), 0o644)
	}
	report := &boottest.Report{Result: boottest.Passed, User: "ember", Stages: []boottest.Stage{{Name: boottest.Prompt, Result: boottest.Passed, Text: "ember login:"}}}
	k.Try = func(_ context.Context, e catalog.Entry, image string) (*boottest.Report, error) {
		if b, err := os.ReadFile(image); err != nil || string(b) != "disk" {
			t.Error(e.Name, string(b), err)
		}
		return report, nil
	}
	for _, want := range []string{"2027-01-15 passed", "2027-01-15 passed, no login prompt on the serial line", "2027-01-15 failed: no lease"} {
		if _, _, err := k.Test(t.Context(), get(t, c, "ember")); err != nil {
			t.Fatal(err)
		}
		r, err := catalog.Tested(k.Dir, "ember")
		if err != nil || r.Said() != want || len(r.SHA512) != 128 {
			t.Errorf("%+v %v", r, err)
		}
		if report.Stages == nil {
			report.Result, report.Reason = boottest.Failed, "no lease"
		}
		report.Stages = nil
	}
	if baked != 1 {
		t.Errorf("baked %d times", baked)
	}
}
