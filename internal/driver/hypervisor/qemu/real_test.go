package qemu

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return "missing"
}

func contains(err error, words string) bool {
	return err != nil && strings.Contains(err.Error(), words)
}

func waitForText(t testing.TB, path, text string) {
	t.Helper()
	late := time.After(2 * time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		got, err := os.ReadFile(path)
		if bytes.Contains(got, []byte(text)) {
			return
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%s: no %q in %q, %v", path, text, got, err)
		}
	}
}

// makeOverlay writes an empty qcow2 of version 2 (docs/interop/qcow2.txt) whose header names a raw backing file.
func makeOverlay(t *testing.T, path, backing string, size uint64) {
	t.Helper()
	const cluster = 1 << 16
	image := make([]byte, 4*cluster)
	h := image
	copy(h, "QFI\xfb")
	binary.BigEndian.PutUint32(h[4:], 2)
	binary.BigEndian.PutUint64(h[8:], 72)
	binary.BigEndian.PutUint32(h[16:], uint32(len(backing)))
	binary.BigEndian.PutUint32(h[20:], 16)
	binary.BigEndian.PutUint64(h[24:], size)
	binary.BigEndian.PutUint32(h[36:], 1)         // one entry of the first level
	binary.BigEndian.PutUint64(h[40:], 3*cluster) // which is here
	binary.BigEndian.PutUint64(h[48:], cluster)   // the reference counts' table
	binary.BigEndian.PutUint32(h[56:], 1)
	copy(h[72:], backing)
	binary.BigEndian.PutUint64(image[cluster:], 2*cluster)
	for i := range 4 {
		binary.BigEndian.PutUint16(image[2*cluster+2*i:], 1)
	}
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// oldKernel is a file that QEMU takes for a Linux kernel: the magic numbers of its boot protocol.
func oldKernel() []byte {
	k := make([]byte, 16<<10)
	k[0x1f1] = 4 // sectors of setup code
	k[510], k[511] = 0x55, 0xaa
	copy(k[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(k[0x206:], 0x020c)
	k[0x211] = 1                                         // loaded high
	binary.LittleEndian.PutUint32(k[0x22c:], 0x37ffffff) // the highest address of an initrd
	return k
}

func openTap(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}
