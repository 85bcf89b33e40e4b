package image_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

const benchSize = 256 << 20

func noise() []byte {
	data := make([]byte, benchSize)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(data)
	return data
}

// BenchmarkUpload is a whole upload: both checksums, sparse, on the disk, and
// synced. Compare with BenchmarkOnePass.
func BenchmarkUpload(b *testing.B) {
	data := noise()
	st, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "hearth.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	blobs, err := blob.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	svc := image.New(st, cloud.SystemClock{}, blobs, image.Options{})
	b.SetBytes(benchSize)
	for b.Loop() {
		img, err := svc.Create(b.Context(), ann, m{"disk_format": "raw", "container_format": "bare"})
		if err == nil {
			err = svc.Upload(b.Context(), ann, img.ID, bytes.NewReader(data), benchSize)
		}
		if err == nil {
			err = svc.Delete(b.Context(), ann, img.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOnePass is the measure: read, SHA-512, MD5 and write, one after the
// other, without sync.
func BenchmarkOnePass(b *testing.B) {
	data := noise()
	b.SetBytes(benchSize)
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "x"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.MultiWriter(sha512.New(), md5.New(), f), struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
