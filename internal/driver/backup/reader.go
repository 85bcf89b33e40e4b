package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"hearth/internal/cloud"
)

// Open gives what a backup holds, from the first to the last byte of the volume.
// Every chunk is checked: what is damaged is an error, never other bytes. The
// manifest is read at once, the chunks as they are asked for. NotFound, Invalid.
func (r *Repository) Open(ctx context.Context, p Place) (io.ReadCloser, error) {
	if err := p.check("backup.Open"); err != nil {
		return nil, err
	}
	m, err := r.load(ctx, p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &reader{repo: r, chain: p.root(), manifest: m, cancel: cancel, next: make(chan piece, workers)}
	go b.ahead(ctx)
	return b, nil
}

// reader reads a backup's chunks in order, a few of them ahead.
type reader struct {
	repo     *Repository
	chain    string
	manifest manifest
	cancel   context.CancelFunc
	next     chan piece
	rest     []byte
	err      error
}

// piece is a chunk, or why there is none.
type piece struct {
	data []byte
	err  error
}

// ahead fetches chunks until the last, an error, or the end of ctx.
func (b *reader) ahead(ctx context.Context) {
	defer close(b.next)
	for i, sum := range b.manifest.Chunks {
		p := piece{data: make([]byte, b.manifest.stretch(i))}
		if sum != "" {
			p.data, p.err = b.fetch(ctx, sum, b.manifest.stretch(i))
		}
		select {
		case b.next <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

func (b *reader) fetch(ctx context.Context, sum string, size int64) ([]byte, error) {
	const op = "backup.Read"
	packed, err := b.repo.objects.Get(ctx, chunkName(b.chain, sum), size+size/8+1<<10) // zstd adds little to what it cannot pack
	if cloud.Is(err, cloud.NotFound) {
		return nil, cloud.E(op, cloud.Invalid, "the backup is damaged: its chunk %s is gone", sum)
	}
	if err != nil {
		return nil, err
	}
	plain, err := b.repo.unpacker.DecodeAll(packed, make([]byte, 0, size))
	raw := sha256.Sum256(plain)
	if err != nil || int64(len(plain)) != size || hex.EncodeToString(raw[:]) != sum {
		return nil, cloud.E(op, cloud.Invalid, "the backup is damaged: its chunk %s does not hold what it is named after", sum)
	}
	return plain, nil
}

// Read implements io.Reader.
func (b *reader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		got, ok := <-b.next
		switch {
		case !ok:
			b.err = io.EOF
		case got.err != nil:
			b.err = got.err
		}
		b.rest = got.data
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *reader) Close() error {
	b.cancel()
	if b.err == nil {
		b.err = errors.New("the backup was closed")
	}
	return nil
}
