package catalog

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/bake/boottest"
	"hearth/internal/disk"
	"hearth/internal/disk/verify"
)

// Kitchen fetches, bakes and tries what the catalog lists.
type Kitchen struct {
	Dir   string // images and results are kept there
	Fetch Fetch
	Bake  func(ctx context.Context, recipe, dir string) (disk string, err error)
	Try   func(ctx context.Context, e Entry, image string) (*boottest.Report, error)
	Tell  func(done, total int64) // is told how a download goes; total is -1 if not known. May be nil
	Now   func() time.Time
}

// Copy is an image that is here, and is what its sums say.
type Copy struct {
	Path, URL, Version, Signed, Note string
	SHA512                           string
	Mirrors                          []string
	Sum                              verify.Sum
}

// Look tells where the newest image of an entry is, and what vouches for it. Its Path is
// "" if it is not here.
func (k *Kitchen) Look(ctx context.Context, e Entry) (Copy, error) {
	f, err := e.Find(ctx, k.Fetch)
	if err != nil {
		return Copy{}, err
	}
	c := Copy{URL: f.URL, Version: f.Version, Signed: f.Signed, Note: f.Note, Mirrors: f.Mirrors, Sum: f.Sum}
	if sum, err := f.check(k.place(e, f)); err == nil {
		c.Path, c.SHA512 = k.place(e, f), sum
	}
	return c, nil
}

// Obtain gives the newest image of an entry, fetched or baked if it is not here.
func (k *Kitchen) Obtain(ctx context.Context, e Entry) (Copy, error) {
	if e.Bake != "" {
		return k.baked(ctx, e)
	}
	f, err := e.Find(ctx, k.Fetch)
	if err != nil {
		return Copy{}, err
	}
	c := Copy{URL: f.URL, Version: f.Version, Signed: f.Signed, Note: f.Note, Path: k.place(e, f)}
	if c.SHA512, err = f.check(c.Path); err == nil {
		return c.signed(f), nil
	}
	if !errors.Is(err, fs.ErrNotExist) && disk.KindOf(err) != disk.Refused {
		return c, err
	}
	var failures []error
	for _, address := range append([]string{f.URL}, f.Mirrors...) {
		if c.SHA512, err = k.fetch(ctx, f, address, c.Path); err == nil {
			return c.signed(f), nil
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		failures = append(failures, fmt.Errorf("%s: %w", address, err))
	}
	return c, errors.Join(failures...)
}

// signed notes that the image's own signature was checked.
func (c Copy) signed(f Found) Copy {
	if c.Signed == "" && f.imgSig != nil {
		c.Signed = "its own signature"
	}
	return c
}

// place is where an image is kept: a name of its own for each sum.
func (k *Kitchen) place(e Entry, f Found) string {
	tag := f.Sum.Hex
	if tag == "" {
		sum := sha512.Sum512(f.imgSig)
		tag = hex.EncodeToString(sum[:])
	}
	return filepath.Join(k.Dir, e.Name, tag[:16]+filepath.Ext(f.File))
}

// check holds a file against all that vouches for it, and gives its SHA-512.
func (f Found) check(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	all := sha512.New()
	to := []io.Writer{all}
	var own hash.Hash
	if f.Sum.Hex != "" {
		own = f.Sum.Hash()
		to = append(to, own)
	}
	if _, err := io.Copy(io.MultiWriter(to...), file); err != nil {
		return "", err
	}
	if own != nil {
		if err := f.Sum.Compare(own); err != nil {
			return "", err
		}
	}
	if f.imgSig != nil {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
		if _, err := f.keys.Check(file, f.imgSig); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// fetch downloads an image, which is there when it is whole and what it should be.
func (k *Kitchen) fetch(ctx context.Context, f Found, address, path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	body, length, err := k.Fetch(ctx, address)
	if err != nil {
		return "", err
	}
	defer body.Close()
	part, err := os.CreateTemp(filepath.Dir(path), ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name())
	var tell func(done int64)
	if k.Tell != nil {
		tell = func(done int64) { k.Tell(done, length) }
	}
	_, err = io.Copy(part, disk.Told(body, tell))
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return "", err
	}
	sum, err := f.check(part.Name())
	if err != nil {
		return "", err
	}
	return sum, os.Rename(part.Name(), path)
}

// baked gives the image that was baked last, or bakes it.
func (k *Kitchen) baked(ctx context.Context, e Entry) (Copy, error) {
	dir := filepath.Join(k.Dir, e.Name)
	path := filepath.Join(dir, e.Name+".qcow2")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Copy{}, err
		}
		made, err := k.Bake(ctx, e.Bake, dir)
		if err != nil {
			return Copy{}, err
		}
		if made != path {
			if err := os.Rename(made, path); err != nil {
				return Copy{}, err
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return Copy{}, err
	}
	sum, err := (Found{}).check(path)
	return Copy{Path: path, Version: "baked " + info.ModTime().UTC().Format(time.DateOnly), Note: "it was baked on this machine", SHA512: sum}, err
}

// Test boots the newest image of an entry, and keeps what came of it.
func (k *Kitchen) Test(ctx context.Context, e Entry) (Result, *boottest.Report, error) {
	c, err := k.Obtain(ctx, e)
	if err != nil {
		return Result{}, nil, err
	}
	report, err := k.Try(ctx, e, c.Path)
	if err != nil {
		return Result{}, nil, err
	}
	r := Result{Entry: e.Name, URL: c.URL, Version: c.Version, Signed: c.Signed, SHA512: c.SHA512, At: k.Now().UTC().Truncate(time.Second), Result: report.Result, Reason: report.Reason,
		User: report.User, Seconds: report.Seconds, Accel: report.Accel, Firmware: report.Firmware}
	for _, s := range report.Stages {
		if s.Name == boottest.Prompt && s.Result == boottest.Passed {
			r.Prompt = s.Text
		}
	}
	return r, report, k.keep(r)
}
