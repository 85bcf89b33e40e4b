// Package layer keeps the layers of images that recipes are baked from. A layer is
// what one part of a recipe adds to the parts below it: an archive of the files that
// it made or changed, and a list of those that it removed. Its key is a hash of all
// that went into it and of the layer below, so that a layer that is there need not be
// made again, and a change leaves the layers below it as they are.
//
// In a [Store] a layer is KEY.tar.zst beside KEY.json. Both get their names when
// they are whole; the archive's check sum is in the JSON and is held against it
// before the layer is used.
package layer

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"hearth/internal/disk/workdir"
)

// Key hashes what goes into a layer: the layer below (or ""), the name of the
// part, and its inputs, which encoding/json writes in a fixed order.
func Key(below, name string, inputs any) (string, error) {
	b, err := json.Marshal(struct {
		Below  string `json:"below"`
		Name   string `json:"name"`
		Inputs any    `json:"inputs"`
	}{below, name, inputs})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Layer is one that is in a store.
type Layer struct {
	Name    string   `json:"name"`
	Key     string   `json:"key"`
	SHA256  string   `json:"sha256"` // of the archive
	Size    int64    `json:"size"`   // of the archive, bytes
	Removed []string `json:"removed,omitempty"`
	// Notes are what the making of it found out, such as versions of packages.
	Notes map[string]string `json:"notes,omitempty"`
	Path  string            `json:"-"` // of the archive
}

// Store is a folder of layers with a bound.
type Store struct {
	Dir string
	Max int64 // bytes of all archives; 0: DefaultMax
	// Now is time.Now, but in tests.
	Now func() time.Time
}

// DefaultMax bounds a store that does not say how much it may hold.
const DefaultMax = 10 << 30

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Store) path(key, suffix string) string { return filepath.Join(s.Dir, key+suffix) }

// Get finds a layer; nil if it is not there, or not whole. One that is found is
// the last that will be dropped.
func (s *Store) Get(key string) (*Layer, error) {
	b, err := os.ReadFile(s.path(key, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := &Layer{}
	if json.Unmarshal(b, l) != nil || l.Key != key {
		return nil, nil
	}
	l.Path = s.path(key, ".tar.zst")
	sum, size, err := Sum(l.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (sum != l.SHA256 || size != l.Size) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now := s.now()
	return l, os.Chtimes(l.Path, now, now)
}

// Put makes a layer of what write writes into the archive. What is more than the
// store may hold is dropped then, the oldest first, but none of keep.
func (s *Store) Put(l Layer, keep []string, write func(*tar.Writer) error) (*Layer, error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	work, err := workdir.Make(s.Dir, ".layer-", nil)
	if err != nil {
		return nil, err
	}
	defer work.Close()
	f, err := os.Create(filepath.Join(work.Path, "layer"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	z, err := zstd.NewWriter(io.MultiWriter(f, h), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	if err := errors.Join(write(t), t.Close(), z.Close(), f.Chmod(0o644)); err != nil {
		return nil, err
	}
	if l.Size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return nil, err
	}
	l.SHA256, l.Path = hex.EncodeToString(h.Sum(nil)), s.path(l.Key, ".tar.zst")
	if err := os.Rename(f.Name(), l.Path); err != nil {
		return nil, err
	}
	if err := s.note(l, work.Path); err != nil {
		return nil, err
	}
	return &l, s.Trim(append(keep, l.Key))
}

// note writes the JSON beside the archive, by way of a folder for work: another bake may be
// making the same layer.
func (s *Store) note(l Layer, work string) error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	made := filepath.Join(work, "note")
	if err := os.WriteFile(made, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(made, s.path(l.Key, ".json"))
}

// Trim drops the layers that were not used for the longest time until the rest is
// within the bound. Those of keep stay.
func (s *Store) Trim(keep []string) error {
	all, err := filepath.Glob(filepath.Join(s.Dir, "*.tar.zst"))
	if err != nil {
		return err
	}
	type file struct {
		key  string
		info fs.FileInfo
	}
	var files []file
	total, bound := int64(0), s.Max
	if bound == 0 {
		bound = DefaultMax
	}
	for _, name := range all {
		info, err := os.Stat(name)
		if err != nil {
			continue // another bake has dropped it
		}
		base := filepath.Base(name)
		files = append(files, file{base[:len(base)-len(".tar.zst")], info})
		total += info.Size()
	}
	slices.SortFunc(files, func(a, b file) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, f := range files {
		if total <= bound {
			break
		}
		if slices.Contains(keep, f.key) {
			continue
		}
		if err := os.Remove(s.path(f.key, ".tar.zst")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Remove(s.path(f.key, ".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.info.Size()
	}
	return nil
}

// Each reads the files of a layer.
func (l *Layer) Each(do func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(l.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	return EachFile(z, do)
}

// EachFile reads the files of an archive.
func EachFile(r io.Reader, do func(*tar.Header, io.Reader) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(h, t); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// Sum is the SHA-256 of a file, in hexadecimal, and its length in bytes.
func Sum(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
