package disk

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// need skips a test on a machine without the tools; the project's installer
// and its e2e run have them all.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, name := range tools {
		if _, err := lookTool(name); err != nil {
			t.Skip(err)
		}
	}
}

// extFile makes an ext4 file system of size bytes that begins at offset.
func extFile(t *testing.T, path string, offset, size int64) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, offset+size); err != nil {
		t.Fatal(err)
	}
	tool, _ := lookTool("mke2fs")
	out, err := exec.Command(tool, "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "offset="+itoa(offset), path, itoa(size/1024)+"k").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestGrowRoot(t *testing.T) {
	need(t, "mke2fs", "e2fsck", "resize2fs", "qemu-img", "qemu-storage-daemon")
	const mib, want = int64(1 << 20), int64(1 << 30)
	ctx, r := context.Background(), &Runner{}
	tests := []struct {
		name      string
		partition int
		make      func(t *testing.T, path string) []Layer
	}{
		{"raw file system", 0, func(t *testing.T, path string) []Layer {
			extFile(t, path, 0, 32*mib)
			return []Layer{{path, Raw}}
		}},
		{"raw MBR", 1, func(t *testing.T, path string) []Layer {
			extFile(t, path, mib, 32*mib)
			writeAt(t, path, mbrDisk(mib, mib, 33*mib)[:512])
			return []Layer{{path, Raw}}
		}},
		{"raw GPT", 1, func(t *testing.T, path string) []Layer {
			extFile(t, path, mib, 31*mib)
			head := gptDisk(33 * mib)
			os.Truncate(path, 33*mib)
			writeAt(t, path, head[:34*512])
			return []Layer{{path, Raw}}
		}},
		{"qcow2 overlay on raw MBR", 1, func(t *testing.T, path string) []Layer {
			base := path + ".base"
			extFile(t, base, mib, 32*mib)
			writeAt(t, base, mbrDisk(mib, mib, 33*mib)[:512])
			if err := r.CreateOverlay(ctx, path, Layer{base, Raw}, 33*mib); err != nil {
				t.Fatal(err)
			}
			return []Layer{{path, QCOW2}, {base, Raw}}
		}},
		{"qcow2 overlay on qcow2 file system", 0, func(t *testing.T, path string) []Layer {
			base := path + ".base"
			extFile(t, base+".raw", 0, 32*mib)
			if err := r.Convert(ctx, Layer{base + ".raw", Raw}, Target{Path: base, Format: QCOW2, Compress: true}, nil); err != nil {
				t.Fatal(err)
			}
			if err := r.CreateOverlay(ctx, path, Layer{base, QCOW2}, 32*mib); err != nil {
				t.Fatal(err)
			}
			return []Layer{{path, QCOW2}, {base, QCOW2}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chain := tt.make(t, filepath.Join(t.TempDir(), "disk"))
			begin := time.Now()
			g, err := r.GrowRoot(ctx, chain, want)
			if KindOf(err) == Unsupported && chain[0].Format == QCOW2 {
				t.Skip(err) // a user without /dev/fuse or namespaces
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v: %+v", time.Since(begin), g)
			if !g.Grown || g.Content != Ext || g.Partition != tt.partition || g.FSSize < want-4*mib || g.Note != "" {
				t.Errorf("grown %+v", g)
			}
			if err := r.Inject(ctx, chain, []File{{Path: "/root/.ssh/authorized_keys", Mode: 0o600, DirMode: 0o700, Data: []byte("key\n")}}); err != nil {
				t.Fatal(err)
			}
			checkInside(t, r, chain)
			if g, err = r.GrowRoot(ctx, chain, want); err != nil || g.Grown {
				t.Errorf("again: %+v, %v", g, err)
			}
			if _, err = r.GrowRoot(ctx, chain, want/2); KindOf(err) != TooBig {
				t.Errorf("shrinking: %v", err)
			}
		})
	}
}

// TestGrowRootFar grows file systems to more than 1024 times their size, for which mke2fs
// reserves room: resize2fs 1.47.0 by itself breaks them then.
func TestGrowRootFar(t *testing.T) {
	need(t, "mke2fs", "e2fsck", "resize2fs", "debugfs")
	const mib, far = int64(1 << 20), int64(160 << 30)
	for _, start := range []int64{0, mib} {
		path, r := filepath.Join(t.TempDir(), "disk"), &Runner{}
		extFile(t, path, start, 63*mib)
		if start > 0 {
			writeAt(t, path, mbrDisk(mib, start, start+63*mib)[:512])
		}
		chain := []Layer{{path, Raw}}
		if err := r.Inject(t.Context(), chain, []File{{Path: "/root/.ssh/authorized_keys", Mode: 0o600, DirMode: 0o700, Data: []byte("key\n")}}); err != nil {
			t.Fatal(err)
		}
		g, err := r.GrowRoot(t.Context(), chain, far)
		if err != nil || !g.Grown || g.FSSize < far-4*mib {
			t.Fatalf("%+v, %v", g, err)
		}
		checkInside(t, r, chain)
	}
}

// TestGrowRootFails leaves a disk that cannot grow as it was.
func TestGrowRootFails(t *testing.T) {
	need(t, "mke2fs", "e2fsck", "resize2fs")
	path := filepath.Join(t.TempDir(), "disk")
	extFile(t, path, 0, 64<<20)
	tool, _ := lookTool("mke2fs")
	if out, err := exec.Command(tool, "-q", "-F", "-t", "ext2", "-b", "1024", path, "64m").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := (&Runner{}).GrowRoot(t.Context(), []Layer{{path, Raw}}, 10<<40); err == nil {
		t.Fatal("ext2 with blocks of 1 KiB grew to 10 TiB")
	}
	if st, err := os.Stat(path); err != nil || st.Size() != 64<<20 {
		t.Errorf("%v, %v", st.Size(), err)
	}
}

func writeAt(t *testing.T, path string, head []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
}

// checkInside has e2fsck look at the file system and debugfs at the file.
func checkInside(t *testing.T, r *Runner, chain []Layer) {
	t.Helper()
	a, err := r.Attach(context.Background(), chain)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	root, err := findRoot(f, st.Size())
	if err != nil || root == nil || root.fs.Size < st.Size()-3<<20 {
		t.Fatalf("the disk of %d bytes has %+v, %v", st.Size(), root, err)
	}
	target := inDisk(root.fs)
	if out, err := r.Run(context.Background(), Command{Name: "e2fsck", Args: []string{"-fn", target}, Disk: f}); err != nil {
		t.Errorf("%v\n%s", err, out.Stdout)
	}
	out, err := r.Run(context.Background(), Command{Name: "debugfs", Args: []string{"-R", "ls -l /root/.ssh", target}, Disk: f})
	if err != nil || !strings.Contains(out.Stdout, "100600 (1)      0      0       4") || !strings.Contains(out.Stdout, "40700") {
		t.Errorf("%v: %s", err, out.Stdout)
	}
}

func TestGrowRootLeavesOthersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	data := make([]byte, 1<<20)
	rand.Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &Runner{}
	g, err := r.GrowRoot(context.Background(), []Layer{{path, Raw}}, 2<<20)
	if err != nil || g.Grown || !strings.Contains(g.Note, "guest may grow it") {
		t.Fatalf("%+v, %v", g, err)
	}
	got, _ := os.ReadFile(path)
	if len(got) != 2<<20 || !bytes.Equal(got[:1<<20], data) {
		t.Error("the bytes were changed")
	}
	if err := r.Inject(context.Background(), []Layer{{path, Raw}}, []File{{Path: "/x"}}); KindOf(err) != Unsupported {
		t.Errorf("inject: %v", err)
	}
}

func TestInjectHostileNames(t *testing.T) {
	need(t, "mke2fs", "debugfs")
	path := filepath.Join(t.TempDir(), "disk")
	extFile(t, path, 0, 16<<20)
	ctx, r, chain := context.Background(), &Runner{}, []Layer{{path, Raw}}
	for _, name := range []string{"x", "/", "/a/../b", "/a\nquit", "/a\x00b", "/a//b", "/a\x7f"} {
		if err := r.Inject(ctx, chain, []File{{Path: name}}); KindOf(err) != Refused {
			t.Errorf("%q: %v", name, err)
		}
	}
	odd := []string{`/a b/"c" <8>`, `/<2>`, `/a;rm x`, `/ü/'$(x)'`, `/-R/-w`, "/#c"}
	for i, name := range odd {
		for range 2 { // the second time it replaces
			if err := r.Inject(ctx, chain, []File{{Path: name, Mode: 0o644, UID: 1000, Data: bytes.Repeat([]byte("x"), i+1)}}); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		out, err := r.Run(ctx, Command{Name: "debugfs", Args: []string{"-R", "cat " + quote(name), path}, Read: []string{path}})
		if err != nil || out.Stdout != strings.Repeat("x", i+1) {
			t.Errorf("%q holds %q, %v %s", name, out.Stdout, err, out.Stderr)
		}
	}
	if err := r.Inject(ctx, chain, []File{{Path: "/lost+found"}}); KindOf(err) != ToolFailed {
		t.Errorf("a file in place of a folder: %v", err)
	}
}

func TestRunnerConfines(t *testing.T) {
	ctx, r := context.Background(), &Runner{}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := r.Run(ctx, Command{Name: "cat", Args: []string{secret}, Read: []string{secret}}); err != nil || out.Stdout != "s3cret" {
		t.Errorf("a named file: %q, %v", out.Stdout, err)
	}
	if landlockABI() > 0 {
		if _, err := r.Run(ctx, Command{Name: "cat", Args: []string{secret}}); KindOf(err) != ToolFailed || !strings.Contains(err.Error(), "Permission denied") {
			t.Errorf("a file not named: %v", err)
		}
		if _, err := r.Run(ctx, Command{Name: "tee", Args: []string{secret}, Read: []string{secret}}); KindOf(err) != ToolFailed {
			t.Errorf("writing a file named for reading: %v", err)
		}
	}
	out, err := r.Run(ctx, Command{Name: "env"})
	if err != nil || strings.Contains(out.Stdout, "HOME") {
		t.Errorf("environment %q, %v", out.Stdout, err)
	}
	short := &Runner{Timeout: 20 * time.Millisecond}
	begin := time.Now()
	if _, err := short.Run(ctx, Command{Name: "sleep", Args: []string{"99"}}); KindOf(err) != TimedOut || time.Since(begin) > time.Minute {
		t.Errorf("time limit: %v after %v", err, time.Since(begin))
	}
	small := &Runner{Memory: 64 << 20}
	if _, err := small.Run(ctx, Command{Name: "dd", Args: []string{"if=/dev/zero", "of=/dev/null", "bs=128M", "count=1"}}); KindOf(err) != ToolFailed {
		t.Errorf("memory limit: %v", err)
	}
	if _, err := r.Run(ctx, Command{Name: "no-such-tool"}); KindOf(err) != ToolMissing {
		t.Errorf("no tool: %v", err)
	}
}

func TestConvert(t *testing.T) {
	need(t, "qemu-img")
	dir, r, ctx := t.TempDir(), &Runner{}, context.Background()
	raw, qcow2, back := filepath.Join(dir, "raw"), filepath.Join(dir, "qcow2"), filepath.Join(dir, "back")
	data := make([]byte, 3<<20)
	rand.Read(data[1<<20 : 2<<20])
	os.WriteFile(raw, data, 0o600)
	last := 0.0
	if err := r.Convert(ctx, Layer{raw, Raw}, Target{Path: qcow2, Format: QCOW2, Compress: true}, func(d float64) { last = d }); err != nil {
		t.Fatal(err)
	}
	if last != 1 {
		t.Errorf("progress ended at %v", last)
	}
	f, _ := os.Open(qcow2)
	defer f.Close()
	st, _ := f.Stat()
	if info, err := Detect(f, st.Size()); err != nil || info.Format != QCOW2 || info.VirtualSize != 3<<20 || info.QCOW2.Compression != "zstd" {
		t.Errorf("made %+v, %v", info, err)
	}
	if err := r.Convert(ctx, Layer{qcow2, QCOW2}, Target{Path: back, Format: Raw, Compress: false}, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(back); !bytes.Equal(got, data) {
		t.Error("the bytes differ after there and back")
	}
	if err := r.Convert(ctx, Layer{raw, QCOW2}, Target{Path: filepath.Join(dir, "x"), Format: Raw}, nil); KindOf(err) != Mismatch {
		t.Errorf("raw as qcow2: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("a failed conversion left a file")
	}
}

func TestSparseWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, 5<<20+77)
	rand.Read(want[1<<20+5 : 1<<20+9000])
	rand.Read(want[3<<20 : 3<<20+4096])
	w, err := NewSparseWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	for rest := want; len(rest) > 0; { // odd pieces
		n := min(len(rest), 12345)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	var st syscall.Stat_t
	syscall.Stat(path, &st)
	if !bytes.Equal(got, want) || w.Size() != int64(len(want)) || w.Stored() > 20000 || st.Blocks*512 > 64<<10 {
		t.Errorf("size %d, stored %d, on disk %d, equal %v", w.Size(), w.Stored(), st.Blocks*512, bytes.Equal(got, want))
	}
	if _, err := NewSparseWriter(f); err == nil {
		t.Error("a file with bytes was accepted")
	}
}

func BenchmarkSparseWriter(b *testing.B) {
	data := make([]byte, 64<<20)
	rand.Read(data[:32<<20])
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		f, err := os.CreateTemp(b.TempDir(), "")
		if err != nil {
			b.Fatal(err)
		}
		w, _ := NewSparseWriter(f)
		if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
		f.Close()
		os.Remove(f.Name())
	}
}

func TestWriteConfigDrive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	files := map[string][]byte{
		"openstack/latest/meta_data.json":     []byte(`{"uuid":"1"}`),
		"openstack/latest/user_data":          bytes.Repeat([]byte("#!/bin/sh\n"), 1000),
		"openstack/2018-08-27/meta_data.json": []byte(`{"uuid":"1"}`),
		"ec2/latest/meta-data.json":           []byte(`{}`),
		"openstack/content/0000":              nil,
	}
	begin := time.Now()
	if err := WriteConfigDrive(path, files); err != nil {
		t.Fatal(err)
	}
	t.Logf("made in %v", time.Since(begin))
	f, _ := os.Open(path)
	defer f.Close()
	st, _ := f.Stat()
	if info, err := Detect(f, st.Size()); err != nil || info.Format != ISO {
		t.Errorf("made %+v, %v", info, err)
	}
	label := make([]byte, 8)
	f.ReadAt(label, 16*2048+40)
	if string(label) != ConfigDriveLabel {
		t.Errorf("label %q", label)
	}
	got := readISO(t, path)
	for name, want := range files {
		if !bytes.Equal(got[name], want) {
			t.Errorf("%s holds %d bytes, want %d", name, len(got[name]), len(want))
		}
	}
	if err := WriteConfigDrive(path+"2", map[string][]byte{"../x": nil}); KindOf(err) != Refused {
		t.Errorf("a name out of the drive: %v", err)
	}
}
