package lvm

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// size is that of the physical volume in testdata, of which the first MiB is kept. It
// was made by lvm2 2.03.16: swap (2 extents), root (6), data (1), then swap 2 longer.
const size = 64 << 20

// physical gives it, behind shift bytes.
func physical(t testing.TB, shift int) []byte {
	f, err := os.Open("testdata/pv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return append(make([]byte, shift), append(b, make([]byte, size-len(b))...)...)
}

func TestRead(t *testing.T) {
	const shift = 1 << 20
	got, err := Read(bytes.NewReader(physical(t, shift)), shift, size)
	if err != nil {
		t.Fatal(err)
	}
	const extent, first = 4 << 20, shift + 1<<20
	want := []Volume{
		{Group: "debian-vg", Name: "swap", Note: "the logical volume debian-vg/swap is not read here: it lies on the disk in several pieces"},
		{Group: "debian-vg", Name: "root", Start: first + 2*extent, Size: 6 * extent},
		{Group: "debian-vg", Name: "data", Start: first + 8*extent, Size: extent},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestReadRefuses: what leads out of the disk, or is not linear, is not read.
func TestReadRefuses(t *testing.T) {
	change := func(old, now string) []byte { // of the same length, in all copies of the text
		return bytes.ReplaceAll(physical(t, 0), []byte(old), []byte(now))
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"label":  {change("LABELONE", "LABELTWO"), "no label"},
		"ring":   {change(magic, strings.ToUpper(magic)), "contradicts"},
		"extent": {change("extent_size = 8192", "extent_size = 0000"), "extents of 0"},
		"text":   {change("physical_volumes {", "physical_volumes ["), "value"},
	} {
		_, err := Read(bytes.NewReader(c.b), 0, size)
		if disk.KindOf(err) != disk.Refused || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := Read(bytes.NewReader(physical(t, 0)), 0, 20<<20) // of which the root is the end
	if err != nil || len(list) != 3 || !strings.Contains(list[1].Note, "outside of the disk") {
		t.Errorf("%+v %v", list, err)
	}
	list, err = Read(bytes.NewReader(change(`type = "striped"`, `type = "mirrors"`)), 0, size)
	if err != nil || len(list) != 3 || !strings.Contains(list[1].Note, "not linear") {
		t.Errorf("%+v %v", list, err)
	}
}

func FuzzRead(f *testing.F) {
	disktest.AddSpoilt(f, 100, physical(f, 0)[:256<<10])
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Read(bytes.NewReader(b), 0, int64(len(b)))
		if err != nil && disk.KindOf(err) == "" {
			t.Fatal(err)
		}
		for _, v := range list {
			if v.Start < 0 || v.Size < 0 || v.Start+v.Size > int64(len(b)) {
				t.Fatalf("%+v of %d bytes", v, len(b))
			}
		}
		relaid(t, b)
	})
}

// relaid lays a group out anew, if that can be: what is written must read again.
func relaid(t *testing.T, b []byte) {
	g, err := Open(bytes.NewReader(b), 0, int64(len(b)))
	if err != nil {
		return
	}
	places, need, err := g.Relay(nil)
	if err != nil {
		return
	}
	if need > int64(len(b)) {
		t.Fatalf("%+v need %d bytes of %d", places, need, len(b))
	}
	made := memory(bytes.Clone(b[:need]))
	if err := g.Write(made, places, need); err != nil {
		return
	}
	again, err := Open(bytes.NewReader(made), 0, need)
	if err != nil {
		t.Fatal(err)
	}
	if now, size, err := again.Relay(nil); err != nil || size != need || len(now) != len(places) {
		t.Fatalf("%+v became %+v, %v", places, now, err)
	}
}
