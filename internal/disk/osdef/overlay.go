package osdef

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// overlays is the folder, beside the definitions, with the overlays that are kept:
// NAME/VERSION.tar.gz each, of which none is ever changed.
const overlays = ".overlays"

// PutOverlay keeps a tree of files as the next version of an overlay and gives its
// NAME@VERSION; the same as the newest makes none.
func (dir Dir) PutOverlay(ctx context.Context, name string, from tree.Source) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	folder := filepath.Join(string(dir), overlays, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(folder, ".new-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	left, err := tarball.Write(ctx, f, tarball.Gzip, from)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return "", err
	}
	if len(left) > 0 {
		return "", fmt.Errorf("the overlay has sockets: %s", strings.Join(left, ", "))
	}
	for {
		versions, err := dir.OverlayVersions(name)
		if err != nil {
			return "", err
		}
		next := 1
		if n := len(versions); n > 0 {
			next = versions[n-1]
			if same, err := equal(f.Name(), dir.overlayFile(name, next)); same || err != nil {
				return fmt.Sprintf("%s@%d", name, next), err
			}
			next++
		}
		if err := os.Link(f.Name(), dir.overlayFile(name, next)); !errors.Is(err, fs.ErrExist) {
			return fmt.Sprintf("%s@%d", name, next), err
		} // somebody else made this version meanwhile
	}
}

func (dir Dir) overlayFile(name string, version int) string {
	return filepath.Join(string(dir), overlays, name, strconv.Itoa(version)+".tar.gz")
}

// equal compares two files.
func equal(a, b string) (bool, error) {
	x, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer y.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err1 := io.ReadFull(x, p)
		m, err2 := io.ReadFull(y, q)
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if err1 != nil || err2 != nil {
			return errors.Is(err1, io.EOF) || errors.Is(err1, io.ErrUnexpectedEOF), nil
		}
	}
}

// OverlayVersions lists those of an overlay, the oldest first; none if there is no
// such overlay.
func (dir Dir) OverlayVersions(name string) (versions []int, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return numbered(filepath.Join(string(dir), overlays, name), ".tar.gz")
}

// Overlays lists the names of those that are kept.
func (dir Dir) Overlays() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(string(dir), overlays))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Overlay finds NAME, its newest version, or NAME@VERSION; "" when none of this name
// is kept. A version that is not there is an error.
func (dir Dir) Overlay(ref string) (string, error) {
	name, at, exact := strings.Cut(ref, "@")
	versions, err := dir.OverlayVersions(name)
	if err != nil || len(versions) == 0 && !exact {
		return "", err
	}
	if !exact {
		return dir.overlayFile(name, versions[len(versions)-1]), nil
	}
	n, err := strconv.Atoi(at)
	if err != nil || !slices.Contains(versions, n) {
		return "", fmt.Errorf("there is no version %s of the overlay %s; there are %v", at, name, versions)
	}
	return dir.overlayFile(name, n), nil
}
