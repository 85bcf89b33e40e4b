// Package convert turns images into images of other forms: a disk into one of
// another format, or into kernel, initial ramdisk and root file system (an AMI).
//
// The source is never changed. Its format is what its bytes say, and it is named to
// every tool. What is made gets its name when it is whole: a failure, or giving up,
// leaves nothing.
package convert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// Options says what is made.
type Options struct {
	Source   string      // a file or a block device
	Input    io.Reader   // read once, in place of Source
	Disk     int         // which of those in an OVA, from 1 on; 0: the only one
	Length   int64       // of Input, bytes; 0 or less if it is not known
	Target   string      // the file to be made, which must not exist
	Device   bool        // Target is a block device, which is written over
	Output   io.Writer   // is given the image, in place of Target
	Format   disk.Format // of what is made, see [disk.Target]
	Compress string      // of qcow2: "zstd", "zlib" or ""
	Progress func(Progress)
}

// Progress is how far a work is.
type Progress struct {
	Done, Total int64         // bytes of the disk; Total is 0 when it is not known
	Rate        float64       // bytes a second
	Left        time.Duration // 0 when it is not known
}

// Result is what was made.
type Result struct {
	From        disk.Format `json:"from"`
	Format      disk.Format `json:"format"`
	VirtualSize int64       `json:"virtual_size"`
	Stored      int64       `json:"stored"` // bytes the file takes on this host
	File        string      `json:"file"`

	Machine    *ova.Machine      `json:"machine,omitempty"` // of the package that the source is
	Properties map[string]string `json:"properties,omitempty"`
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "convert image", Reason: fmt.Sprintf(format, args...)}
}

// Disk converts a disk to another format. raw and qcow2 are read and written in
// process, the others by qemu-img in the sandbox.
func Disk(ctx context.Context, run *disk.Runner, opt Options) (*Result, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	in, err := openInput(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer in.close()
	r := &Result{From: in.format, Format: opt.Format, File: opt.Target}
	if r.Machine = in.machine; r.Machine != nil {
		r.Properties = in.machine.Properties()
	}
	switch {
	case opt.Output != nil:
		err = toStream(ctx, run, in, opt, r)
	case opt.Device:
		if r.VirtualSize, err = disk.FillDevice(ctx, opt.Target, in.feed, Meter(opt.Progress, in.feed.Size, time.Now)); err == nil {
			r.Stored = r.VirtualSize
		}
	default:
		err = toFile(ctx, run, in, opt, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// check refuses what cannot be made before anything is read.
func (opt Options) check() error {
	switch {
	case opt.Compress != "" && (opt.Format != disk.QCOW2 || opt.Compress != "zstd" && opt.Compress != "zlib"):
		return refuse("only a qcow2 can be compressed, by zstd or zlib; not a %s by %s", opt.Format, opt.Compress)
	case opt.Output != nil && opt.Format != disk.Raw && opt.Format != disk.QCOW2:
		return refuse("a %s cannot be written as a stream; give it a file, or make a raw or qcow2", opt.Format)
	case opt.Device && opt.Format != disk.Raw:
		return refuse("a block device takes the bytes of the disk as they are: make a raw, not a %s", opt.Format)
	case opt.Device || opt.Output != nil:
		return nil
	}
	return free(opt.Target)
}

// toFile makes the target beside its place, and gives it its name when it is whole.
func toFile(ctx context.Context, run *disk.Runner, in *input, opt Options, r *Result) (err error) {
	if opt.Target, err = filepath.Abs(opt.Target); err != nil { // tools run in another folder
		return err
	}
	dir, remove, err := workdir.Temp(filepath.Dir(opt.Target), ".hearth-convert-")
	if err != nil {
		return err
	}
	defer remove()
	made := filepath.Join(dir, "image")
	if r.VirtualSize, err = write(ctx, run, in, opt, made); err != nil {
		return err
	}
	if err := disk.Publish(made, opt.Target); err != nil {
		return err
	}
	st, err := os.Stat(opt.Target)
	if err == nil {
		r.Stored, r.File = st.Size(), opt.Target
	}
	return err
}

// write makes the image in the new file made, and gives the size of its disk.
func write(ctx context.Context, run *disk.Runner, in *input, opt Options, made string) (int64, error) {
	inProcess := in.whole && (opt.Format == disk.Raw || opt.Format == disk.QCOW2)
	if !inProcess || in.regular && opt.Compress == "zstd" { // ADR 188: the C library packs clusters faster than Go's
		err := byTool(ctx, run, in, opt, made)
		if !inProcess || disk.KindOf(err) != disk.ToolMissing {
			return in.size, err
		}
	}
	f, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	var size int64
	if opt.Format == disk.Raw {
		size, err = disk.MakeRaw(ctx, f, in.feed, Meter(opt.Progress, in.feed.Size, time.Now))
	} else {
		size, err = disk.MakeQCOW2(ctx, f, in.feed, opt.Compress, Meter(opt.Progress, in.feed.Size, time.Now))
	}
	return size, errors.Join(err, f.Close())
}

// byTool has qemu-img make the image, in the sandbox.
func byTool(ctx context.Context, run *disk.Runner, in *input, opt Options, made string) error {
	done := Meter(opt.Progress, in.size, time.Now)
	target := disk.Target{Path: made, Format: opt.Format, Compress: opt.Compress != "", Method: opt.Compress}
	return run.Convert(ctx, in.layer, target, func(part float64) {
		if done != nil {
			done(int64(part * float64(in.size)))
		}
	})
}

// Vacant refuses a target, or for ami and dump the beginning of names, where a file of what
// would be made is there already.
func Vacant(target, to string) error {
	switch to {
	case "ami":
		return cmp.Or(free(target+".vmlinuz"), free(target+".ext4"))
	case "dump":
		return cmp.Or(free(target+"-boot.dump"), free(target+"-root.dump"))
	}
	return free(target)
}

// free tells whether a name is free.
func free(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return refuse("%s is there already; remove it, or choose another name", path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Meter makes of the bytes that are done what people want to know; total is 0 or
// less when it is not known.
func Meter(tell func(Progress), total int64, now func() time.Time) func(int64) {
	if tell == nil {
		return nil
	}
	begin := now()
	return func(done int64) {
		p := Progress{Done: done, Total: max(total, 0)}
		if took := now().Sub(begin).Seconds(); took > 0 && done > 0 {
			p.Rate = float64(done) / took
			p.Left = time.Duration(float64(max(0, total-done)) / p.Rate * float64(time.Second))
		}
		tell(p)
	}
}
