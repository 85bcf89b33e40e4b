// Package inspect says what an image is: its format, its partitions and file
// systems, the system in it with its kernels and boot loader, and what it lacks
// for a cloud. It reads only, mounts nothing, and takes nothing that the image
// says for more than it is.
package inspect

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// Report is what is known of an image.
type Report struct {
	File        string           `json:"file"`
	Format      disk.Format      `json:"format"`  // from its bytes
	Content     disk.Content     `json:"content"` // of raw bytes that are no disk: "kernel", "ramdisk", "packed"
	Packing     string           `json:"packing,omitempty"`
	VirtualSize int64            `json:"virtual_size"` // bytes a guest sees
	Stored      int64            `json:"stored"`       // bytes the file takes on this host
	Compression string           `json:"compression,omitempty"`
	Table       disk.Scheme      `json:"partition_table"`
	TableError  string           `json:"partition_table_error,omitempty"`
	Volumes     []Volume         `json:"volumes"`
	System      *guestos.OS      `json:"system"` // nil when none was found
	Kernels     []guestos.Kernel `json:"kernels"`
	Loader      string           `json:"boot_loader"` // "grub", "syslinux" …; "" if it is not known
	Firmware    []string         `json:"firmware"`    // "bios", "uefi"
	Default     *guestos.Entry   `json:"default_entry"`
	Agent       []string         `json:"agents"` // "cloud-init", "hearth-guest", "qemu-guest-agent"
	Checks      []Check          `json:"checks"`
	Machine     *ova.Machine     `json:"machine,omitempty"` // of the package whose disk it is
}

// Volume is a partition, or the whole disk.
type Volume struct {
	Partition int    `json:"partition"`                // 0: the whole disk
	Logical   string `json:"logical_volume,omitempty"` // GROUP/NAME of LVM's, within the partition
	Start     int64  `json:"start"`
	Size      int64  `json:"size"`
	Type      string `json:"type"`
	Content   string `json:"content"`
	Label     string `json:"label"`
	UUID      string `json:"uuid"`
	Used      int64  `json:"used"`
	Mount     string `json:"mount"` // in the guest; "" if it is not known
	Note      string `json:"note,omitempty"`
}

// Levels of a [Check].
const (
	OK      = "ok"
	Info    = "info"    // worth to know
	Warning = "warning" // something will not work as in other clouds
	Problem = "problem" // it will likely not boot, or is not safe
)

// Check is one thing that an image should have for a cloud.
type Check struct {
	Name  string `json:"name"`
	Level string `json:"level"`
	Text  string `json:"text"` // what was found, and what to do
}

// Image looks at the image in a file. What is wrong with the header of a format is
// an error; what is wrong within the disk is in the report.
func Image(ctx context.Context, run *disk.Runner, path string) (*Report, error) {
	p, file, err := openPackage(path)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return image(ctx, run, path)
	}
	defer file.Close()
	dir, remove, err := workdir.Temp("", "hearth-inspect-")
	if err != nil {
		return nil, err
	}
	defer remove()
	unpacked := filepath.Join(dir, "disk")
	if err := p.Extract(ctx, min(1, len(p.Machine.Disks)), unpacked); err != nil { // its first is what it starts from
		return nil, err
	}
	r, err := image(ctx, run, unpacked)
	if err != nil {
		return nil, err
	}
	r.File, r.Machine, r.Stored = path, p.Machine, stored(path)
	for _, n := range p.Notes {
		r.Checks = append(r.Checks, Check{"package", Info, n})
	}
	return r, nil
}

// openPackage opens an OVA; nil for any other file.
func openPackage(path string) (*ova.Package, io.Closer, error) {
	if is, err := ova.IsFile(path); !is || err != nil {
		return nil, nil, err
	}
	return ova.OpenFile(path)
}

func image(ctx context.Context, run *disk.Runner, path string) (*Report, error) {
	layer, info, err := guestfs.Image(path)
	if err != nil {
		return nil, err
	}
	r := &Report{File: path, Format: info.Format, Content: info.Content, Packing: info.Packing, VirtualSize: info.VirtualSize,
		Stored: stored(path), Volumes: []Volume{}, Kernels: []guestos.Kernel{}, Firmware: []string{}, Agent: []string{}, Checks: []Check{}}
	if info.QCOW2 != nil {
		r.Compression = info.QCOW2.Compression
	}
	if what := info.NoDisk(); what != "" {
		r.Checks = append(r.Checks, Check{"disk", Problem, "this is no disk: " + what})
		return r, nil
	}
	if r.VirtualSize == 0 {
		r.Checks = append(r.Checks, Check{"disk", Problem, "the image is empty: a download or a conversion of it may have failed"})
		return r, nil
	}
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if q, ok := d.Reader().(*disk.QCOW2Reader); ok {
		if err := q.Whole(); err != nil {
			r.Checks = append(r.Checks, Check{"image", Problem, err.Error()})
		}
	}
	return r, r.look(d)
}

// stored is what a file takes on the host's disk.
func stored(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && fi.Mode().IsRegular() {
		return st.Blocks * 512
	}
	return fi.Size()
}

func (r *Report) look(d *guestfs.Disk) error {
	r.Table = d.Scheme
	if d.Broken != nil {
		r.TableError = d.Broken.Error()
	}
	tree, err := d.Tree()
	if err != nil && disk.KindOf(err) == "" {
		return err
	}
	for _, v := range d.Volumes {
		out := Volume{Partition: v.Partition, Start: v.Start, Size: v.Size, Type: v.Type, Content: v.Content, Label: v.Label, UUID: v.UUID, Used: v.Used, Note: v.Note}
		if v.Logical != "" {
			out.Logical = v.Group + "/" + v.Logical
		}
		if tree != nil {
			for dir, mounted := range tree.Mounts {
				if mounted == v {
					out.Mount = dir
				}
			}
		}
		r.Volumes = append(r.Volumes, out)
	}
	r.firmware(d)
	if tree == nil {
		r.Checks = append(r.Checks, Check{"system", Problem, err.Error()})
		return nil
	}
	if r.System = guestos.Identify(tree); r.System == nil {
		for i := range r.Volumes {
			r.Volumes[i].Mount = ""
		}
		r.Checks = append(r.Checks, Check{"system", Warning, "no system was found that says what it is: there is no os-release"})
		return nil
	}
	if ks := guestos.Kernels(tree); ks != nil {
		r.Kernels = ks
	}
	r.Default = guestos.DefaultEntry(tree)
	r.efi(d)
	r.agents(tree)
	r.lint(tree, d)
	return nil
}

func (r *Report) agents(t guestos.Files) {
	for _, a := range []struct{ name, program string }{{"cloud-init", "cloud-init"}, {"hearth-guest", "hearth-guest"}, {"qemu-guest-agent", "qemu-ga"}, {"ignition", "ignition"}} {
		if guestos.Program(t, a.program) {
			r.Agent = append(r.Agent, a.name)
		}
	}
}

// missing tells whether a file is just not there.
func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }
