package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// made is a qcow2 of a disk.
func made(t *testing.T, feed Feed, compress string) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "made"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := int64(0)
	size, err := MakeQCOW2(context.Background(), f, feed, compress, func(n int64) { told = n })
	if err != nil || told != size {
		t.Fatalf("%q: %v, told of %d bytes of %d", compress, err, told, size)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// disks of all sorts: with clusters that cannot be packed between those that can,
// with tables that are empty, and of odd sizes.
func disks() map[string][]byte {
	noise := make([]byte, 40*outCluster)
	rand.NewChaCha8([32]byte{}).Read(noise)
	mixed := make([]byte, 5<<20)
	for i := 0; i < len(mixed)/outCluster; i++ {
		at := mixed[i*outCluster : (i+1)*outCluster]
		switch i % 4 {
		case 0:
			copy(at, noise[i/2*outCluster:])
		case 1:
			copy(at, strings.Repeat("hearth! ", 3000))
		case 2:
			copy(at[40000:], noise[:9000])
		}
	}
	return map[string][]byte{"empty": make([]byte, 1<<20), "nothing": {}, "noise": noise, "mixed": mixed, "odd": mixed[:512*777], "text": bytes.Repeat([]byte("hearth! "), 200<<10)}
}

func TestMakeQCOW2(t *testing.T) {
	for name, data := range disks() {
		for _, compress := range []string{"", "zlib", "zstd"} {
			image := made(t, FeedStream(bytes.NewReader(data), -1), compress)
			q, err := NewQCOW2Reader(bytes.NewReader(image), int64(len(image)))
			if err != nil || q.Size() != int64(len(data)) {
				t.Errorf("%s by %q: %v", name, compress, err)
				continue
			}
			got, err := io.ReadAll(io.NewSectionReader(q, 0, q.Size()))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s by %q: what was read is not what was written, %v", name, compress, err)
			}
			if name == "text" && compress != "" && len(image) > 6*outCluster {
				t.Errorf("by %s text takes %d bytes", compress, len(image))
			}
			readBack(t, name+compress, image, data)
			if again := made(t, FeedOf(q), compress); !bytes.Equal(again, image) {
				t.Errorf("%s by %q: a copy of the image is another one", name, compress)
			}
		}
	}
}

// TestHoles reads a disk of 3 GiB that has little in it.
func TestHoles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "raw")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{1 << 20, 2<<30 + 12345, 3<<30 - 5} {
		if _, err := f.WriteAt([]byte("here!"), at); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenSource(f, Raw)
	if err != nil {
		t.Fatal(err)
	}
	image := made(t, FeedOf(s), "zstd")
	if len(image) > 12*outCluster {
		t.Errorf("it takes %d bytes", len(image))
	}
	q, err := NewQCOW2Reader(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(name + ".back")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if n, err := MakeRaw(context.Background(), out, FeedOf(q), nil); err != nil || n != 3<<30 {
		t.Fatal(n, err)
	}
	b := make([]byte, 5)
	for _, at := range []int64{1 << 20, 2<<30 + 12345, 3<<30 - 5} {
		if _, err := out.ReadAt(b, at); err != nil || string(b) != "here!" {
			t.Errorf("at %d is %q, %v", at, b, err)
		}
	}
	if n, err := StreamRaw(context.Background(), io.Discard, FeedOf(q), nil); err != nil || n != 3<<30 {
		t.Error(n, err)
	}
}

type endless struct{ cancel func() }

func (e endless) Read(p []byte) (int, error) { e.cancel(); return len(p), nil }

func TestFeedEnds(t *testing.T) {
	vhd := append(make([]byte, 1<<20), "conectix"+strings.Repeat("\x00", 504)...)
	for name, c := range map[string]struct {
		feed Feed
		want Kind
	}{
		"cut short": {FeedStream(strings.NewReader("abc"), 4), Refused},
		"longer":    {FeedStream(strings.NewReader("abcde"), 4), Refused},
		"vhd":       {FeedStream(bytes.NewReader(vhd), -1), Unsupported},
	} {
		if _, err := StreamRaw(context.Background(), io.Discard, c.feed, nil); KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := StreamRaw(ctx, io.Discard, FeedStream(endless{cancel}, -1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	full := errors.New("the disk is full")
	if _, err := StreamRaw(context.Background(), writer(func([]byte) (int, error) { return 0, full }), FeedStream(endless{func() {}}, -1), nil); !errors.Is(err, full) {
		t.Errorf("full: %v", err)
	}
	if _, err := FillDevice(context.Background(), t.TempDir(), Feed{}, nil); err == nil {
		t.Error("a folder is a device")
	}
}

// BenchmarkMakeQCOW2 packs a raw image that HEARTH_BENCH_IMAGE names.
func BenchmarkMakeQCOW2(b *testing.B) {
	path := os.Getenv("HEARTH_BENCH_IMAGE")
	if path == "" {
		b.Skip("HEARTH_BENCH_IMAGE names no image")
	}
	in, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	for _, compress := range []string{"", "zlib", "zstd"} {
		b.Run("by="+compress, func(b *testing.B) {
			for b.Loop() {
				out, err := os.Create(filepath.Join(b.TempDir(), "out"))
				if err != nil {
					b.Fatal(err)
				}
				s, err := OpenSource(in, Raw)
				if err == nil {
					_, err = MakeQCOW2(b.Context(), out, FeedOf(s), compress, nil)
				}
				st, _ := out.Stat()
				b.ReportMetric(float64(st.Size()), "bytes")
				if err = errors.Join(err, out.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
