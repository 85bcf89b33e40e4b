// Package catalog is the list of systems that are known to be had as images of clouds:
// where the newest of each is, what vouches for its bytes, who logs in, how to bake one
// like it here, and what came of booting it, if that was tried.
//
// The entries are data: catalog.yaml, with a file of the user's own over it. That an
// entry is in the list says nothing of whether its image boots: only a kept Result does.
package catalog

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed catalog.yaml
var builtin []byte

// Entry is a system.
type Entry struct {
	Name  string `yaml:"name" json:"name"`   // by which it is asked for
	Title string `yaml:"title" json:"title"` // for people
	Arch  string `yaml:"arch" json:"arch"`   // as the kernel calls it: x86_64
	Home  string `yaml:"home" json:"home"`   // where it comes from, for people
	User  string `yaml:"user" json:"user"`   // who logs in with the key
	OS    string `yaml:"os" json:"os"`       // glance's os_distro
	// Bake is the recipe of 'hearth bake' that makes the image here; such an entry has
	// none of the addresses below.
	Bake string `yaml:"bake" json:"bake,omitempty"`
	// Newest finds words for the addresses: one {NAME} for each step, besides {arch}.
	Newest []Step `yaml:"newest" json:"newest,omitempty"`
	Image  string `yaml:"image" json:"image,omitempty"`
	// Mirrors are other addresses of the same bytes.
	Mirrors []string `yaml:"mirrors" json:"mirrors,omitempty"`
	// Sums is the address of a file of check sums, Signature that of a detached signature
	// of it; a clear-signed one needs none. ImageSignature is one of the image itself.
	Sums           string `yaml:"sums" json:"sums,omitempty"`
	Signature      string `yaml:"signature" json:"signature,omitempty"`
	ImageSignature string `yaml:"image_signature" json:"image_signature,omitempty"`
	// Keys are files with the keys of those who sign; one that is here is used.
	Keys     []string `yaml:"keys" json:"keys,omitempty"`
	Firmware string   `yaml:"firmware" json:"firmware,omitempty"` // bios or uefi; "" as its partitions say
	MemoryMB int      `yaml:"memory_mb" json:"memory_mb,omitempty"`
	// Recipe says how one like it is baked here; "" if there is no recipe.
	Recipe string `yaml:"recipe" json:"recipe,omitempty"`
	Notes  string `yaml:"notes" json:"notes,omitempty"`
	Origin string `yaml:"-" json:"origin"` // "built in", or the file that it is of
}

// Step looks for the newest of something in a page: of all that matches, the greatest,
// numbers in it compared as numbers.
type Step struct {
	Name  string `yaml:"name" json:"name"`
	At    string `yaml:"at" json:"at"`       // address of the page
	Match string `yaml:"match" json:"match"` // regular expression; its first group, or all of it
}

// Catalog is the list.
type Catalog struct{ entries []Entry }

// Load reads the entries that are built in, and over them those of a file, which may
// lack: one of the same name takes the other's place.
func Load(path string) (*Catalog, error) {
	c := &Catalog{}
	if err := c.add(builtin, "built in"); err != nil {
		return nil, err
	}
	if path == "" {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return c, c.add(b, path)
}

func (c *Catalog) add(b []byte, origin string) error {
	var list []Entry
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&list); err != nil && len(bytes.TrimSpace(b)) > 0 {
		return fmt.Errorf("the catalog %s cannot be read: %w", origin, err)
	}
	seen := map[string]bool{}
	for _, e := range list {
		e.Origin = origin
		if err := e.check(); err != nil {
			return fmt.Errorf("the catalog %s: entry %q: %w", origin, e.Name, err)
		}
		if seen[e.Name] {
			return fmt.Errorf("the catalog %s: entry %q is there twice", origin, e.Name)
		}
		seen[e.Name] = true
		if i := slices.IndexFunc(c.entries, func(o Entry) bool { return o.Name == e.Name }); i >= 0 {
			c.entries[i] = e
			continue
		}
		c.entries = append(c.entries, e)
	}
	return nil
}

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// check refuses an entry that could not be used, or whose bytes nothing vouches for.
func (e Entry) check() error {
	switch {
	case !plainName.MatchString(e.Name):
		return errors.New("its name must be of small letters, digits, dots and dashes")
	case e.Arch == "":
		return errors.New("it says no arch")
	case (e.Bake == "") == (e.Image == ""):
		return errors.New("it needs either image, an address, or bake, a recipe")
	case e.Image != "" && e.Sums == "" && e.ImageSignature == "":
		return errors.New("nothing vouches for its bytes: it needs sums or image_signature")
	case e.Sums == "" && e.ImageSignature != "" && len(e.Keys) == 0:
		return errors.New("a signature needs keys")
	case e.Firmware != "" && e.Firmware != "bios" && e.Firmware != "uefi":
		return errors.New("its firmware is bios, uefi or not said")
	}
	for _, s := range e.Newest {
		if s.Name == "" || s.At == "" {
			return fmt.Errorf("newest %q needs a name, at, and match", s.Name)
		}
		if _, err := regexp.Compile(s.Match); err != nil {
			return fmt.Errorf("newest %q needs a match that is a regular expression: %w", s.Name, err)
		}
	}
	return nil
}

// All are the entries, in their order.
func (c *Catalog) All() []Entry { return slices.Clone(c.entries) }

// Get gives an entry by its name.
func (c *Catalog) Get(name string) (Entry, error) {
	var names []string
	for _, e := range c.entries {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Entry{}, fmt.Errorf("the catalog has no %q; it has %s", name, strings.Join(names, ", "))
}
