package disk

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWriteQCOW2 writes disks and reads them back: by our own reader of headers,
// and by qemu-img where it is there.
func TestWriteQCOW2(t *testing.T) {
	sparse := make([]byte, 700<<10)
	copy(sparse[300<<10:], "something in the middle")
	full := bytes.Repeat([]byte("hearth! "), 40<<10)
	for name, data := range map[string][]byte{"empty": make([]byte, 1<<20), "sparse": sparse, "full": full, "odd": full[:512*333]} {
		var out bytes.Buffer
		err := WriteQCOW2(context.Background(), &out, int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info, err := Detect(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil || info.Format != QCOW2 || info.VirtualSize != int64(len(data)) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if name == "empty" && out.Len() > 5*outCluster {
			t.Errorf("an empty disk takes %d bytes", out.Len())
		}
		readBack(t, name, out.Bytes(), data)
	}
}

// TestPackQCOW2 packs disks and reads them back, one of them with clusters that
// cannot be made smaller.
func TestPackQCOW2(t *testing.T) {
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("needs zstd")
	}
	noise := make([]byte, 10*outCluster+512)
	rand.NewChaCha8([32]byte{}).Read(noise)
	mixed := append(append(make([]byte, 200<<10), bytes.Repeat([]byte("hearth! "), 40<<10)...), noise[:100<<10]...)
	for name, data := range map[string][]byte{"empty": make([]byte, 1<<20), "noise": noise, "mixed": mixed} {
		dir := t.TempDir()
		src, dst := filepath.Join(dir, "raw"), filepath.Join(dir, "packed")
		if err := os.WriteFile(src, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := new(Runner).PackQCOW2(context.Background(), src, dst, dir, int64(len(data)), nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		image, err := os.ReadFile(dst)
		if err != nil {
			t.Fatal(err)
		}
		if name == "mixed" && len(image) > 7*outCluster {
			t.Errorf("%d bytes were packed to %d", len(data), len(image))
		}
		info, err := Detect(bytes.NewReader(image), int64(len(image)))
		if err != nil || info.Format != QCOW2 || info.VirtualSize != int64(len(data)) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		readBack(t, name, image, data)
	}
}

func TestFrameSize(t *testing.T) {
	for _, b := range []string{"", "(\xb5/\xfd", "(\xb5/\xfd\x20\x05\x29\x00\x00abc", "(\xb5/\xfd\x20\x05\x28\x00"} {
		if n, err := frameSize([]byte(b)); err == nil {
			t.Errorf("%q is a frame of %d bytes", b, n)
		}
	}
}

func readBack(t *testing.T, name string, image, want []byte) {
	t.Helper()
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		return
	}
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(src, image, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "-f", "qcow2", src}, {"convert", "-f", "qcow2", "-O", "raw", src, dst}} {
		if text, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: qemu-img %v: %v: %s", name, args, err, text)
		}
	}
	got, err := os.ReadFile(dst)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes read back of %d differ, %v", name, len(got), len(want), err)
	}
}
