package lvm

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/disk"
)

// memory is a disk in memory.
type memory []byte

// WriteAt implements [io.WriterAt].
func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if n := copy(m[at:], p); n < len(p) {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}

// TestRelay makes the root of the group smaller: all lies in one piece each then, and
// pvck of lvm2 finds its headers and its metadata right.
func TestRelay(t *testing.T) {
	const extent, first = 4 << 20, 1 << 20
	b := physical(t, 0)
	g, err := Open(bytes.NewReader(b), 0, size)
	if err != nil {
		t.Fatal(err)
	}
	list, need, err := g.Relay(map[string]int64{"root": 9<<20 + 1})
	want := []Place{
		{"swap", []Span{{first, 2 * extent}, {first + 9*extent, 2 * extent}}, Span{first, 4 * extent}},
		{"root", []Span{{first + 2*extent, 6 * extent}}, Span{first + 4*extent, 3 * extent}},
		{"data", []Span{{first + 8*extent, extent}}, Span{first + 7*extent, extent}},
	}
	if d := cmp.Diff(want, list); d != "" || err != nil || need != first+8*extent || g.Extent() != extent || g.Data() != first {
		t.Fatalf("%s %d %v", d, need, err)
	}
	made := memory(bytes.Clone(b[:need]))
	if err := g.Write(made, list, need); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(made), 0, need)
	for i, p := range want {
		if v := (Volume{Group: "debian-vg", Name: p.Name, Start: p.To.Start, Size: p.To.Size}); err != nil || got[i] != v {
			t.Errorf("%+v, want %+v, %v", got[i], v, err)
		}
	}
	again, err := Open(bytes.NewReader(made), 0, need)
	if err != nil || again.s.number("seqno") != g.s.number("seqno") || again.s.text("id") == "" {
		t.Errorf("%+v, %v", again, err)
	}
	pvck(t, made)
}

// pvck has lvm2 look at a physical volume.
func pvck(t *testing.T, b []byte) {
	t.Helper()
	program, err := exec.LookPath("pvck")
	if err != nil {
		if program = "/usr/sbin/pvck"; os.Geteuid() != 0 {
			t.Skip("lvm2 wants root")
		}
	}
	name := filepath.Join(t.TempDir(), "pv")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, words := range map[string][]string{"headers": {"label_header at 512", "mda_header_1 at", "pv_header.device_size", "metadata text at"}, "metadata": {"debian-vg {", "extent_count = 3"}} {
		out, err := exec.Command(program, "--dump", what, name).CombinedOutput()
		if os.IsNotExist(err) {
			t.Skip(err)
		}
		said := string(out)
		if err != nil || strings.Contains(said, "CHECK:") || strings.Contains(strings.ToLower(said), "bad ") {
			t.Errorf("pvck --dump %s: %v: %s", what, err, said)
		}
		for _, w := range words {
			if !strings.Contains(said, w) {
				t.Errorf("pvck --dump %s lacks %q: %s", what, w, said)
			}
		}
	}
}

// TestRelayRefuses: what lies elsewhere too, or has copies of its metadata, stays.
func TestRelayRefuses(t *testing.T) {
	change := func(old, now string) []byte {
		return bytes.ReplaceAll(physical(t, 0), []byte(old), []byte(now))
	}
	for name, b := range map[string][]byte{"mirror": change(`type = "striped"`, `type = "mirrors"`), "second disk": physical(t, 0)} {
		g, err := Open(bytes.NewReader(b), 0, size)
		if err != nil {
			t.Fatal(err)
		}
		if name == "second disk" {
			g.s.section("physical_volumes").set("pv1", newSection())
		}
		if _, _, err := g.Relay(nil); disk.KindOf(err) != disk.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := Open(bytes.NewReader(physical(t, 0)), 0, size)
	if err != nil {
		t.Fatal(err)
	}
	g.s.set("description", word{strings.Repeat("x", 1<<20), true})
	list, need, err := g.Relay(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Write(make(memory, need), list, need); disk.KindOf(err) != disk.Refused {
		t.Errorf("metadata without room: %v", err)
	}
	g.meta[0][1] = 1 << 60
	if _, _, err := g.Relay(nil); disk.KindOf(err) != disk.Refused {
		t.Errorf("metadata behind the extents: %v", err)
	}
	g.meta[0][1] = 1 << 19
	g.s.section("logical_volumes").set("twin", g.s.section("logical_volumes").section("root"))
	if _, _, err := g.Relay(nil); disk.KindOf(err) != disk.Refused {
		t.Errorf("two on each other: %v", err)
	}
	g.meta = append(g.meta, g.meta[0])
	if _, _, err := g.Relay(nil); disk.KindOf(err) != disk.Refused {
		t.Errorf("two areas: %v", err)
	}
}

// TestText: what is written reads as it was.
func TestText(t *testing.T) {
	const text = "a = 1\nb = \"two \\\"x\\\\\"\nc = []\nd = [\"e\", 5]\nf {\ng = \"7\"\n}\n"
	s, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if s.write(&b); b.String() != text {
		t.Errorf("%s\nwant\n%s", b.String(), text)
	}
}
