package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hearth/internal/cloud"
)

// An upload that comes in parts lies in DIR/parts, by the id of what it is for,
// until it is whole. It outlives the process, as that is what it is for.

// part is spelt as in service/image: see stage.
type part = interface {
	io.Writer
	io.ReaderAt
	Size() int64
	Close() error
}

func (d *Store) partFile(op, id string) (string, error) {
	if !cloud.IsID(id) {
		return "", cloud.E(op, cloud.Internal, "%q is no id", id)
	}
	return filepath.Join(d.parts, id), nil
}

// Part opens what came of an upload, to be written on at its end; one of no bytes
// when nothing came.
func (d *Store) Part(_ context.Context, id string) (part, error) {
	const op = "blob.Part"
	path, err := d.partFile(op, id)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, failed(op, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, failed(op, err)
	}
	return &partial{file: f, size: info.Size()}, nil
}

// PartSize is how many bytes of an upload came; 0 when none did.
func (d *Store) PartSize(id string) (int64, error) {
	const op = "blob.PartSize"
	path, err := d.partFile(op, id)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, failed(op, err)
	}
	return info.Size(), nil
}

// RemovePart forgets what came of an upload. No error when nothing did.
func (d *Store) RemovePart(id string) error {
	const op = "blob.RemovePart"
	path, err := d.partFile(op, id)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(op, err)
	}
	return nil
}

// Parts lists the uploads of which something came, sorted.
func (d *Store) Parts(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.parts)
	if err != nil {
		return nil, failed("blob.Parts", err)
	}
	var list []string
	for _, e := range entries {
		if cloud.IsID(e.Name()) {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, nil
}

// partial is an upload that comes in parts, while one comes.
type partial struct {
	file *os.File
	size int64
}

// Write adds bytes at the end; TooLarge when the disk is full.
func (p *partial) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	return n, failed("blob.Write", err)
}

// ReadAt reads what came.
func (p *partial) ReadAt(b []byte, off int64) (int, error) { return p.file.ReadAt(b, off) }

// Size is how many bytes came.
func (p *partial) Size() int64 { return p.size }

// Close waits until the disk has what came.
func (p *partial) Close() error {
	return failed("blob.Part", errors.Join(p.file.Sync(), p.file.Close()))
}
