package osdef

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"hearth/internal/disk"
)

// Dir is a folder of definitions: NAME/VERSION.yaml each, of which none is ever
// changed, so that it is its own history.
type Dir string

// Put keeps a definition as the next version of its name, and says which; the same
// as the newest makes none.
func (dir Dir) Put(d *Definition) (*Definition, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	made := *d
	folder := filepath.Join(string(dir), d.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	for {
		versions, err := dir.Versions(d.Name)
		if err != nil {
			return nil, err
		}
		made.Version = 1
		if n := len(versions); n > 0 {
			newest, err := dir.Get(d.Name)
			if err != nil {
				return nil, err
			}
			if made.Version = newest.Version; same(&made, newest) {
				return newest, nil
			}
			made.Version++
		}
		if err := write(filepath.Join(folder, strconv.Itoa(made.Version)+".yaml"), &made); !errors.Is(err, fs.ErrExist) {
			return &made, err
		} // somebody else made this version meanwhile
	}
}

func same(a, b *Definition) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// write makes a new file, whole or not at all.
func write(path string, d *Definition) error {
	b, err := yaml.Marshal(d)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// Versions of a definition, the oldest first; none if there is no such definition.
func (dir Dir) Versions(name string) (versions []int, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return numbered(filepath.Join(string(dir), name), ".yaml")
}

// numbered lists the numbers that the files of a folder are called by, in order; none
// of a folder that is not there.
func numbered(folder, suffix string) (numbers []int, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.Atoi(base); ok && err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// List gives the newest version of each definition, by name.
func (dir Dir) List() (all []*Definition, err error) {
	entries, err := os.ReadDir(string(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || checkName(e.Name()) != nil {
			continue
		}
		d, err := dir.Get(e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// Get reads NAME, its newest version, or NAME@VERSION.
func (dir Dir) Get(ref string) (*Definition, error) {
	name, at, exact := strings.Cut(ref, "@")
	versions, err := dir.Versions(name)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("there is no definition %s in %s; 'hearth os-def list' shows those there are", name, dir)
	}
	version := versions[len(versions)-1]
	if exact {
		n, err := strconv.Atoi(at)
		if err != nil || !slices.Contains(versions, n) {
			return nil, fmt.Errorf("definition %s has no version %q; it has %d to %d", name, at, versions[0], version)
		}
		version = n
	}
	return Read(filepath.Join(string(dir), name, strconv.Itoa(version)+".yaml"))
}

// Read reads a definition from a file: YAML or JSON, or settings of
// ganeti-instance-image, which then have the file's name.
func Read(path string) (*Definition, error) {
	b, err := disk.ReadText(path, maxFile)
	if err != nil {
		return nil, err
	}
	d, err := parse(NameOf(path), path, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func parse(name, path string, b []byte) (*Definition, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
	default:
		return Import(name, string(b))
	}
	d := &Definition{}
	in := yaml.NewDecoder(bytes.NewReader(b))
	in.KnownFields(true)
	if err := in.Decode(d); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, plain(err)
	}
	if d.Name == "" {
		d.Name = name
	}
	return d, d.Check()
}

var (
	unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongKind    = regexp.MustCompile(`cannot unmarshal !!\w+ (.*?) ?into \S+`)
)

// plain says what the YAML library complains of without the names of Go.
func plain(err error) error {
	all := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		all = typed.Errors
	}
	for i, s := range all {
		all[i] = wrongKind.ReplaceAllString(unknownField.ReplaceAllString(s, "there is no field $1"), "$1 is not what belongs there")
	}
	return errors.New(strings.Join(all, "; "))
}

// Decode reads a definition in JSON.
func Decode(b []byte) (*Definition, error) { return parse("", "definition.json", b) }

// NameOf is what a definition from a file of settings is called: the variant's
// name, or "default" for the file of defaults.
func NameOf(path string) string {
	base := filepath.Base(path)
	if base == "ganeti-instance-image" {
		return "default"
	}
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// Changed is one setting that differs.
type Changed struct{ Name, Was, Is string }

// Diff says what differs between two definitions, defaults and all.
func Diff(a, b *Definition) (list []Changed) {
	was, is := lines(a), lines(b)
	for _, s := range is {
		old, _ := lookup(was, s.Name)
		if old != s.Value {
			list = append(list, Changed{s.Name, old, s.Value})
		}
	}
	for _, s := range was {
		if _, ok := lookup(is, s.Name); !ok {
			list = append(list, Changed{Name: s.Name, Was: s.Value})
		}
	}
	return list
}

func lookup(list []Setting, name string) (string, bool) {
	i := slices.IndexFunc(list, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return "", false
	}
	return list[i].Value, true
}

// lines are all that a definition says.
func lines(d *Definition) []Setting {
	if d.Foreign != nil {
		return d.Foreign.lines()
	}
	list := d.List(true)
	for _, f := range features {
		list = append(list, Setting{"feature " + f, strconv.FormatBool(d.On(f))})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Hooks)) {
		list = append(list, Setting{"hook " + name, d.Hooks[name]})
	}
	list = append(list, Setting{"keep_size", strconv.FormatBool(d.Keep)})
	if d.Layout != nil {
		b, _ := json.Marshal(d.Layout)
		list = append(list, Setting{"layout", string(b)})
	}
	return list
}
