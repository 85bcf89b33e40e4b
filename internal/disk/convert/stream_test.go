package convert

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
)

// TestStreams reads every format from a stream, and writes those that can be.
func TestStreams(t *testing.T) {
	raw := source(t)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	t.Setenv("TMPDIR", t.TempDir())
	for _, from := range []disk.Format{disk.Raw, disk.QCOW2, disk.VMDK} {
		first := filepath.Join(dir, string(from))
		if _, err := Disk(ctx, run, Options{Source: raw, Target: first, Format: from}); err != nil {
			if disk.KindOf(err) == disk.ToolMissing {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		b, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r, err := Disk(ctx, run, Options{Input: bytes.NewReader(b), Output: &out, Format: disk.Raw})
		if err != nil && from == disk.VMDK { // is read by a tool, into a file
			t.Errorf("%s: %v", from, err)
		} else if err != nil || r.From != from || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s to a stream: %+v, %v, %d bytes", from, r, err, out.Len())
		}
		out.Reset()
		if r, err = Disk(ctx, run, Options{Input: bytes.NewReader(b), Length: int64(len(b)), Output: &out, Format: disk.QCOW2, Compress: "zlib"}); err != nil || r.VirtualSize != int64(len(want)) {
			t.Errorf("%s: %+v, %v", from, r, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "streamed"), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, filepath.Join(dir, "streamed")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", from, err, text)
		}
		second := filepath.Join(dir, string(from)+"-made")
		if r, err = Disk(ctx, run, Options{Input: bytes.NewReader(b), Target: second, Format: disk.VDI}); err != nil || r.VirtualSize != int64(len(want)) {
			t.Errorf("%s to vdi: %+v, %v", from, r, err)
		}
	}
	for _, dir := range []string{dir, os.Getenv("TMPDIR")} {
		if left, _ := filepath.Glob(filepath.Join(dir, "*hearth-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestStreamsRefused(t *testing.T) {
	tar := make([]byte, 4096)
	copy(tar[257:], "ustar")
	for want, b := range map[string][]byte{"archive": tar, "is empty": nil, "packed with gzip": []byte("\x1f\x8b\x08")} {
		if _, err := Disk(t.Context(), &disk.Runner{}, Options{Input: bytes.NewReader(b), Target: filepath.Join(t.TempDir(), "made"), Format: disk.Raw}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	ctx, run := context.Background(), &disk.Runner{}
	t.Setenv("TMPDIR", t.TempDir())
	for name, c := range map[string]struct {
		opt  Options
		says string
	}{
		"vmdk out":   {Options{Input: strings.NewReader("x"), Output: io.Discard, Format: disk.VMDK}, "as a stream"},
		"packed":     {Options{Input: strings.NewReader("\x1f\x8b and so on"), Output: io.Discard, Format: disk.Raw}, "unpack"},
		"cut short":  {Options{Input: strings.NewReader("abc"), Length: 5, Output: io.Discard, Format: disk.Raw}, "ended after 3 of 5"},
		"backing":    {Options{Input: strings.NewReader("QFI\xfb\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x68" + strings.Repeat("\x00\x00\x00\x10", 200)), Output: io.Discard, Format: disk.Raw}, "backing file"},
		"device":     {Options{Input: strings.NewReader("abc"), Target: filepath.Join(t.TempDir(), "x"), Device: true, Format: disk.Raw}, "no such file"},
		"not raw":    {Options{Input: strings.NewReader("abc"), Target: "/dev/null", Device: true, Format: disk.QCOW2}, "as they are"},
		"no device":  {Options{Input: strings.NewReader("abc"), Target: "/dev/null", Device: true, Format: disk.Raw}, "no block device"},
		"packed raw": {Options{Input: strings.NewReader("abc"), Output: io.Discard, Format: disk.Raw, Compress: "zstd"}, "can be compressed"},
	} {
		if r, err := Disk(ctx, run, c.opt); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v, want %q", name, r, err, c.says)
		}
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// silent is a pipe to which nobody writes.
type silent struct{ reads chan struct{} }

func (s silent) Read([]byte) (int, error) { close(s.reads); select {} }

func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir, in := t.TempDir(), silent{make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := Disk(ctx, &disk.Runner{}, Options{Input: in, Target: filepath.Join(dir, "x"), Format: disk.Raw})
		ended <- err
	}()
	<-in.reads
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDevice writes to a block device, a loop device of ours, and reads it.
func TestDevice(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root: set HEARTH_E2E=1")
	}
	raw, ctx, run := source(t), context.Background(), &disk.Runner{}
	dir := t.TempDir()
	back := filepath.Join(dir, "device")
	if err := os.WriteFile(back, bytes.Repeat([]byte("old"), 15<<20), 0o600); err != nil { // 45 MiB
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", back).Output()
	if err != nil {
		t.Fatal(err)
	}
	dev := strings.TrimSpace(string(out))
	defer func() {
		if err := exec.Command("losetup", "-d", dev).Run(); err != nil {
			t.Error(err)
		}
	}()
	began := time.Now()
	r, err := Disk(ctx, run, Options{Source: raw, Target: dev, Device: true, Format: disk.Raw})
	if err != nil || r.VirtualSize != 33<<20 {
		t.Fatalf("%+v, %v", r, err)
	}
	want, _ := os.ReadFile(raw)
	got, err := os.ReadFile(dev)
	if err != nil || !bytes.Equal(got[:len(want)], want) || string(got[len(want):len(want)+3]) == "\x00\x00\x00" {
		t.Errorf("the device has other bytes, %v", err)
	}
	made := filepath.Join(dir, "made")
	if r, err = Disk(ctx, run, Options{Source: dev, Target: made, Format: disk.QCOW2, Compress: "zstd"}); err != nil || r.VirtualSize != 45<<20 {
		t.Errorf("from the device: %+v, %v", r, err)
	}
	small := bytes.NewReader(make([]byte, 46<<20))
	if _, err := Disk(ctx, run, Options{Input: small, Target: dev, Device: true, Format: disk.Raw}); disk.KindOf(err) != disk.TooBig {
		t.Errorf("more than the device has: %v", err)
	}
	t.Logf("%s", time.Since(began))
}
