package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"hearth/internal/cloud"
)

// chunkSize is how much of a disk is one chunk: small enough that a small change
// costs little, large enough that a terabyte is half a million objects.
const chunkSize = 2 << 20

// workers is how many chunks are packed and sent at once.
const workers = 4

// Repository keeps backups in an Objects. It is safe for concurrent use by one
// process.
type Repository struct {
	objects  Objects
	chunk    int64
	packer   *zstd.Encoder // both are for any number of calls at once
	unpacker *zstd.Decoder

	mu     sync.Mutex
	chains map[string]*chain
}

// chain is in use by one call at a time: what removes chunks must not meet what
// counts on them.
type chain struct {
	sync.Mutex
	users int
}

// New makes a repository in a store.
func New(o Objects) (*Repository, error) {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers))
	if err != nil {
		return nil, err
	}
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(workers), zstd.WithDecoderMaxMemory(maxChunk+1<<10))
	if err != nil {
		return nil, err
	}
	return &Repository{objects: o, chunk: chunkSize, packer: packer, unpacker: unpacker, chains: map[string]*chain{}}, nil
}

// Service says what kind of store the backups are in.
func (r *Repository) Service() string { return r.objects.Service() }

// Where says which store the backups are in.
func (r *Repository) Where() string { return r.objects.Where() }

// hold waits until a chain is free.
func (r *Repository) hold(name string) (release func()) {
	r.mu.Lock()
	c := r.chains[name]
	if c == nil {
		c = &chain{}
		r.chains[name] = c
	}
	c.users++
	r.mu.Unlock()
	c.Lock()
	return func() {
		c.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		if c.users--; c.users == 0 {
			delete(r.chains, name)
		}
	}
}

func chunkName(chain, sum string) string { return chain + "/chunks/" + sum[:2] + "/" + sum }

// Write makes a backup of size bytes out of src. Chunks that the chain has are
// not stored again, so a write that broke off can be repeated at little cost. The
// backup is there when Write returns, not before. progress is told of every
// chunk, one at a time.
func (r *Repository) Write(ctx context.Context, p Place, size int64, src io.Reader, progress func(Progress)) (Progress, error) {
	const op = "backup.Write"
	if err := p.check(op); err != nil {
		return Progress{}, err
	}
	defer r.hold(p.root())()
	have := map[string]bool{}
	err := r.objects.List(ctx, p.root()+"/chunks/", func(name string) error {
		have[name[strings.LastIndexByte(name, '/')+1:]] = true
		return nil
	})
	if err != nil {
		return Progress{}, err
	}
	w := &writer{repo: r, chain: p.root(), have: have, progress: progress,
		manifest: manifest{Format: format, Size: size, Chunk: r.chunk, Chunks: make([]string, (size+r.chunk-1)/r.chunk)}}
	if err := w.copy(ctx, src); err != nil {
		return w.done, err
	}
	packed, err := r.pack(w.manifest)
	if err != nil {
		return w.done, err
	}
	return w.done, r.objects.Put(ctx, p.manifest(), packed)
}

// writer is a backup in the making.
type writer struct {
	repo     *Repository
	chain    string
	progress func(Progress)
	manifest manifest

	mu   sync.Mutex
	have map[string]bool // chunks that are there, or will be
	done Progress
}

func (w *writer) copy(ctx context.Context, src io.Reader) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	pool := sync.Pool{New: func() any { b := make([]byte, w.manifest.Chunk); return &b }}
	read := func() error {
		for i := range w.manifest.Chunks {
			if err := ctx.Err(); err != nil {
				return nil // the group has the reason
			}
			buffer := pool.Get().(*[]byte)
			piece := (*buffer)[:w.manifest.stretch(i)]
			if _, err := io.ReadFull(src, piece); err != nil {
				return short(err)
			}
			group.Go(func() error {
				defer pool.Put(buffer)
				return w.chunk(ctx, i, piece)
			})
		}
		return nil
	}
	err := read()
	return errors.Join(err, group.Wait())
}

// short says that a disk ended too soon.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return cloud.E("backup.Write", cloud.Unavailable, "the volume ended before its last byte was read")
	}
	return err
}

// chunk stores a stretch unless the chain has it.
func (w *writer) chunk(ctx context.Context, i int, piece []byte) error {
	if zero(piece) {
		w.count(len(piece), 0, 0)
		return nil
	}
	raw := sha256.Sum256(piece)
	sum := hex.EncodeToString(raw[:])
	w.manifest.Chunks[i] = sum // each worker has its own
	w.mu.Lock()
	known := w.have[sum]
	w.have[sum] = true
	w.mu.Unlock()
	if known {
		w.count(len(piece), 1, 0)
		return nil
	}
	packed := w.repo.packer.EncodeAll(piece, nil)
	if err := w.repo.objects.Put(ctx, chunkName(w.chain, sum), packed); err != nil {
		return err
	}
	w.count(len(piece), 1, len(packed))
	return nil
}

func (w *writer) count(read, objects, stored int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done.Read += int64(read)
	w.done.Objects += objects
	w.done.Stored += int64(stored)
	if w.progress != nil {
		w.progress(w.done)
	}
}

var zeros [64 << 10]byte

func zero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// Remove removes a backup, with the chunks that no other of its chain names. No
// error when it is gone: then what a write left that broke off is removed.
func (r *Repository) Remove(ctx context.Context, p Place) error {
	const op = "backup.Remove"
	if err := p.check(op); err != nil {
		return err
	}
	defer r.hold(p.root())()
	if err := r.objects.Remove(ctx, p.manifest()); err != nil {
		return err
	}
	wanted := map[string]bool{}
	var chunks, others []string
	err := r.objects.List(ctx, p.root()+"/", func(name string) error {
		if strings.HasSuffix(name, manifestEnd) {
			others = append(others, name)
		} else {
			chunks = append(chunks, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range others {
		m, err := r.loadNamed(ctx, name)
		if err != nil { // what cannot be read may name any of them
			return err
		}
		for _, sum := range m.Chunks {
			wanted[sum] = true
		}
	}
	for _, name := range chunks {
		if wanted[name[strings.LastIndexByte(name, '/')+1:]] {
			continue
		}
		if err := r.objects.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Size gives the size of the volume that a backup is of, in bytes, and how many
// chunks it has; NotFound, Invalid.
func (r *Repository) Size(ctx context.Context, p Place) (size int64, objects int, err error) {
	if err := p.check("backup.Size"); err != nil {
		return 0, 0, err
	}
	m, err := r.load(ctx, p)
	return m.Size, m.objects(), err
}
