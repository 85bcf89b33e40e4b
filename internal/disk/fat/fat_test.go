package fat

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk/disktest"
)

func make16(t testing.TB) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fat")
	err := Make(name, Options{Size: 8 << 20, Label: "EFI", ID: 0x1234abcd, Files: []File{
		{"/EFI/BOOT/BOOTX64.EFI", bytes.Repeat([]byte("loader "), 10000)}, {"/loader/loader.conf", []byte("timeout 1\n")},
		{"/loader/entries/a long name of an entry.conf", []byte("title One\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestWalk: each file comes after its folder; names are as they were made by Linux, too.
func TestWalk(t *testing.T) {
	f := make16(t)
	v, err := Open(f, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = v.Walk(func(name string, e Entry) error {
		got = append(got, fmt.Sprintf("%s %v %d", name, e.Dir, e.Size))
		if e.Time.Year() < 1980 {
			t.Errorf("%s: %v", name, e.Time)
		}
		return nil
	})
	want := []string{"/EFI true 0", "/EFI/BOOT true 0", "/EFI/BOOT/BOOTX64.EFI false 70000", "/loader true 0", "/loader/loader.conf false 10", "/loader/entries true 0", "/loader/entries/a long name of an entry.conf false 10"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	raw := make([]byte, 32)
	copy(raw, "VMLINUZ OLD")
	raw[12], raw[22], raw[23], raw[24], raw[25] = 8|16, 0x5d, 0x6b, 0x75, 0x5d
	if e := decode(raw, nil); e.Name != "vmlinuz.old" || e.Time.String() != "2026-11-21 13:26:58 +0000 UTC" {
		t.Errorf("%+v", e)
	}
}

func TestReadAndRewrite(t *testing.T) {
	f := make16(t)
	v, err := Open(f, 8<<20)
	if err != nil || v.bits != 16 {
		t.Fatalf("%+v, %v", v, err)
	}
	for name, want := range map[string]string{"/EFI/BOOT/BOOTX64.EFI": strings.Repeat("loader ", 10000), "/LOADER/loader.conf": "timeout 1\n",
		"/loader/entries/A long name of an entry.CONF": "title One\n"} {
		if b, err := v.ReadFile(name, 1<<20); err != nil || string(b) != want {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if _, err := v.ReadFile("/loader/entries/other", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := v.ReadFile("/EFI/BOOT/BOOTX64.EFI", 100); err == nil {
		t.Error("read more than it may")
	}
	if list, err := v.ReadDir("/loader"); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if found, err := v.Glob("/loader/entries/*.conf"); err != nil || len(found) != 1 || found[0] != "/loader/entries/a long name of an entry.conf" {
		t.Errorf("%q, %v", found, err)
	}
	longer := "title One\noptions " + strings.Repeat("x", 400) + "\n"
	const name = "/loader/entries/a long name of an entry.conf"
	if err := v.Rewrite(f, 0, name, []byte(longer)); err != nil {
		t.Fatal(err)
	}
	if b, err := v.ReadFile(name, 1<<20); err != nil || string(b) != longer {
		t.Errorf("%q, %v", b, err)
	}
	if err := v.Rewrite(f, 0, name, make([]byte, 1<<16)); err == nil {
		t.Error("more was written than there is room for")
	}
	id := make([]byte, 4)
	if _, err := f.ReadAt(id, idAt); err != nil || !bytes.Equal(id, []byte{0xcd, 0xab, 0x34, 0x12}) {
		t.Errorf("%x, %v", id, err)
	}
}

// A folder whose chain comes back to itself, and a file that leads out, are refused.
func TestHostileChains(t *testing.T) {
	f := make16(t)
	v, err := Open(f, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := v.find("/loader")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{byte(dir.first), byte(dir.first >> 8)}, v.table+2*int64(dir.first)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.ReadDir("/loader"); err == nil || !strings.Contains(err.Error(), "no end") {
		t.Error(err)
	}
	if _, err := f.WriteAt([]byte{0xf0, 0xfe}, v.table+2*int64(dir.first)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.ReadDir("/loader"); err == nil || !strings.Contains(err.Error(), "leads to cluster") {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	img, err := os.ReadFile(make16(f).Name())
	if err != nil {
		f.Fatal(err)
	}
	disktest.AddSpoilt(f, 100, img[:64<<10], img[:512])
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		list, err := v.ReadDir("/")
		for _, name := range list {
			if b, rerr := v.ReadFile("/"+name, 1<<20); err == nil && rerr == nil && len(b) > 1<<20 {
				t.Fatal(len(b))
			}
		}
		_, _ = v.ReadDir("/loader/entries")
	})
}
