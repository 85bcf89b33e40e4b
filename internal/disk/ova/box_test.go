package ova

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
)

// boxOf is a box with files: name, content, name, content.
func boxOf(t testing.TB, packed bool, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}
		if strings.HasSuffix(files[i], "/") {
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = w.Write([]byte(files[i+1]))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := b.Bytes()
	if packed {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		_, _ = g.Write(out)
		_ = g.Close()
		out = z.Bytes()
	}
	path := filepath.Join(t.TempDir(), "box")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBoxRoundTrip(t *testing.T) {
	src := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(src, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, provider := range []string{Libvirt, VirtualBox} {
		var b bytes.Buffer
		if err := WriteBox(context.Background(), &b, sample, provider, src, 3<<30-1); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "box")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if is, err := IsBox(path); !is || err != nil {
			t.Errorf("%s: no box is seen: %v", provider, err)
		}
		dst := filepath.Join(t.TempDir(), "disk")
		m, err := ExtractBox(context.Background(), path, 0, dst, 1<<20)
		if err != nil {
			t.Fatal(provider, err)
		}
		if got, _ := os.ReadFile(dst); string(got) != content {
			t.Errorf("%s: %q", provider, got)
		}
		if provider == VirtualBox && (m.CPUs != sample.CPUs || m.MemoryMB != sample.MemoryMB || m.Firmware != "efi" || len(m.NICs) != 2) {
			t.Errorf("%+v", m)
		}
		if provider == Libvirt && m.Disks[0].Bus != "virtio" {
			t.Errorf("%+v", m)
		}
		if _, err := ExtractBox(context.Background(), path, 0, dst+"2", 3); disk.KindOf(err) != disk.Refused {
			t.Errorf("a disk beyond the bound: %v", err)
		}
	}
	if err := WriteBox(context.Background(), &bytes.Buffer{}, sample, "hyperv", src, 1); disk.KindOf(err) != disk.Unsupported {
		t.Error(err)
	}
}

func TestBoxes(t *testing.T) {
	libvirt := `{"provider":"libvirt","format":"qcow2","virtual_size":2}`
	for _, c := range []struct {
		name   string
		number int
		files  []string
		want   string // the disk, or after a ! what the error says
	}{
		{"as vagrant-libvirt packs", 0, []string{"./", "", "./metadata.json", libvirt, "./Vagrantfile", "x", "./box.img", "disk"}, "disk"},
		{"the disk first", 0, []string{"box.img", "disk", "metadata.json", libvirt, "include/", "", "include/_Vagrantfile", "x"}, "disk"},
		{"two disks by number", 2, []string{"metadata.json", libvirt, "box_0.img", "one", "box_1.img", "two"}, "two"},
		{"two disks by list", 1, []string{"metadata.json", `{"provider":"libvirt","disks":[{"path":"b.img"},{"path":"a.img"}]}`, "a.img", "one", "b.img", "two"}, "two"},
		{"which of two", 0, []string{"metadata.json", libvirt, "box_0.img", "one", "box_1.img", "two"}, "!which one"},
		{"no metadata", 0, []string{"Vagrantfile", "x", "box.img", "disk"}, "!no metadata.json"},
		{"another provider", 0, []string{"metadata.json", `{"provider":"hyperv"}`}, "!hyperv"},
		{"no disk", 0, []string{"metadata.json", libvirt}, "!no disk"},
		{"a disk elsewhere", 0, []string{"metadata.json", `{"provider":"libvirt","disks":[{"path":"/etc/shadow"}]}`}, "!not in the box"},
		{"no json", 0, []string{"metadata.json", "<"}, "!cannot be read"},
		{"no descriptor", 0, []string{"metadata.json", `{"provider":"virtualbox"}`, "x.vmdk", "disk"}, "!no box.ovf"},
	} {
		for _, packed := range []bool{true, false} {
			dst := filepath.Join(t.TempDir(), "disk")
			path := boxOf(t, packed, c.files...)
			if is, err := IsBox(path); !is || err != nil {
				t.Errorf("%s: no box is seen: %v", c.name, err)
			}
			_, err := ExtractBox(context.Background(), path, c.number, dst, 1<<20)
			if says, bad := strings.CutPrefix(c.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v", c.name, err)
				}
				continue
			}
			if got, _ := os.ReadFile(dst); err != nil || string(got) != c.want {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
		}
	}
	for _, other := range []string{boxOf(t, true, "etc/", "", "etc/passwd", "x"), boxOf(t, false, "web.ovf", "x"), boxOf(t, true, "bin/sh", "x")} {
		if is, err := IsBox(other); is || err != nil {
			t.Errorf("another archive is taken for a box: %v", err)
		}
	}
}

func FuzzBox(f *testing.F) {
	for _, files := range [][]string{{"metadata.json", `{"provider":"libvirt"}`, "box.img", "disk"}, {"metadata.json", `{"provider":"virtualbox"}`, "box.ovf", "<Envelope/>"}} {
		b, err := os.ReadFile(boxOf(f, false, files...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "box")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = IsBox(path)
		_, _ = ExtractBox(context.Background(), path, 0, path+"-disk", 1<<20)
	})
}
