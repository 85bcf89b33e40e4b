package rendition

import (
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // what glance calls the checksum
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"hearth/internal/disk"
)

// makers is how many renditions are made at once; others wait.
const makers = 2

// Shop makes renditions and keeps some. It is safe for concurrent use, by one process.
type Shop struct {
	run   *disk.Runner
	dir   string
	limit int64
	slots chan struct{}

	mu    sync.Mutex
	items map[string]*item // by digest and form
	turn  int64            // counts uses
}

// item is a rendition on the shelf, or one that is being made.
type item struct {
	path, md5 string
	size      int64
	used      int64         // the turn it was used last
	done      chan struct{} // closed when it is there, or was given up
	err       error
}

// New makes a shop in a folder of its own, which is emptied. What is kept and what is
// being made take about limit bytes at most.
func New(dir string, limit int64) *Shop {
	return &Shop{run: &disk.Runner{Timeout: ToolTime}, dir: dir, limit: cmp.Or(limit, 256<<30), slots: make(chan struct{}, makers), items: map[string]*item{}}
}

// most is how large a disk may be of which something is made. Half of the limit is for
// what is kept, the other half for the makers.
func (s *Shop) most() int64 { return s.limit / (2 * makers) }

// Clean removes what was left behind. It must be called before the first Open.
func (s *Shop) Clean() error { return os.RemoveAll(s.dir) }

func (s *Shop) workDir() (string, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(s.dir, "work-")
}

// shelved gives a rendition from the shelf, and makes it first if need be. Who comes
// while it is made, waits; if its maker gave up, the next one makes it.
func (s *Shop) shelved(ctx context.Context, src Source, form string) (*Rendition, error) {
	key := src.Digest + " " + form
	for {
		s.mu.Lock()
		it := s.items[key]
		if it == nil {
			it = &item{done: make(chan struct{})}
			s.items[key] = it
			s.mu.Unlock()
			s.fill(ctx, it, key, src, form)
		} else {
			s.mu.Unlock()
		}
		select {
		case <-it.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		r, err := s.take(it)
		switch {
		case err == nil:
			return r, nil
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, context.Canceled), errors.Is(err, os.ErrNotExist): // not ours, or it went from the shelf just now
			continue
		}
		return nil, err
	}
}

// take opens what is on the shelf.
func (s *Shop) take(it *item) (*Rendition, error) {
	if it.err != nil {
		return nil, it.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(it.path)
	if err != nil {
		return nil, err
	}
	s.turn++
	it.used = s.turn
	return &Rendition{ReadSeekCloser: f, Size: it.size, MD5: it.md5, Tag: it.md5}, nil
}

// fill makes a rendition and puts it on the shelf; a failure is kept from it.
func (s *Shop) fill(ctx context.Context, it *item, key string, src Source, form string) {
	made, err := s.build(ctx, src, form)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		err = context.Canceled // whatever tool it met
	}
	if err != nil {
		it.err = err
		delete(s.items, key)
	} else {
		s.turn++
		it.path, it.md5, it.size, it.used = made.path, made.md5, made.size, s.turn
		s.evict(it)
	}
	close(it.done)
}

func (s *Shop) build(ctx context.Context, src Source, form string) (it item, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return it, ctx.Err()
	}
	work, err := s.workDir()
	if err != nil {
		return it, err
	}
	defer os.RemoveAll(work)
	from := src.Path
	if src.Disk != "" && !slices.Contains(treeForms, form) {
		from = src.Disk
	}
	made := filepath.Join(work, "made")
	if err := s.make(ctx, from, form, made, src.Name, work); err != nil {
		return it, err
	}
	if it.size, it.md5, err = sum(made); err != nil {
		return it, err
	}
	it.path = filepath.Join(s.dir, tag(src.Digest, form))
	return it, os.Rename(made, it.path)
}

func sum(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := md5.New() //nolint:gosec // see above
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// evict takes those off the shelf that were used longest ago, until half of the limit
// holds them; the newest may stay alone. Who reads one, reads on.
func (s *Shop) evict(newest *item) {
	type kept struct {
		key string
		*item
	}
	var list []kept
	total := int64(0)
	for key, it := range s.items {
		if it.path != "" {
			total += it.size
			list = append(list, kept{key, it})
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return cmp.Compare(a.used, b.used) })
	for _, k := range list {
		if total <= s.limit/2 || k.item == newest {
			return
		}
		_ = os.Remove(k.path) // what stays, Clean removes
		delete(s.items, k.key)
		total -= k.size
	}
}
