package convert

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// OVA makes the package of a virtual machine, with the source as its disk. Of what m
// does not say, a source that is a package itself does. Format and Compress of the
// options do not matter.
func OVA(ctx context.Context, run *disk.Runner, opt Options, m ova.Machine) (*Result, error) {
	opt.Format, opt.Compress = disk.VMDK, ""
	if opt.Output != nil || opt.Device {
		return nil, refuse("an ova is made as a file: its disk's size and hash come before the disk")
	}
	return packaged(ctx, run, opt, "ova", m, func(f *os.File, m *ova.Machine, image string, size int64) error {
		return ova.Write(ctx, f, *m, image, size, time.Now())
	})
}

// packaged makes a file of a format that holds a machine and its disk, which is made
// beside it first; fill writes it.
func packaged(ctx context.Context, run *disk.Runner, opt Options, format disk.Format, m ova.Machine, fill func(f *os.File, m *ova.Machine, image string, size int64) error) (*Result, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	in, err := openInput(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if opt.Target, err = filepath.Abs(opt.Target); err != nil {
		return nil, err
	}
	dir, remove, err := workdir.Temp(filepath.Dir(opt.Target), ".hearth-convert-")
	if err != nil {
		return nil, err
	}
	defer remove()
	m = complete(m, in.machine)
	if err := m.Check(); err != nil { // before the disk is made
		return nil, err
	}
	r := &Result{From: in.format, Format: format, File: opt.Target}
	image, made := filepath.Join(dir, "disk"), filepath.Join(dir, "package")
	if r.VirtualSize, err = write(ctx, run, in, opt, image); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(fill(f, &m, image, r.VirtualSize), f.Close()); err != nil {
		return nil, err
	}
	if err := disk.Publish(made, opt.Target); err != nil {
		return nil, err
	}
	st, err := os.Stat(opt.Target)
	if err != nil {
		return nil, err
	}
	r.Stored, r.Machine = st.Size(), &m
	return r, nil
}

// complete fills up what was not said: from another package, or as most are.
func complete(m ova.Machine, from *ova.Machine) ova.Machine {
	if from == nil {
		from = &ova.Machine{CPUs: 1, MemoryMB: 1024, NICs: []ova.NIC{{Network: "VM Network", Model: "E1000"}}}
	}
	if m.CPUs == 0 {
		m.CPUs = max(from.CPUs, 1)
	}
	if m.MemoryMB == 0 {
		if m.MemoryMB = from.MemoryMB; m.MemoryMB == 0 {
			m.MemoryMB = 1024
		}
	}
	if m.NICs == nil {
		m.NICs = from.NICs
	}
	if m.Firmware == "" {
		m.Firmware = from.Firmware
	}
	if m.System == "" {
		m.System = from.System
	}
	return m
}
