package convert

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/ova"
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
	dir, err := os.MkdirTemp("", "hearth-convert-")
	if err == nil {
		in.closes = append(in.closes, func() { os.RemoveAll(dir) })
	}
	return dir, err
}

// stream takes a stream as the disk if it is a raw one and need not be a file; any
// other is put into one.
func (in *input) stream(ctx context.Context, opt Options) (done bool, err error) {
	src, stop := interruptible(ctx, opt.Input)
	in.closes = append(in.closes, stop)
	head := make([]byte, disk.SniffLen)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	info := disk.Sniff(head[:n])
	packaged := ova.Is(bytes.NewReader(head[:n]))
	switch what := info.NoDisk(); {
	case n == 0:
		return false, refuse("the stream is empty: whatever should have sent an image failed")
	case packaged || info.Content == disk.Kernel || info.Content == disk.Ramdisk:
	case what != "":
		return false, refuse("what came is no disk, and is not unpacked from a stream; put it into a file first: %s", what)
	}
	src = io.MultiReader(bytes.NewReader(head[:n]), src)
	raw := (info.Format == disk.Raw || info.Format == disk.ISO) && !packaged
	if raw && (opt.Device || opt.Format == disk.Raw || opt.Format == disk.QCOW2) {
		length := int64(-1)
		if opt.Length > 0 {
			length = opt.Length
		}
		in.format, in.whole, in.feed = info.Format, true, disk.FeedStream(src, length)
		return true, nil
	}
	return false, in.spool(ctx, src)
}

// spool puts a stream into a file, in the folder for temporary files.
func (in *input) spool(ctx context.Context, src io.Reader) error {
	dir, err := in.temp()
	if err != nil {
		return err
	}
	in.layer.Path = filepath.Join(dir, "source")
	return disk.CopySparse(ctx, in.layer.Path, atMost(src))
}

// atMost ends a stream that is longer than any image.
func atMost(r io.Reader) io.Reader { return &bound{r, disk.DefaultMaxVirtualSize} }

type bound struct {
	r    io.Reader
	left int64
}

// Read reads on.
func (b *bound) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &disk.Error{Kind: disk.TooBig, Op: "convert image", Reason: "the stream is longer than any image may be"}
	}
	return n, err
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
		r.VirtualSize, err = disk.StreamRaw(ctx, opt.Output, in.feed, meter(opt.Progress, in.feed.Size, time.Now))
		r.Stored = r.VirtualSize
		return err
	}
	dir, err := os.MkdirTemp("", "hearth-convert-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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

// interruptible reads r until ctx ends, though a read of r may not: of a terminal, or
// of a pipe to which nobody writes.
func interruptible(ctx context.Context, r io.Reader) (io.Reader, func()) {
	out, in := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(in, struct{ io.Reader }{r}, make([]byte, 256<<10))
		in.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	return out, func() { stop(); out.Close() }
}
