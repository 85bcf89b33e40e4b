package uec

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"hearth/internal/disk/disktest"
)

type file struct {
	name string
	body []byte
	kind byte
}

// bytesAt are size bytes with marks at places.
func bytesAt(size int, marks map[int]string) []byte {
	b := make([]byte, size)
	for at, mark := range marks {
		copy(b[at:], mark)
	}
	return b
}

var (
	kernel  = bytesAt(9000, map[int]string{0: "MZ", 510: "\x55\xaa", 0x202: "HdrS"})
	ramdisk = bytesAt(5000, map[int]string{0: "\x1f\x8b\x08"})
	root    = bytesAt(300_000, map[int]string{1024 + 0x38: "\x53\xef"})
	loader  = bytesAt(2000, map[int]string{0: "\x7fELF"})
)

// uec is an archive as Ubuntu made them.
func ubuntu() []file {
	return []file{
		{"maverick-uec-amd64.img", root, 0}, {"README.files", []byte("what is here"), 0}, {"maverick-uec-amd64-loader", loader, 0},
		{"maverick-uec-amd64-vmlinuz-virtual", kernel, 0}, {"maverick-uec-amd64-initrd-virtual", ramdisk, 0}, {"changelog.gz", ramdisk, 0},
	}
}

func archive(t testing.TB, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.body)), Mode: 0o644, Typeflag: tar.TypeReg}
		if f.kind != 0 {
			h.Typeflag, h.Size, h.Linkname = f.kind, 0, string(f.body)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if f.kind == 0 {
			if _, err := w.Write(f.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packed(t testing.TB, how string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	default:
		return plain
	}
	if err == nil {
		_, err = w.Write(plain)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// all reads every member of an archive.
func all(data []byte) (found map[Kind][]byte, err error) {
	r, err := Open(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	found = map[Kind][]byte{}
	for {
		m, body, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		got, err := io.ReadAll(body)
		if err == nil && int64(len(got)) != m.Size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return found, err
		}
		found[m.Kind] = got
	}
}

func TestArchiveOfUbuntu(t *testing.T) {
	plain := archive(t, ubuntu())
	for _, how := range []string{"plain", "gzip", "xz", "zstd"} {
		found, err := all(packed(t, how, plain))
		if err != nil || !bytes.Equal(found[Kernel], kernel) || !bytes.Equal(found[Ramdisk], ramdisk) || !bytes.Equal(found[Root], root) || len(found) != 3 {
			t.Errorf("%s: %d members, %v", how, len(found), err)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	for name, test := range map[string]struct {
		data  []byte
		fails string
	}{
		"two kernels":     {archive(t, append(ubuntu(), file{"vmlinuz-2", kernel, 0})), "two of aki"},
		"a disk":          {archive(t, []file{{"disk.img", bytesAt(2000, map[int]string{510: "\x55\xaa"}), 0}}), "whole disk (mbr)"},
		"a qcow2":         {archive(t, []file{{"disk.img", bytesAt(2000, map[int]string{0: "QFI\xfb\x00\x00\x00\x03"}), 0}}), "whole disk (qcow2)"},
		"cut off":         {archive(t, ubuntu())[:100_000], "EOF"},
		"no archive":      {[]byte(strings.Repeat("nothing ", 200)), "cannot be read"},
		"cut off xz":      {packed(t, "xz", archive(t, ubuntu()))[:13], "truncated"},
		"greedy xz":       {disktest.GreedyXZ(packed(t, "xz", archive(t, ubuntu()))), "dictionary size exceeds"},
		"packed by lz4":   {append([]byte("\x04\x22\x4d\x18"), make([]byte, 600)...), "packed by lz4"},
		"too much beside": {beside(t), "no part of an image"},
	} {
		if _, err := all(test.data); err == nil || !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Links and names with ways out of the archive are nothing but names.
	found, err := all(archive(t, []file{{"../../etc/vmlinuz", kernel, 0}, {"initrd", []byte("/etc/shadow"), tar.TypeSymlink}, {"/root.img", root, 0}}))
	if err != nil || len(found) != 2 || !bytes.Equal(found[Kernel], kernel) {
		t.Errorf("%d members, %v", len(found), err)
	}
}

// beside is an archive whose header says that it holds 2 GiB of something else.
func beside(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "big", Size: 2 << 30, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	b.Write(make([]byte, 128<<10))
	return b.Bytes()
}

func FuzzArchive(f *testing.F) {
	plain := archive(f, []file{{"vmlinuz", kernel[:600], 0}, {"initrd.gz", ramdisk[:20], 0}, {"root.ext4", root[:1200], 0}})
	for _, how := range []string{"plain", "gzip", "xz", "zstd"} {
		disktest.AddSpoilt(f, 100, packed(f, how, plain))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		for range 100 {
			m, body, err := r.Next()
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, io.LimitReader(body, 1<<20)); err != nil || m.Size <= 0 {
				return
			}
		}
	})
}
