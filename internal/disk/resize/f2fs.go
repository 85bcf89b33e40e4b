package resize

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/f2fs"
)

const (
	minF2FS  = 64 << 20 // a smaller one has hardly room for what cleaning needs
	stepF2FS = 2 << 20  // a segment
)

// copyF2FS copies an f2fs to one that is as small as it can be.
func (j *job) copyF2FS(ctx context.Context, p *piece) error {
	s, err := readF2FS(j.d.Reader(), p.part.Start, p.part.Size)
	if err != nil {
		return err
	}
	if lost := s.Features.Lost().Names(); lost != "" {
		return refuse("the f2fs has features that a copy of its files would lose (%s): it stays as it is; convert the image to a tar and back, if that does not matter", lost)
	}
	var features []string
	if names := s.Features.Names(); names != "" {
		features = []string{"-O", names}
	}
	size, err := j.sizeF2FS(ctx, s.Valid, p.part.Size, features)
	if err != nil {
		return err
	}
	return j.copyFiles(ctx, p, size, s.Used(), features)
}

// readF2FS reads one whose files can be counted.
func readF2FS(r io.ReaderAt, start, size int64) (*f2fs.Super, error) {
	s, err := f2fs.Read(r, start, size)
	switch {
	case err != nil:
		return nil, refuse("the f2fs: %v", err)
	case s == nil || s.Devices:
		return nil, refuse("the f2fs lies on other disks too")
	case !s.Checked || s.Broken:
		return nil, refuse("the f2fs has no whole checkpoint, or Linux found an error in it; fsck.f2fs may mend it")
	}
	return s, nil
}

// sizeF2FS gives the size of the smallest f2fs below most whose files can have so many bytes,
// with room beside them: mkfs.f2fs alone knows what it keeps for metadata and cleaning.
func (j *job) sizeF2FS(ctx context.Context, files, most int64, features []string) (int64, error) {
	need := files + files/room
	low, high := int64(minF2FS/stepF2FS), up(max(most, minF2FS), stepF2FS)/stepF2FS
	for low < high {
		middle := (low + high) / 2
		has, err := j.roomF2FS(ctx, middle*stepF2FS, features)
		if err != nil {
			return 0, err
		}
		if has >= need {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low * stepF2FS, nil
}

// roomF2FS gives how many bytes the files of an f2fs of a size can have.
func (j *job) roomF2FS(ctx context.Context, size int64, features []string) (int64, error) {
	path := filepath.Join(j.dir, "try")
	if err := j.run.MakeFS(ctx, path, "f2fs", disk.ExtOptions{Size: size, UUID: "00000000-0000-4000-8000-000000000000"}, features...); err != nil {
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	s, err := readF2FS(f, 0, size)
	if err = errors.Join(err, f.Close(), os.Remove(path)); err != nil {
		return 0, err
	}
	return s.User, nil
}

// growF2FS lets the f2fs that was taken out have all of its file: resize.f2fs does so without
// a mount, but not to one that was not unmounted.
func (j *job) growF2FS(ctx context.Context, p *piece) error {
	s, err := j.takenF2FS(p)
	if err != nil {
		return err
	}
	if !s.Clean {
		if err := j.settleF2FS(ctx, p, s.Size); err != nil {
			return err
		}
	}
	c := disk.Command{Name: "resize.f2fs", Args: []string{p.file}, Write: []string{p.file}}
	if _, err := j.run.Run(ctx, c); err != nil {
		return err
	}
	if s, err = j.takenF2FS(p); err != nil {
		return err
	}
	p.used = s.Used()
	return nil
}

// settleF2FS has the appliance mount it and unmount it.
func (j *job) settleF2FS(ctx context.Context, p *piece, size int64) error {
	dir, err := os.MkdirTemp(j.dir, "nothing-")
	if err != nil {
		return err
	}
	return j.run.FileSystems.Edit(ctx, j.taken(p, size), dir, "")
}

func (j *job) takenF2FS(p *piece) (*f2fs.Super, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readF2FS(f, 0, p.size)
}
