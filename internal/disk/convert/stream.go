package convert

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// input is the disk to be converted.
type input struct {
	format  disk.Format
	whole   bool      // it is read in process: feed is there
	feed    disk.Feed // can be taken once
	layer   disk.Layer
	regular bool         // layer is a file, not a device
	size    int64        // of the disk
	machine *ova.Machine // of a package
	closes  []func()
}

func (in *input) close() {
	for _, c := range in.closes {
		c()
	}
}

// openInput begins to read the source.
func openInput(ctx context.Context, opt Options) (*input, error) {
	in := &input{}
	path := opt.Source
	if opt.Input != nil {
		done, err := in.stream(ctx, opt)
		if err != nil {
			in.close()
			return nil, err
		}
		if done {
			return in, nil
		}
		path = in.layer.Path
	}
	path, err := in.unpack(ctx, path, opt.Disk)
	if err == nil {
		err = in.open(path)
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// unpack takes the disk out of a package of a virtual machine; any other file is
// given back as it is.
func (in *input) unpack(ctx context.Context, path string, number int) (string, error) {
	is, err := ova.IsFile(path)
	if err != nil {
		return "", err
	}
	if !is {
		return in.unbox(ctx, path, number)
	}
	p, file, err := ova.OpenFile(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	dir, err := in.temp()
	if err != nil {
		return "", err
	}
	in.machine = p.Machine
	path = filepath.Join(dir, "disk")
	return path, p.Extract(ctx, number, path)
}

// unbox takes the disk out of a box of Vagrant; any other file is given back as it is.
func (in *input) unbox(ctx context.Context, path string, number int) (string, error) {
	is, err := ova.IsBox(path)
	if err != nil {
		return "", err
	}
	if !is {
		if number != 0 {
			return "", refuse("there is one disk in an image; only an OVA or a box may have several")
		}
		return path, nil
	}
	dir, err := in.temp()
	if err != nil {
		return "", err
	}
	made := filepath.Join(dir, "disk")
	in.machine, err = ova.ExtractBox(ctx, path, number, made, disk.DefaultMaxVirtualSize)
	return made, err
}

// temp is a folder for temporary files.
func (in *input) temp() (string, error) {
	dir, remove, err := workdir.Temp("", "hearth-convert-")
	if err == nil {
		in.closes = append(in.closes, remove)
	}
	return dir, err
}

// stream takes a stream as the disk if it is a raw one and need not be a file; any
// other is put into one.
func (in *input) stream(ctx context.Context, opt Options) (done bool, err error) {
	src, looked := opt.Input.(*Stream)
	if !looked {
		if src, err = NewStream(ctx, opt.Input); err != nil {
			return false, err
		}
		in.closes = append(in.closes, src.Close)
	}
	info := disk.Sniff(src.head)
	switch what := info.NoDisk(); {
	case len(src.head) == 0:
		return false, refuse("the stream is empty: whatever should have sent an image failed")
	case src.packaged() || info.Content == disk.Kernel || info.Content == disk.Ramdisk:
	case what != "":
		return false, refuse("what came is no disk: %s", what)
	}
	raw := (info.Format == disk.Raw || info.Format == disk.ISO) && !src.packaged()
	if raw && (opt.Device || opt.Format == disk.Raw || opt.Format == disk.QCOW2) {
		length := int64(-1)
		if opt.Length > 0 {
			length = opt.Length
		}
		in.format, in.whole, in.feed = info.Format, true, disk.FeedStream(src, length)
		return true, nil
	}
	path, remove, err := src.Spool(ctx, "source")
	if err != nil {
		return false, err
	}
	in.layer.Path, in.closes = path, append(in.closes, remove)
	return false, nil
}

func plain(info disk.Info) error {
	if info.Content == disk.Packed {
		return refuse("the source is packed with %s; unpack it first", info.Packing)
	}
	return nil
}

// open looks into a file, and reads it in process where that can be.
func (in *input) open(path string) error {
	layer, info, err := guestfs.Image(path)
	if err == nil {
		err = plain(info)
	}
	if err == nil {
		err = guestfs.Whole(layer, info)
	}
	if err != nil {
		return err
	}
	in.format, in.layer, in.size = info.Format, layer, info.VirtualSize
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	in.closes = append(in.closes, func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		return err
	}
	in.regular = st.Mode().IsRegular()
	src, err := disk.OpenSource(f, layer.Format)
	if disk.KindOf(err) == disk.Unsupported {
		return nil // qemu-img reads it
	}
	if err != nil {
		return err
	}
	in.whole, in.feed, in.size = true, disk.FeedOf(src), src.Size()
	return nil
}

// toStream writes the target to a stream: a raw as it is read. What a qcow2 begins
// with is known at its end only, so it is made in the folder for temporary files.
func toStream(ctx context.Context, run *disk.Runner, in *input, opt Options, r *Result) (err error) {
	if in.whole && opt.Format == disk.Raw {
		r.VirtualSize, err = disk.StreamRaw(ctx, opt.Output, in.feed, Meter(opt.Progress, in.feed.Size, time.Now))
		r.Stored = r.VirtualSize
		return err
	}
	dir, remove, err := workdir.Temp("", "hearth-convert-")
	if err != nil {
		return err
	}
	defer remove()
	made := filepath.Join(dir, "image")
	if r.VirtualSize, err = write(ctx, run, in, opt, made); err != nil {
		return err
	}
	f, err := os.Open(made)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := disk.OpenSource(f, disk.Raw)
	if err == nil {
		r.Stored, err = disk.StreamRaw(ctx, opt.Output, disk.FeedOf(src), nil)
	}
	return err
}
