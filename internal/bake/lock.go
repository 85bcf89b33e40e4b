package bake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hearth/internal/bake/layer"
	"hearth/internal/bake/recipe"
)

// lock is what a bake was made of: RECIPE.lock beside RECIPE.yaml.
type lock struct {
	Version  int               `yaml:"version"`
	Suite    string            `yaml:"suite,omitempty"`
	Mirror   string            `yaml:"mirror,omitempty"`
	Inputs   map[string]string `yaml:"inputs"`   // SHA-256 sums of files, by their base name
	Packages []string          `yaml:"packages"` // NAME_VERSION of all that the image has
}

func newLock() *lock { return &lock{Version: 1, Inputs: map[string]string{}} }

// lockFile is where the lock of a recipe lies.
func lockFile(r *recipe.Recipe) string {
	base := filepath.Base(r.File)
	return filepath.Join(r.Dir, strings.TrimSuffix(base, filepath.Ext(base))+".lock")
}

// readLock reads a lock file; nil if there is none.
func readLock(name string) (*lock, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := newLock()
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(l); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if l.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d; this hearth knows 1", name, l.Version)
	}
	return l, nil
}

func (l *lock) write(name string) error {
	b, err := yaml.Marshal(l)
	if err != nil {
		return err
	}
	b = append([]byte("# Made by hearth bake run: what the image was made of. --locked refuses anything else.\n"), b...)
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, b) {
		return nil
	}
	made, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-") // another bake may be writing it
	if err != nil {
		return err
	}
	defer os.Remove(made.Name())
	_, err = made.Write(b)
	if err = errors.Join(err, made.Chmod(0o644), made.Close()); err != nil {
		return err
	}
	return os.Rename(made.Name(), name)
}

// writable refuses a folder that a lock file cannot be put into, before a bake and not after it.
func writable(r *recipe.Recipe) error {
	probe, err := os.CreateTemp(r.Dir, ".lock-")
	if err != nil {
		return fmt.Errorf("the lock file %s could not be written: %w; copy the recipe to a folder of yours", lockFile(r), err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// version of a package; "" if it is not known.
func (l *lock) version(name string) string {
	for _, p := range l.Packages {
		if v, ok := strings.CutPrefix(p, name+"_"); ok {
			return v
		}
	}
	return ""
}

// inputs hashes the files that the recipe is made of and holds them against the
// recipe's own sum and, if that is asked, the lock.
func (k *kitchen) inputs() error {
	b := k.recipe.Base
	for _, name := range []string{b.Tarball, b.Image, b.Keyring, k.recipe.Kernel.Tarball, k.installerFile()} {
		if name == "" {
			continue
		}
		base := filepath.Base(name)
		if _, ok := k.lock.Inputs[base]; ok {
			return fmt.Errorf("two files of the recipe are called %s: the lock knows them by that", base)
		}
		s, _, err := layer.Sum(k.recipe.Path(name))
		if err != nil {
			return err
		}
		k.lock.Inputs[base] = s
		if b.SHA256 != "" && name != k.recipe.Kernel.Tarball && name != k.installerFile() && s != b.SHA256 {
			return fmt.Errorf("%s:%d: %s has the SHA-256 sum %s, and the recipe wants %s", k.recipe.File, k.recipe.Line("base.sha256"), name, s, b.SHA256)
		}
	}
	k.lock.Mirror = b.Mirror
	if b.Bootstrap != "" {
		k.lock.Suite = orElse(b.Suite, debianSuite)
	}
	if !k.opt.Locked {
		return nil
	}
	return k.lock.drift(k.pinned, false)
}

// holdLock holds the packages against the lock.
func (k *kitchen) holdLock() error {
	k.lock.Packages = slices.Sorted(slices.Values(k.packages))
	if !k.opt.Locked {
		return nil
	}
	return k.lock.drift(k.pinned, true)
}

// drift says what is not as pinned.
func (l *lock) drift(pinned *lock, packages bool) error {
	var found []string
	for name, s := range l.Inputs {
		if was := pinned.Inputs[name]; was != s {
			found = append(found, fmt.Sprintf("%s has the sum %.12s…, locked is %.12s…", name, s, orElse(was, "none")))
		}
	}
	if l.Suite != pinned.Suite || l.Mirror != pinned.Mirror {
		found = append(found, fmt.Sprintf("suite and mirror are %q %q, locked are %q %q", l.Suite, l.Mirror, pinned.Suite, pinned.Mirror))
	}
	if packages {
		for _, p := range l.Packages {
			if !slices.Contains(pinned.Packages, p) {
				found = append(found, p+" is not locked")
			}
		}
		for _, p := range pinned.Packages {
			if !slices.Contains(l.Packages, p) {
				found = append(found, "locked "+p+" is not there")
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	more := ""
	if n := len(found) - 10; n > 0 {
		found, more = found[:10], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("not as locked: %s%s; bake without --locked to take it", strings.Join(found, "; "), more)
}
