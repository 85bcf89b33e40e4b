package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Target is an image to be made.
type Target struct {
	Path     string
	Format   Format // Raw or QCOW2
	Compress bool   // qcow2 only: zstd, eight times faster than zlib at the same size
}

// Progress is told how much of a long work is done, from 0 to 1.
type Progress func(done float64)

// Convert copies src, an image without backing file, to dst, which must not
// exist; what was written is removed after a failure. progress may be nil.
// The header of src is read strictly first: no image that names another file of
// the host is opened, and the sandbox would not let qemu-img read that either. A
// vmdk, whose descriptor may do so at several places, needs Landlock for that.
func (r *Runner) Convert(ctx context.Context, src Layer, dst Target, progress Progress) error {
	from, err := qemuName(src.Format)
	if err == nil {
		err = safeSource(src)
	}
	if err != nil {
		return err
	}
	if dst.Format != Raw && dst.Format != QCOW2 {
		return fail(Unsupported, "convert image", "images are made as raw or qcow2, not as %s", dst.Format)
	}
	args := []string{"convert", "-p", "-m", "4", "-W", "-f", from, "-O", string(dst.Format)}
	if dst.Compress && dst.Format == QCOW2 {
		args = append(args, "-c", "-o", "compression_type=zstd")
	}
	return r.create(ctx, dst.Path, Command{Name: "qemu-img", Args: append(args, src.Path, dst.Path),
		Read: []string{src.Path}, Progress: percent(progress)})
}

// CreateOverlay makes a qcow2 of size bytes at path, which must not exist, that
// reads from base what was not written to it. base is named by its absolute path.
func (r *Runner) CreateOverlay(ctx context.Context, path string, base Layer, size int64) error {
	below, err := filepath.Abs(base.Path)
	if err != nil {
		return err
	}
	return r.create(ctx, path, Command{Name: "qemu-img", Args: []string{"create", "-q", "-u", "-f", "qcow2",
		"-o", "lazy_refcounts=on", "-b", below, "-F", string(base.Format), path, strconv.FormatInt(size, 10)}})
}

// create runs c, which fills the file dst. The sandbox lets no tool make
// a file, so an empty one is there before.
func (r *Runner) create(ctx context.Context, dst string, c Command) error {
	f, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c.Write = append(c.Write, dst)
	if _, err := r.Run(ctx, c); err != nil {
		return errors.Join(err, os.Remove(dst))
	}
	return nil
}

func qemuName(f Format) (string, error) {
	switch f {
	case Raw, ISO, AMI, AKI, ARI:
		return "raw", nil
	case QCOW2, VDI, VHDX, VMDK:
		return string(f), nil
	case VHD:
		return "vpc", nil
	}
	return "", fail(Unsupported, "convert image", "images of format %s are not converted here; make it a qcow2 first with qemu-img convert", f)
}

// safeSource holds a file that is to be converted against its format.
func safeSource(src Layer) error {
	switch src.Format {
	case VMDK:
		if landlockABI() == 0 {
			return fail(Unsupported, "convert image", "this kernel has no Landlock, without which a vmdk is not opened; make it a qcow2 elsewhere with qemu-img convert")
		}
	case VDI, VHD, VHDX, QCOW2:
	default:
		return nil
	}
	f, err := os.Open(src.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	info, err := Detect(f, st.Size())
	if err == nil && info.Format != src.Format {
		err = fail(Mismatch, "convert image", "the image was named %s, but its bytes are %s", src.Format, info.describe())
	}
	return err
}

// percent reads the lines "    (12.34/100%)" of qemu-img -p.
func percent(progress Progress) func(string) {
	if progress == nil {
		return nil
	}
	return func(line string) {
		done, _, ok := strings.Cut(strings.TrimLeft(line, " ("), "/100%")
		if v, err := strconv.ParseFloat(done, 64); ok && err == nil {
			progress(v / 100)
		}
	}
}
