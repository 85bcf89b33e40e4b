package backup

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"

	"github.com/klauspost/compress/zstd"

	"hearth/internal/cloud"
)

// format is the name of the first form of manifests. A reader refuses others.
const format = "hearth-backup-1"

// The bounds of what is believed of a store.
const (
	maxManifest = 256 << 20 // bytes, packed or not: 3 million chunks
	minChunk    = 4 << 10
	maxChunk    = 64 << 20
)

// manifest names what a backup holds.
type manifest struct {
	Format string `json:"format"`
	Size   int64  `json:"size"`  // of the volume, bytes
	Chunk  int64  `json:"chunk"` // of every stretch but the last, bytes
	// Chunks has the SHA-256 of each stretch in hexadecimal; "" where all is zero.
	Chunks []string `json:"chunks"`
}

// stretch is the length of the chunk with a number.
func (m manifest) stretch(i int) int64 { return min(m.Chunk, m.Size-int64(i)*m.Chunk) }

// objects counts the chunks that are there.
func (m manifest) objects() (n int) {
	for _, c := range m.Chunks {
		if c != "" {
			n++
		}
	}
	return n
}

// pack gives a manifest as it is kept.
func (r *Repository) pack(m manifest) ([]byte, error) {
	plain, err := json.Marshal(m)
	return r.packer.EncodeAll(plain, nil), err
}

// unpack reads a manifest, of which nothing is believed: a store is not ours
// alone.
func unpack(packed []byte) (m manifest, err error) {
	const op = "backup.Manifest"
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxManifest))
	if err != nil {
		return m, err
	}
	defer unpacker.Close()
	plain, err := unpacker.DecodeAll(packed, nil)
	if err != nil {
		return m, cloud.E(op, cloud.Invalid, "the manifest is damaged: %w", err)
	}
	if err := json.Unmarshal(plain, &m); err != nil {
		return m, cloud.E(op, cloud.Invalid, "the manifest is damaged: %w", err)
	}
	switch {
	case m.Format != format:
		return m, cloud.E(op, cloud.Unsupported, "the backup has the format %q, which this version does not know", m.Format)
	case m.Size < 0 || m.Chunk < minChunk || m.Chunk > maxChunk || int64(len(m.Chunks)) != (m.Size+m.Chunk-1)/m.Chunk:
		return m, cloud.E(op, cloud.Invalid, "the manifest is damaged: %d chunks of %d bytes do not make %d", len(m.Chunks), m.Chunk, m.Size)
	}
	for _, c := range m.Chunks {
		if raw, err := hex.DecodeString(c); err != nil || len(raw) != 32 && c != "" || bytes.ContainsAny([]byte(c), "ABCDEF") {
			return m, cloud.E(op, cloud.Invalid, "the manifest is damaged: %q is no chunk", c)
		}
	}
	return m, nil
}

// load reads the manifest of a backup; NotFound.
func (r *Repository) load(ctx context.Context, p Place) (manifest, error) {
	return r.loadNamed(ctx, p.manifest())
}

func (r *Repository) loadNamed(ctx context.Context, name string) (manifest, error) {
	packed, err := r.objects.Get(ctx, name, maxManifest)
	if err != nil {
		return manifest{}, err
	}
	return unpack(packed)
}
