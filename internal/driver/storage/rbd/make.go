package rbd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"hearth/internal/cloud"
)

// plan is what an image is to be: of a size, with what another holds or with what is read.
type plan struct {
	size int64 // bytes
	from string
	src  io.Reader // nil for nothing
}

// bytesOf writes a size as rbd takes it.
func bytesOf(n int64) string { return fmt.Sprintf("%dB", n) }

// part is a name of what is in the making.
func (d *Driver) part() string { return "p-" + d.Owner + "." + cloud.NewID() }

// make makes an image under a passing name, and gives it its own when all is on it, in place of
// one that may have that. A crash in between is made good by New.
func (d *Driver) make(ctx context.Context, name string, p plan) error {
	part := d.part()
	err := d.begin(ctx, part, p)
	if err == nil {
		_, err = d.rbd(ctx, "image-meta", "set", d.at(part), metaTo, name)
	}
	if err == nil {
		_, err = d.rbd(ctx, "rename", d.at(part), d.at(name))
		if cloud.Is(err, cloud.Conflict) {
			if err = d.drop(ctx, name); err == nil {
				_, err = d.rbd(ctx, "rename", d.at(part), d.at(name))
			}
		}
	}
	if err != nil {
		return errors.Join(err, d.drop(context.WithoutCancel(ctx), part))
	}
	return nil
}

// begin makes the part.
func (d *Driver) begin(ctx context.Context, part string, p plan) (err error) {
	switch {
	case p.from != "":
		err = d.clone(ctx, part, p.from)
	case p.src != nil:
		_, err = d.run(ctx, p.src, "rbd", "import", "--no-progress", "-", d.at(part))
	default:
		_, err = d.rbd(ctx, "create", "--size", bytesOf(p.size), d.at(part))
		return err
	}
	if err != nil {
		return err
	}
	i, err := d.info(ctx, part)
	if err == nil && i.Size != p.size {
		_, err = d.rbd(ctx, "resize", "--no-progress", "--allow-shrink", "--size", bytesOf(p.size), d.at(part))
	}
	return err
}

// clone makes part share the blocks of from, as they are now. The clone of a clone gets blocks of
// its own, so that no chain grows.
func (d *Driver) clone(ctx context.Context, part, from string) error {
	source, err := d.info(ctx, from)
	if err != nil {
		return err
	}
	snap := d.at(from) + "@" + part
	if _, err := d.rbd(ctx, "snap", "create", "--no-progress", snap); err != nil {
		return err
	}
	// Of version 2, whose parents' snapshots go when the last clone does.
	_, err = d.rbd(ctx, "clone", "--rbd-default-clone-format", "2", snap, d.at(part))
	_, gone := d.rbd(context.WithoutCancel(ctx), "snap", "rm", "--no-progress", snap)
	if err = errors.Join(err, gone); err == nil && len(source.Parent) > 0 {
		_, err = d.rbd(ctx, "flatten", "--no-progress", d.at(part))
	}
	return err
}

// drop removes an image; no error when it is gone. One that has clones goes to the trash.
func (d *Driver) drop(ctx context.Context, name string) error {
	_, err := d.rbd(ctx, "rm", "--no-progress", d.at(name))
	if cloud.Is(err, cloud.Conflict) || cloud.Is(err, cloud.Internal) { // a snapshot of a crash, or clones
		if _, purged := d.rbd(ctx, "snap", "purge", "--no-progress", d.at(name)); purged == nil {
			_, err = d.rbd(ctx, "rm", "--no-progress", d.at(name))
		}
	}
	if cloud.Is(err, cloud.Conflict) && !strings.Contains(err.Error(), "watchers") {
		_, err = d.rbd(ctx, "trash", "mv", d.at(name))
	}
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	if err == nil {
		err = d.emptyTrash(ctx)
	}
	return err
}

// emptyTrash removes what has no clones any more. That some have is no error.
func (d *Driver) emptyTrash(ctx context.Context) error {
	out, err := d.rbd(ctx, "trash", "ls", "--format", "json", d.Pool)
	if err != nil {
		return err
	}
	var rows []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return cloud.E("storage.rbd", cloud.Internal, "rbd trash ls printed what is no list: %w", err)
	}
	for _, r := range rows {
		if strings.HasPrefix(r.Name, "d-") || strings.HasPrefix(r.Name, "i-") || strings.HasPrefix(r.Name, "p-"+d.Owner+".") {
			_, _ = d.rbd(ctx, "trash", "rm", "--no-progress", d.Pool+"/"+r.ID) // it is tried again after the next removal
		}
	}
	return nil
}

// reader reads an image as it was at a moment.
type reader struct {
	io.ReadCloser
	close func() error
}

// Close implements io.Closer.
func (r *reader) Close() error { return errors.Join(r.ReadCloser.Close(), r.close()) }

// read gives the bytes of an image as they are now, by a snapshot that goes when they are read.
func (d *Driver) read(ctx context.Context, name string) (io.ReadCloser, error) {
	snap := d.at(name) + "@" + d.part()
	if _, err := d.rbd(ctx, "snap", "create", "--no-progress", snap); err != nil {
		return nil, err
	}
	cmd := d.command(ctx, "rbd", "export", "--no-progress", snap, "-")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	drop := func() error {
		_, err := d.rbd(context.WithoutCancel(ctx), "snap", "rm", "--no-progress", snap)
		return err
	}
	if err != nil {
		return nil, errors.Join(hostError(err), drop())
	}
	whole := &ended{ReadCloser: out, wait: cmd.Wait}
	return &reader{ReadCloser: whole, close: func() error {
		_ = cmd.Process.Kill() // one that has ended is no worse off
		_ = whole.end()        // killed, as it was to be
		return drop()
	}}, nil
}

// ended turns the end of a command that failed into an error of the reading: what came is not
// all.
type ended struct {
	io.ReadCloser
	wait func() error
	over bool
	err  error
}

func (e *ended) end() error {
	if !e.over {
		e.over, e.err = true, e.wait()
	}
	return e.err
}

// Read implements io.Reader.
func (e *ended) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		if failed := e.end(); failed != nil {
			return n, cloud.E("storage.rbd", cloud.Unavailable, "the cluster gave not all of the disk: %w", failed)
		}
	}
	return n, err
}

// Close implements io.Closer: the pipe's end is closed by wait.
func (e *ended) Close() error { return nil }
