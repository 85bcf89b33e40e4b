package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // glance's checksum
	"crypto/sha512"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// uploadMiB is the size of the image; it has no zeros to leave out.
const uploadMiB = 512

// upload measures an upload against one pass that reads the same bytes, makes
// SHA-512 and MD5 and writes them to a file of the same directory, in turns.
func (b bench) upload() []figure {
	c := b.newCloud("fake")
	defer tidy()
	c.start()
	c.login()
	data := make([]byte, uploadMiB<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	var speeds, ratios []float64
	for range b.runs {
		_, _ = random.Read(data[:1<<20]) // no two images are the same
		pass := onePass(c.data, data)
		began := time.Now()
		id := c.upload("big", "raw", bytes.NewReader(data))
		took := time.Since(began)
		check(images.Delete(context.Background(), c.image, id).ExtractErr())
		speeds, ratios = append(speeds, uploadMiB/took.Seconds()), append(ratios, pass.Seconds()/took.Seconds())
	}
	return []figure{plain("upload", "MiB/s", speeds), atLeast("upload against read, SHA-512, MD5, write", 0.9, "×", ratios)}
}

// onePass is the least that an upload has to do.
func onePass(dir string, data []byte) time.Duration {
	path := filepath.Join(dir, "pass")
	defer os.Remove(path)
	began := time.Now()
	f, err := os.Create(path)
	check(err)
	sha, sum := sha512.New(), md5.New() //nolint:gosec // as above
	_, err = io.CopyBuffer(io.MultiWriter(sha, sum, f), onlyReader{bytes.NewReader(data)}, make([]byte, 1<<20))
	check(err)
	check(f.Sync())
	check(f.Close())
	return time.Since(began)
}

// onlyReader hides that the bytes are in memory.
type onlyReader struct{ io.Reader }
