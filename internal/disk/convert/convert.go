// Package convert turns images into images of other forms: a disk into one of
// another format, or into kernel, initial ramdisk and root file system (an AMI).
//
// The source is never changed. Its format is what its bytes say, and it is named to
// every tool. What is made gets its name when it is whole: a failure, or giving up,
// leaves nothing.
package convert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// Options says what is made.
type Options struct {
	Source   string
	Target   string      // the file to be made, which must not exist
	Format   disk.Format // of Target, see [disk.Target]
	Compress string      // of qcow2: "zstd", "zlib" or ""
	Progress func(Progress)
}

// Progress is how far a work is.
type Progress struct {
	Done, Total int64         // bytes of the disk
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
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "convert image", Reason: fmt.Sprintf(format, args...)}
}

// Disk converts a disk to another format.
func Disk(ctx context.Context, run *disk.Runner, opt Options) (*Result, error) {
	if opt.Compress != "" && (opt.Format != disk.QCOW2 || opt.Compress != "zstd" && opt.Compress != "zlib") {
		return nil, refuse("only a qcow2 can be compressed, by zstd or zlib; not a %s by %s", opt.Format, opt.Compress)
	}
	layer, info, err := guestfs.Image(opt.Source)
	if err != nil {
		return nil, err
	}
	if info.Content == disk.Packed {
		return nil, refuse("the source is packed with %s; unpack it first", info.Packing)
	}
	if opt.Target, err = filepath.Abs(opt.Target); err != nil { // tools run in another folder
		return nil, err
	}
	if err := free(opt.Target); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(opt.Target), ".hearth-convert-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "image")
	target := disk.Target{Path: made, Format: opt.Format, Compress: opt.Compress != "", Method: opt.Compress}
	if err := run.Convert(ctx, layer, target, meter(opt.Progress, info.VirtualSize, time.Now)); err != nil {
		return nil, err
	}
	if err := publish(made, opt.Target); err != nil {
		return nil, err
	}
	st, err := os.Stat(opt.Target)
	if err != nil {
		return nil, err
	}
	return &Result{From: info.Format, Format: opt.Format, VirtualSize: info.VirtualSize, Stored: st.Size(), File: opt.Target}, nil
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

// publish gives a whole file its name; one that came there meanwhile stays.
func publish(made, name string) error {
	if err := os.Chmod(made, 0o644); err != nil {
		return err
	}
	if err := os.Link(made, name); err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Rename(made, name) // a file system without hard links
}

// meter makes of the part that is done what people want to know.
func meter(tell func(Progress), total int64, now func() time.Time) disk.Progress {
	if tell == nil {
		return nil
	}
	begin := now()
	return func(part float64) {
		p := Progress{Done: int64(part * float64(total)), Total: total}
		if took := now().Sub(begin).Seconds(); took > 0 && p.Done > 0 {
			p.Rate = float64(p.Done) / took
			p.Left = time.Duration(float64(total-p.Done) / p.Rate * float64(time.Second))
		}
		tell(p)
	}
}
