package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"hearth/internal/cloud"
)

func moldPath(place string, size int64) string {
	return filepath.Join(place, fmt.Sprintf("grown-%d", size))
}

// readMold reads the record of a mold. Names in it are inside the image's folder.
func (d *Driver) readMold(place string, size int64) (mold, error) {
	data, err := os.ReadFile(moldPath(place, size) + ".json")
	if err != nil {
		return mold{}, err
	}
	var m mold
	if err := json.Unmarshal(data, &m); err != nil {
		return mold{}, err
	}
	if m.Format == "raw" && m.Template != "" && !d.reflink { // the folder moved to another file system
		m.Base, m.Template = m.Template, ""
	}
	return m.at(place), nil
}

func (m mold) at(place string) mold {
	m.Base = filepath.Join(place, m.Base)
	if m.Template != "" {
		m.Template = filepath.Join(place, m.Template)
	}
	return m
}

// grow makes the mold of a size: the best of the ways that work here. Where the cache has
// no room for it, it is for one disk alone, and in a folder that goes when that is made.
func (d *Driver) grow(ctx context.Context, place string, size int64) (made mold, err error) {
	work, err := d.workDir("grow")
	if err != nil {
		return mold{}, err
	}
	defer func() {
		if made.work == "" {
			os.RemoveAll(work)
		}
	}()
	ways := []func(context.Context, string, string, int64) (mold, error){d.growOverlay, d.growCopy}
	if d.reflink {
		ways = ways[1:]
	}
	var failed error
	for _, way := range ways {
		m, err := way(ctx, work, place, size)
		if err == nil {
			return d.keepMold(ctx, work, place, size, m)
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil || cloud.Is(hostError("", err), cloud.NoCapacity) || cloud.Is(err, cloud.Unavailable) {
			return mold{}, failed
		}
	}
	// A file system too broken to be grown: the guest gets it as it is. That is
	// not kept, for the fault may have been a passing one.
	return mold{Base: filepath.Join(place, dataName), Grown: "not grown: " + cloud.Message(failed)}, nil
}

// growOverlay grows the file system inside an overlay. Each disk is then a copy
// of it: a few megabytes, whatever the image's size.
func (d *Driver) growOverlay(ctx context.Context, work, place string, size int64) (mold, error) {
	source, path := filepath.Join(place, dataName), filepath.Join(work, "overlay")
	if err := writeOverlay(path, source, size); err != nil {
		return mold{}, err
	}
	grown, err := d.Kitchen.Grow(ctx, []Layer{{path, "qcow2"}, {source, "raw"}}, size)
	return mold{Base: source, Template: path, Format: "qcow2", Grown: grown}, err
}

// growCopy grows a copy of the image, which takes no room where blocks can be
// shared. Disks are clones of the copy, or overlays of it.
func (d *Driver) growCopy(ctx context.Context, work, place string, size int64) (mold, error) {
	source, path := filepath.Join(place, dataName), filepath.Join(work, "copy")
	if err := d.copyFile(ctx, source, path); err != nil {
		return mold{}, err
	}
	grown, err := d.Kitchen.Grow(ctx, []Layer{{path, "raw"}}, size)
	if err != nil {
		return mold{}, err
	}
	err = errors.Join(os.Truncate(path, size), os.Chmod(path, 0o644))
	return mold{Base: source, Template: path, Format: "raw", Grown: grown}, err
}

// keepMold moves what was grown beside the image, if there is room for it.
func (d *Driver) keepMold(ctx context.Context, work, place string, size int64, m mold) (mold, error) {
	done, ok := d.mayKeep(ctx, m.Template)
	if !ok {
		m.work = work
		return m, nil
	}
	defer done()
	name := filepath.Base(moldPath(place, size))
	if err := d.settle(m.Template, filepath.Join(place, name)); err != nil {
		return mold{}, err
	}
	m.Base, m.Template = dataName, name
	if m.Format == "raw" && !d.reflink {
		m = mold{Base: name, Grown: m.Grown}
	}
	return m.at(place), d.writeMold(work, place, size, m)
}

// mayKeep asks whether a file, and a record of it, may be kept in the cache.
func (d *Driver) mayKeep(ctx context.Context, path string) (done func(), ok bool) {
	if d.ask == nil {
		return func() {}, true
	}
	const record = 4 << 10 // bytes, in a block of its own
	info, err := os.Stat(path)
	if err != nil {
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	return d.ask(ctx, st.Blocks*512+record)
}

// KeepIf implements storage.Keeper.
func (d *Driver) KeepIf(ask func(ctx context.Context, bytes int64) (done func(), ok bool)) {
	d.ask = ask
}

// writeMold writes the record of a mold, after its file: a file without its
// record is made anew.
func (d *Driver) writeMold(work, place string, size int64, m mold) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp := filepath.Join(work, "record")
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return d.settle(tmp, moldPath(place, size)+".json")
}

// settle makes a file durable and moves it to its place.
func (d *Driver) settle(tmp, place string) error {
	if err := d.sync(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, place); err != nil {
		return err
	}
	return d.sync(filepath.Dir(place))
}
