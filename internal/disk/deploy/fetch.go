package deploy

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // ganeti-instance-image's .sig files are sums by it, and are taken with a warning
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk/verify"
)

// Fetch opens what an address names. An error that is fs.ErrNotExist says that the
// server has no such thing.
type Fetch func(ctx context.Context, url string) (io.ReadCloser, error)

// mark is the end of the name of the file beside each image of the cache that was
// fetched: what has none was put there by somebody and stays.
const mark = ".fetched"

const maxSum = 4096 // bytes of a file with a check sum

// sums are the files with check sums that are looked for, the best first. The sums
// in them are told by their length.
var sums = []string{".sha512", ".sha256", ".sig"}

// cache brings images of IMAGE_URL into CACHE_DIR.
type cache struct {
	dir, url string
	verify   bool
	keyring  string // file of the keys that must have signed; "": sums will do
	limit    int64  // bytes of all that was fetched; 0: none
	fetch    Fetch
	warn     func(format string, args ...any)
}

// get gives the file of an image in the cache, fetched if it lacks. With verify its
// check sum is got and held against it each time, as ganeti-instance-image does.
func (c *cache) get(ctx context.Context, name string) (path string, err error) {
	if c.fetch == nil {
		return "", refuse("IMAGE_URL is %s, but nothing is fetched here", redacted(c.url))
	}
	path = filepath.Join(c.dir, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := c.download(ctx, name, path); err != nil {
			return "", err
		}
	}
	if c.verify || c.keyring != "" {
		check := c.check
		if c.keyring != "" {
			check = c.checkSigned
		}
		if err := check(ctx, name, path); err != nil {
			if _, mine := os.Stat(path + mark); mine == nil {
				err = errors.Join(err, c.drop(path))
			}
			return "", err
		}
	}
	now := time.Now()
	if _, err := os.Stat(path + mark); err == nil {
		if err := os.Chtimes(path+mark, now, now); err != nil {
			return "", err
		}
	}
	return path, c.shrink(path)
}

func (c *cache) address(name string) string { return strings.TrimSuffix(c.url, "/") + "/" + name }

// redacted is an address as logs and other users may see it: a password in it is none of theirs.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Redacted()
}

// download fetches a file, which is there when it is whole.
func (c *cache) download(ctx context.Context, name, path string) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return refuse("CACHE_DIR cannot be made: %v", err)
	}
	body, err := c.fetch(ctx, c.address(name))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", redacted(c.address(name)), err)
	}
	defer body.Close()
	f, err := os.CreateTemp(c.dir, ".fetch-")
	if err != nil {
		return refuse("CACHE_DIR cannot be written to: %v", err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", redacted(c.address(name)), err)
	}
	if err := os.WriteFile(path+mark, []byte(redacted(c.address(name))+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// check holds a file against the first of its check sums that the server has.
func (c *cache) check(ctx context.Context, name, path string) error {
	for _, end := range sums {
		body, err := c.fetch(ctx, c.address(name+end))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", redacted(c.address(name+end)), err)
		}
		want, err := sumIn(body, name)
		if err = errors.Join(err, body.Close()); err != nil {
			return fmt.Errorf("%s: %w", redacted(c.address(name+end)), err)
		}
		if len(want) == 2*sha1.Size {
			c.warn("%s has a sum by SHA-1, which proves little; offer %s.sha256 or .sha512 beside the image", name+end, name)
		}
		return compare(path, want)
	}
	return refuse("IMAGE_VERIFY is yes, and the server has no %s; offer one, or set IMAGE_VERIFY=no", strings.Join([]string{name + sums[0], name + sums[1], name + sums[2]}, ", "))
}

// signatures are the files with a signature that are looked for.
var signatures = []string{".minisig", ".asc", ".sig"}

// checkSigned holds a file against the first of its signatures that the server has. A sum
// by the name of .sig is none.
func (c *cache) checkSigned(ctx context.Context, name, path string) error {
	b, err := os.ReadFile(c.keyring)
	if err != nil {
		return refuse("IMAGE_KEYRING cannot be read: %v", err)
	}
	keys, err := verify.ReadKeys(b)
	if err != nil {
		return fmt.Errorf("IMAGE_KEYRING: %w", err)
	}
	for _, end := range signatures {
		body, err := c.fetch(ctx, c.address(name+end))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", redacted(c.address(name+end)), err)
		}
		signature, err := io.ReadAll(io.LimitReader(body, verify.Most))
		if err = errors.Join(err, body.Close()); err != nil {
			return fmt.Errorf("%s: %w", redacted(c.address(name+end)), err)
		}
		if verify.KindOf(signature) == verify.Sums {
			continue
		}
		return checkSignature(keys, path, signature)
	}
	return refuse("IMAGE_KEYRING is set, and the server has no signature of the image: %s", strings.Join([]string{name + signatures[0], name + signatures[1], name + signatures[2]}, ", "))
}

func checkSignature(keys *verify.Keys, path string, signature []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := keys.Check(f, signature); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// sumIn finds the sum of a file in what sha1sum and the like write: a sum alone, or
// lines of sum and name.
func sumIn(r io.Reader, name string) (string, error) {
	lines := bufio.NewScanner(io.LimitReader(r, maxSum))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || len(f) > 1 && filepath.Base(strings.TrimPrefix(f[1], "*")) != name {
			continue
		}
		if b, err := hex.DecodeString(f[0]); err == nil && algorithm(len(b)) != nil {
			return strings.ToLower(f[0]), nil
		}
	}
	return "", refuse("it has no check sum of %s", name)
}

// algorithm is the one whose sums have a length in bytes; nil for none.
func algorithm(length int) func() hash.Hash {
	switch length {
	case sha1.Size:
		return sha1.New
	case sha256.Size:
		return sha256.New
	case sha512.Size:
		return sha512.New
	}
	return nil
}

func compare(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := algorithm(len(want) / 2)()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return refuse("%s is not what its check sum says: it is %s, not %s", path, got, want)
	}
	return nil
}

// drop removes an image that was fetched.
func (c *cache) drop(path string) error {
	err := os.Remove(path)
	return errors.Join(err, os.Remove(path+mark))
}

// shrink removes those that were fetched and have not been used for the longest,
// until all that were fetched are within the limit. The one in use stays.
func (c *cache) shrink(used string) error {
	if c.limit == 0 {
		return nil
	}
	type image struct {
		path string
		size int64
		at   time.Time
	}
	marks, err := filepath.Glob(filepath.Join(c.dir, "*"+mark))
	if err != nil {
		return err
	}
	var all []image
	total := int64(0)
	for _, m := range marks {
		path := strings.TrimSuffix(m, mark)
		at, err := os.Stat(m)
		st, err2 := os.Stat(path)
		if err != nil || err2 != nil {
			continue // another deployment has just removed it
		}
		total += st.Size()
		all = append(all, image{path, st.Size(), at.ModTime()})
	}
	slices.SortFunc(all, func(x, y image) int { return x.at.Compare(y.at) })
	for _, i := range all {
		if total <= c.limit {
			return nil
		}
		if i.path == used || partner(i.path, used) {
			continue
		}
		if err := c.drop(i.path); err != nil {
			return err
		}
		total -= i.size
	}
	if total > c.limit {
		c.warn("the images in use have %d MB, more than CACHE_SIZE, %d MB", total/mib, c.limit/mib)
	}
	return nil
}

// partner tells whether two files are the dumps of one image.
func partner(x, y string) bool {
	base := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "-root.dump"), "-boot.dump") }
	return base(x) == base(y)
}

// obtain brings the image that the definition names from IMAGE_URL. done is called
// at the end: with IMAGE_CLEANUP it removes what was fetched.
func (b *build) obtain(ctx context.Context) (done func() error, err error) {
	nothing := func() error { return nil }
	url := b.spec.Settings["IMAGE_URL"]
	if url == "" || b.opt.Image != "" || b.spec.CDInstall {
		return nothing, nil
	}
	if b.spec.Image == "" {
		return nothing, refuse("IMAGE_URL is set, but not IMAGE_NAME")
	}
	c := &cache{dir: b.spec.Settings["CACHE_DIR"], url: url, verify: b.spec.Verify, keyring: b.spec.Settings["IMAGE_KEYRING"], limit: b.spec.CacheSize, fetch: b.opt.Fetch, warn: b.warn}
	names := []string{filepath.Base(b.spec.Image)}
	if root, ok := strings.CutSuffix(names[0], "-root.dump"); ok {
		names = append(names, root+"-boot.dump")
	}
	var have []string
	done = func() (err error) {
		for _, path := range have {
			if _, mine := os.Stat(path + mark); b.spec.Cleanup && mine == nil {
				err = errors.Join(err, c.drop(path))
			}
		}
		return err
	}
	for i, name := range names {
		path, err := c.get(ctx, name)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue // an image without a /boot of its own
		}
		if err != nil {
			return nothing, errors.Join(err, done())
		}
		have = append(have, path)
	}
	b.opt.Image = have[0]
	return done, nil
}
