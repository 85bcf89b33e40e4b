package ova

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
)

// The providers of Vagrant whose boxes are known here
// (https://developer.hashicorp.com/vagrant/docs/boxes/format, and vagrant-libvirt's).
const (
	Libvirt    = "libvirt"    // box.img, a qcow2
	VirtualBox = "virtualbox" // box.ovf with its vmdk
)

// boxMeta is metadata.json. virtual_size is in GB, rounded up.
type boxMeta struct {
	Provider    string    `json:"provider"`
	Format      string    `json:"format,omitempty"`
	VirtualSize int64     `json:"virtual_size,omitempty"`
	Disks       []boxDisk `json:"disks,omitempty"`
}

type boxDisk struct {
	Path   string `json:"path"`
	Format string `json:"format,omitempty"`
}

// boxFirst are the names by one of which a box begins.
var boxFirst = []string{"metadata.json", "Vagrantfile", "box.img", "box_0.img", "box.ovf", "info.json"}

// IsBox tells whether a file begins as a box of Vagrant does: a tar archive, packed by
// gzip or not, whose first file has one of the names that are a box's only.
func IsBox(path string) (bool, error) {
	f, err := disk.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	t, err := boxReader(f)
	if err != nil {
		return false, nil //nolint:nilerr // it is something else
	}
	for {
		h, err := t.Next()
		if err != nil {
			return false, nil //nolint:nilerr // it is something else
		}
		name := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag == tar.TypeDir && strings.Trim(name, "./") == "" {
			continue
		}
		return h.Typeflag == tar.TypeReg && (slices.Contains(boxFirst, name) || flat(name) == nil && strings.HasSuffix(name, ".vmdk")), nil
	}
}

// boxReader reads the archive of a box.
func boxReader(r io.Reader) (*tar.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, refuse("the box cannot be unpacked: %v", err)
		}
		return tar.NewReader(z), nil
	}
	return tar.NewReader(b), nil
}

// ExtractBox writes a disk of a box, counted from 1, to the new file dst; 0 is the only
// one. It gives what the box says of its machine. most is how many bytes are unpacked.
func ExtractBox(ctx context.Context, box string, number int, dst string, most int64) (*Machine, error) {
	f, err := os.Open(box)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := lookBox(ctx, f)
	if err != nil {
		return nil, err
	}
	switch {
	case len(m.Disks) == 0:
		return nil, refuse("the box has no disk: neither box.img nor one that its box.ovf names")
	case number == 0 && len(m.Disks) > 1:
		return nil, unsupported("the box has %d disks; say which one is meant, from 1 on", len(m.Disks))
	case number < 0 || number > len(m.Disks):
		return nil, unsupported("the box has %d disks, not one of number %d", len(m.Disks), number)
	}
	d := m.Disks[max(number, 1)-1]
	if d.Size > most {
		return nil, refuse("%.60q in the box has %d bytes, more than %d", d.File, d.Size, most)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	t, err := boxReader(f)
	if err != nil {
		return nil, err
	}
	for {
		h, err := t.Next()
		if err != nil {
			return nil, refuse("the box is no whole archive: %v", err)
		}
		if strings.TrimPrefix(h.Name, "./") == d.File && h.Typeflag == tar.TypeReg {
			return m, disk.CopySparse(ctx, dst, &until{ctx, t})
		}
	}
}

// lookBox reads what a box has.
func lookBox(ctx context.Context, f io.Reader) (*Machine, error) {
	t, err := boxReader(&until{ctx, f})
	if err != nil {
		return nil, err
	}
	sizes, small := map[string]int64{}, map[string][]byte{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("the box is no whole archive: %v", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag != tar.TypeReg || flat(name) != nil {
			continue // folders of included files; they are not looked at
		}
		if _, twice := sizes[name]; twice || len(sizes) >= maxMembers {
			return nil, refuse("the box has %.60q twice, or more than %d files", name, maxMembers)
		}
		sizes[name] = h.Size
		if name == "metadata.json" || path.Ext(name) == ".ovf" {
			b, err := io.ReadAll(io.LimitReader(t, maxOVF+1))
			if err != nil || len(b) > maxOVF {
				return nil, refuse("%.60q in the box cannot be read, or has more than %d bytes", name, maxOVF)
			}
			small[name] = b
		}
	}
	return boxMachine(sizes, small)
}

// boxMachine puts together what the files of a box say.
func boxMachine(sizes map[string]int64, small map[string][]byte) (*Machine, error) {
	var meta boxMeta
	if text, ok := small["metadata.json"]; !ok {
		return nil, refuse("the box has no metadata.json, which says for whom it is")
	} else if err := json.Unmarshal(text, &meta); err != nil {
		return nil, refuse("metadata.json of the box cannot be read: %v", err)
	}
	m := &Machine{Name: "box", NICs: []NIC{}, Disks: []Disk{}}
	switch meta.Provider {
	case VirtualBox:
		text, ok := small["box.ovf"]
		if !ok {
			return nil, refuse("the box is for VirtualBox, and has no box.ovf")
		}
		var err error
		if m, err = parseOVF(text); err != nil {
			return nil, err
		}
	case Libvirt, "qemu":
		files := []string{}
		for _, d := range meta.Disks {
			files = append(files, d.Path)
		}
		for i := 0; len(meta.Disks) == 0; i++ { // without a list: box.img, or box_0.img and so on
			name := fmt.Sprintf("box_%d.img", i)
			if _, ok := sizes["box.img"]; ok && i == 0 {
				name = "box.img"
			} else if _, ok := sizes[name]; !ok {
				break
			}
			if files = append(files, name); name == "box.img" {
				break
			}
		}
		for i, name := range files {
			m.Disks = append(m.Disks, Disk{ID: fmt.Sprint(i), File: name, Bus: "virtio"})
		}
	default:
		return nil, unsupported("the box is for %.40q; those for libvirt and VirtualBox are read", meta.Provider)
	}
	for i := range m.Disks {
		size, ok := sizes[m.Disks[i].File]
		if !ok {
			return nil, refuse("the disk %.60q is not in the box", m.Disks[i].File)
		}
		m.Disks[i].Size = size
	}
	return m, nil
}

// WriteBox writes a box of a machine to w: for libvirt the file is a qcow2, for
// VirtualBox a streamOptimized vmdk, of a disk of capacity bytes.
func WriteBox(ctx context.Context, w io.Writer, m Machine, provider, file string, capacity int64) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	m.Name = "box"
	if err := m.Check(); err != nil {
		return err
	}
	parts, image, err := boxParts(m, provider, st.Size(), capacity)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // the disk is packed by itself
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	add := func(name string, size int64, r io.Reader) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatGNU}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(t, &until{ctx, r})
		return err
	}
	for _, p := range parts {
		if err := add(p[0], int64(len(p[1])), strings.NewReader(p[1])); err != nil {
			return err
		}
	}
	return errors.Join(add(image, st.Size(), f), t.Close(), z.Close())
}

// boxParts are the small files of a box, and the name of its disk.
func boxParts(m Machine, provider string, size, capacity int64) (parts [][2]string, image string, err error) {
	meta := boxMeta{Provider: provider}
	guest := fmt.Sprintf("    machine.memory = %d\n    machine.cpus = %d\n", m.MemoryMB, m.CPUs)
	head := ""
	switch provider {
	case Libvirt:
		image, meta.Format, meta.VirtualSize = "box.img", "qcow2", (capacity+1<<30-1)>>30
		if m.Firmware == "efi" {
			guest += "    machine.loader = \"/usr/share/OVMF/OVMF_CODE.fd\"\n"
		}
	case VirtualBox:
		image, head = "box-disk1.vmdk", "  config.vm.base_mac = \"080027000001\"\n" // vagrant wants one to be said
		if m.Firmware == "efi" {
			guest += "    machine.customize [\"modifyvm\", :id, \"--firmware\", \"efi\"]\n"
		}
		text, err := describe(m, size, capacity)
		if err != nil {
			return nil, "", err
		}
		parts = append(parts, [2]string{"box.ovf", string(text)})
	default:
		return nil, "", &disk.Error{Kind: disk.Unsupported, Op: "write box", Reason: fmt.Sprintf("boxes are made for %s and %s, not for %.40q", Libvirt, VirtualBox, provider)}
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, "", err
	}
	vagrantfile := fmt.Sprintf("Vagrant.configure(\"2\") do |config|\n%s  config.vm.provider :%s do |machine|\n%s  end\nend\n", head, provider, guest)
	return append([][2]string{{"metadata.json", string(text) + "\n"}, {"Vagrantfile", vagrantfile}}, parts...), image, nil
}
