package luks

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/disktest"
)

const (
	secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
	uuid   = "7e7e1a1e-0000-4000-8000-000000000001"
)

func plain(n int) []byte { return bytes.Repeat([]byte("nobody may read this. "), n/22+1)[:n] }

func formatted(t testing.TB, keyBits, size int) []byte {
	t.Helper()
	r, err := Format(secret, uuid, keyBits, bytes.NewReader(plain(size)))
	if err != nil {
		t.Fatal(err)
	}
	disk, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

func TestRoundTrip(t *testing.T) {
	for _, bits := range []int{256, 512} {
		disk := formatted(t, bits, 3*chunk+100)
		if len(disk) != HeaderSize+3*chunk+512 || !Is(disk) || bytes.Contains(disk, []byte("nobody")) {
			t.Fatalf("%d bits: %d bytes, LUKS %v, or what is in it can be read", bits, len(disk), Is(disk))
		}
		d, err := Open(bytes.NewReader(disk), secret)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3*chunk+512)
		if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got[:3*chunk+100], plain(3*chunk+100)) || !bytes.Equal(got[3*chunk+100:], make([]byte, 412)) {
			t.Errorf("%d bits: other data come back than were written (%v)", bits, err)
		}
		if _, err := Open(bytes.NewReader(disk), secret+"0"); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("another key opens it: %v", err)
		}
	}
	if _, err := Format(secret, uuid, 128, nil); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a key of 128 bits: %v", err)
	}
}

// TestQEMU has QEMU read what was written here: the reader that counts.
func TestQEMU(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Fatal("qemu-img is not installed: scripts/deps")
	}
	dir := t.TempDir()
	disk, key, back := filepath.Join(dir, "disk"), filepath.Join(dir, "key"), filepath.Join(dir, "back")
	if err := os.WriteFile(disk, formatted(t, 512, chunk), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	object := []string{"--object", "secret,id=key,file=" + key}
	run := func(args ...string) string {
		out, err := exec.Command("qemu-img", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("qemu-img %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	info := run(append([]string{"info"}, append(object, "--image-opts", "driver=luks,key-secret=key,file.filename="+disk)...)...)
	for _, want := range []string{"file format: luks", "xts", "plain64", uuid} {
		if !strings.Contains(info, want) {
			t.Errorf("qemu-img info does not tell %q:\n%s", want, info)
		}
	}
	run(append([]string{"convert"}, append(object, "--image-opts", "-O", "raw", "driver=luks,key-secret=key,file.filename="+disk, back)...)...)
	got, err := os.ReadFile(back)
	if err != nil || !bytes.Equal(got, plain(chunk)) {
		t.Errorf("QEMU reads other data than were written (%v)", err)
	}
}

func FuzzOpen(f *testing.F) {
	disktest.AddSpoilt(f, 300, formatted(f, 256, 512)[:4096])
	f.Add([]byte("LUKS\xba\xbe\x00\x01"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := readHeader(bytes.NewReader(b)); err == nil && (h.KeyBytes > 64 || h.DigestRounds > maxIterations) {
			t.Errorf("a header of %d bytes and %d rounds was taken", h.KeyBytes, h.DigestRounds)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	b.SetBytes(64 << 20)
	for b.Loop() {
		r, err := Format(secret, uuid, 256, io.LimitReader(zeros{}, 64<<20))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
