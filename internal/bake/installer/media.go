package installer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"hearth/internal/disk"
)

// Fetch opens an address of the web; an address that is not there is an error. length is -1 if
// it is not known.
type Fetch func(ctx context.Context, url string) (body io.ReadCloser, length int64, err error)

// Bounds of what is read, bytes.
const (
	maxKernel  = 256 << 20
	maxRamdisk = 1 << 30
	maxISO     = 32 << 30
)

// Media is an installer that is there: the files by which it starts.
type Media struct {
	Kernel  []byte
	Ramdisk []byte
	ISO     string // "" if it has no CD-ROM
	Web     string // folder of the web that it came from, for the kinds that go on there
}

// FromWeb tells whether an installer is an address of the web.
func FromWeb(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// Open gets an installer of a kind: from a folder or an ISO, here or on the web. An ISO of the
// web is kept in cacheDir under its address's sum.
func Open(ctx context.Context, source, kindName, cacheDir string, fetch Fetch) (*Media, error) {
	if err := CheckKind(kindName); err != nil {
		return nil, err
	}
	k := kinds()[kindName]
	web := FromWeb(source)
	if web && fetch == nil {
		return nil, errors.New("nothing here fetches an installer from the web: name a file or a folder")
	}
	if web && !strings.HasSuffix(strings.ToLower(source), ".iso") {
		m := &Media{Web: strings.TrimSuffix(source, "/") + "/"}
		return m, m.fill(k, kindName, source, func(name string, most int64) ([]byte, error) { return download(ctx, fetch, m.Web+name, most) })
	}
	if web {
		iso, err := keepISO(ctx, source, cacheDir, fetch)
		if err != nil {
			return nil, err
		}
		source = iso
	}
	st, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		root, err := os.OpenRoot(source)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		m := &Media{}
		return m, m.fill(k, kindName, source, func(name string, most int64) ([]byte, error) { return bounded(root.Open(name))(most) })
	}
	return openISO(source, k, kindName)
}

// openISO finds an installer in a CD-ROM. The reader of these does not expect bytes that
// nobody checked: where they lead it out of its bounds, the image is broken.
func openISO(source string, k kind, kindName string) (m *Media, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("%s is a broken ISO 9660 image: %v", source, p)
		}
	}()
	f, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	iso, err := iso9660.Read(file.New(f, true), st.Size(), 0, 2048)
	if err != nil {
		return nil, fmt.Errorf("%s is no ISO 9660 image: %w", source, err)
	}
	m = &Media{ISO: source}
	return m, m.fill(k, kindName, source, func(name string, most int64) ([]byte, error) {
		in, err := iso.OpenFile(name, os.O_RDONLY)
		return bounded(in, err)(most)
	})
}

// bounded reads a file that was opened.
func bounded[F io.ReadCloser](f F, err error) func(most int64) ([]byte, error) {
	return func(most int64) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, most+1))
		if err == nil && int64(len(b)) > most {
			err = fmt.Errorf("it has more than %d bytes", most)
		}
		return b, err
	}
}

// fill finds kernel and ramdisk.
func (m *Media) fill(k kind, kindName, source string, read func(name string, most int64) ([]byte, error)) error {
	var why error
	for i, name := range k.kernels {
		kernel, err := read(name, maxKernel)
		if err == nil {
			err = isKernel(kernel)
		}
		if err != nil {
			why = errors.Join(why, fmt.Errorf("%s: %w", name, err))
			continue
		}
		ramdisk, err := read(k.ramdisks[i], maxRamdisk)
		if err != nil {
			return fmt.Errorf("%s has the kernel %s, but not %s: %w", source, name, k.ramdisks[i], err)
		}
		m.Kernel, m.Ramdisk = kernel, ramdisk
		return nil
	}
	return fmt.Errorf("%s has no installer that reads %s: %w", source, kindName, why)
}

func isKernel(b []byte) error {
	info, err := disk.Detect(bytes.NewReader(b), int64(len(b)))
	if err == nil && info.Content != disk.Kernel {
		err = errors.New("this is no Linux kernel")
	}
	return err
}

func download(ctx context.Context, fetch Fetch, url string, most int64) ([]byte, error) {
	body, _, err := fetch(ctx, url)
	return bounded(body, err)(most)
}

// keepISO fetches an ISO once.
func keepISO(ctx context.Context, url, cacheDir string, fetch Fetch) (string, error) {
	sum := sha256.Sum256([]byte(url))
	name := filepath.Join(cacheDir, "installers", hex.EncodeToString(sum[:8])+"-"+path.Base(url))
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	body, length, err := fetch(ctx, url)
	if err != nil {
		return "", err
	}
	defer body.Close()
	f, err := os.CreateTemp(filepath.Dir(name), ".iso-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	n, err := io.Copy(f, io.LimitReader(body, maxISO))
	if err == nil && length >= 0 && n != length {
		err = fmt.Errorf("%s broke off after %d of %d bytes", url, n, length)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return name, os.Rename(f.Name(), name)
}
