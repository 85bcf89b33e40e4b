package zfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hearth/internal/cloud"
)

// fakeZFS answers as zfs(8) and zpool(8) do, as far as the driver asks: with the rules of what is
// whose clone, and the words of OpenZFS 2.1. What it gets wrong the suite in a guest tells
// (guest_test.go).
type fakeZFS struct {
	mu      sync.Mutex
	dir     string // of devices, which are files
	state   map[string]string
	volumes map[string]*fakeVolume
	txg     int
	said    []string // the commands that changed something
	left    int      // how many more may; negative for any number. Then the process is dead
	busy    int      // how often a destroy finds the device open
	opened  string   // who has devices open
	refused string   // a command that fails
}

type fakeVolume struct {
	name        string
	props       map[string]string
	size, block int64
	origin      *fakeSnapshot
	snaps       []*fakeSnapshot
}

type fakeSnapshot struct {
	of       *fakeVolume
	name     string
	props    map[string]string
	txg      int
	deferred bool
	data     []byte
}

func newFakeZFS(t *testing.T) *fakeZFS {
	t.Helper()
	f := &fakeZFS{dir: t.TempDir(), volumes: map[string]*fakeVolume{}, left: -1, state: map[string]string{
		"type": "filesystem", "used": "1000000", "available": "100000000000", "keystatus": "-", "health": "ONLINE", "readonly": "off", "volmode": "dev",
	}}
	if err := os.MkdirAll(filepath.Join(f.dir, "tank/hearth"), 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fakeZFS) path(volume string) string { return filepath.Join(f.dir, volume) }

func (f *fakeZFS) appear(_ context.Context, volume string) (string, error) {
	_, err := os.Stat(f.path(volume))
	return f.path(volume), err
}

func (f *fakeZFS) settle(context.Context) {}

func (f *fakeZFS) user(string) (string, error) { return f.opened, nil }

var errDead = errors.New("the process is dead")

func (f *fakeZFS) run(ctx context.Context, name string, args ...string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return "", told(ctx, "zfs", "", ctx.Err())
	}
	if name == "zpool" {
		return f.state["health"] + "\t" + f.state["readonly"] + "\n", nil
	}
	if args[0] == "get" {
		return f.get(args)
	}
	if f.left == 0 {
		return "", errDead
	}
	f.left--
	f.said = append(f.said, strings.Join(args, " "))
	said := "cannot " + args[0] + ": pool I/O error"
	if f.refused != args[0] {
		said = f.change(args)
	}
	if said != "" {
		return "", told(ctx, "zfs "+args[0], said, errors.New("exit status 1"))
	}
	return "", nil
}

func (f *fakeZFS) get(args []string) (string, error) {
	of := args[len(args)-1]
	if !slices.Contains(args, "-d") {
		var b strings.Builder
		for _, p := range strings.Split(args[len(args)-2], ",") {
			fmt.Fprintf(&b, "%s\t%s\n", p, f.state[p])
		}
		return b.String(), nil
	}
	if f.volumes[of] == nil && of != "tank/hearth" {
		return "", cloud.E("storage.zfs", cloud.NotFound, "cannot open '%s': dataset does not exist", of)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f.volumes)) {
		if v := f.volumes[name]; name == of || strings.HasPrefix(name, of+"/") {
			f.print(&b, v)
		}
	}
	return b.String(), nil
}

// print writes the lines of a volume and its snapshots.
func (f *fakeZFS) print(b *strings.Builder, v *fakeVolume) {
	line := func(name, p, native, own, inherited string) {
		value, source := native, "-"
		if strings.Contains(p, ":") {
			switch {
			case own != "":
				value, source = own, "local"
			case inherited != "":
				value, source = inherited, "inherited from "+v.name
			}
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\n", name, p, cmp.Or(value, "-"), source)
	}
	native := map[string]string{"volsize": strconv.FormatInt(v.size, 10), "volblocksize": strconv.FormatInt(v.block, 10), "createtxg": "1"}
	for p := range strings.SplitSeq(asked, ",") {
		line(v.name, p, native[p], v.props[p], "")
	}
	for _, s := range v.snaps {
		native := map[string]string{"volsize": "1", "createtxg": strconv.Itoa(s.txg), "defer_destroy": map[bool]string{true: "on", false: "off"}[s.deferred], "clones": strings.Join(f.clones(s), ",")}
		for p := range strings.SplitSeq(asked, ",") {
			line(v.name+"@"+s.name, p, native[p], s.props[p], v.props[p])
		}
	}
}

func (f *fakeZFS) clones(s *fakeSnapshot) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(f.volumes)) {
		if f.volumes[name].origin == s {
			out = append(out, name)
		}
	}
	return out
}

// change runs a command, and gives what it says when it fails.
func (f *fakeZFS) change(args []string) string {
	f.txg++
	props, words := map[string]string{}, []string{}
	flags := ""
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-o":
			i++
			k, v, _ := strings.Cut(args[i], "=")
			props[k] = v
		case a == "-V" || a == "-b":
			i++
			props[a] = args[i]
		case strings.HasPrefix(a, "-"):
			flags += a
		default:
			words = append(words, a)
		}
	}
	switch args[0] {
	case "create":
		return f.create(words[0], props)
	case "snapshot":
		return f.snapshot(words[0], props)
	case "clone":
		return f.clone(words[0], words[1], props)
	case "destroy":
		return f.destroy(words[0], flags == "-d")
	case "promote":
		return f.promote(words[0])
	case "rename":
		return f.rename(words[0], words[1])
	case "set":
		return f.set(words)
	}
	return "unrecognized command '" + args[0] + "'"
}

func (f *fakeZFS) create(name string, props map[string]string) string {
	if f.volumes[name] != nil {
		return "cannot create '" + name + "': dataset already exists"
	}
	v := &fakeVolume{name: name, props: props, size: number(props["-V"]), block: number(props["-b"])}
	if v.size%v.block != 0 {
		return "cannot create '" + name + "': volume size must be a multiple of volume block size"
	}
	f.volumes[name] = v
	return f.write(v, nil)
}

func (f *fakeZFS) write(v *fakeVolume, data []byte) string {
	if err := errors.Join(os.WriteFile(f.path(v.name), data, 0o600), os.Truncate(f.path(v.name), v.size)); err != nil {
		return err.Error()
	}
	return ""
}

func (f *fakeZFS) snap(name string) (*fakeVolume, *fakeSnapshot, string) {
	volume, snap, _ := strings.Cut(name, "@")
	v := f.volumes[volume]
	if v == nil {
		return nil, nil, snap
	}
	i := slices.IndexFunc(v.snaps, func(s *fakeSnapshot) bool { return s.name == snap })
	if i < 0 {
		return v, nil, snap
	}
	return v, v.snaps[i], snap
}

func (f *fakeZFS) snapshot(name string, props map[string]string) string {
	v, s, snap := f.snap(name)
	if v == nil {
		return "cannot open '" + name + "': dataset does not exist"
	}
	if s != nil {
		return "cannot create snapshot '" + name + "': dataset already exists"
	}
	data, err := os.ReadFile(f.path(v.name))
	if err != nil {
		return err.Error()
	}
	v.snaps = append(v.snaps, &fakeSnapshot{of: v, name: snap, props: props, txg: f.txg, data: data})
	return ""
}

func (f *fakeZFS) clone(from, name string, props map[string]string) string {
	v, s, _ := f.snap(from)
	if s == nil {
		return "cannot open '" + from + "': dataset does not exist"
	}
	if f.volumes[name] != nil {
		return "cannot create '" + name + "': dataset already exists"
	}
	f.volumes[name] = &fakeVolume{name: name, props: props, size: int64(len(s.data)), block: v.block, origin: s}
	return f.write(f.volumes[name], s.data)
}

func (f *fakeZFS) destroy(name string, deferred bool) string {
	if volume, snaps, is := strings.Cut(name, "@"); is {
		for _, one := range strings.Split(snaps, ",") {
			v, s, _ := f.snap(volume + "@" + one)
			switch {
			case s == nil:
				return "could not find any snapshots to destroy; check snapshot names."
			case len(f.clones(s)) == 0:
				v.without(s)
			case !deferred:
				return "cannot destroy '" + name + "': snapshot has dependent clones"
			default:
				s.deferred = true
			}
		}
		return ""
	}
	v := f.volumes[name]
	switch {
	case v == nil:
		return "cannot open '" + name + "': dataset does not exist"
	case len(v.snaps) > 0:
		return "cannot destroy '" + name + "': volume has children"
	case f.busy > 0:
		f.busy--
		return "cannot destroy '" + name + "': dataset is busy"
	}
	delete(f.volumes, name)
	if v.origin != nil && v.origin.deferred && len(f.clones(v.origin)) == 0 {
		v.origin.of.without(v.origin)
	}
	if err := os.Remove(f.path(name)); err != nil {
		return err.Error()
	}
	return ""
}

func (v *fakeVolume) without(s *fakeSnapshot) {
	v.snaps = slices.DeleteFunc(v.snaps, func(x *fakeSnapshot) bool { return x == s })
}

func (f *fakeZFS) promote(name string) string {
	v := f.volumes[name]
	if v == nil || v.origin == nil {
		return "cannot promote '" + name + "': not a cloned filesystem"
	}
	old, origin := v.origin.of, v.origin
	var moved, stay []*fakeSnapshot
	for _, s := range old.snaps {
		if s.txg > origin.txg {
			stay = append(stay, s)
			continue
		}
		if _, there, _ := f.snap(name + "@" + s.name); there != nil {
			return "cannot promote '" + name + "': snapshot name '" + s.name + "' from origin \nconflicts with '" + s.name + "' from target"
		}
		s.of = v
		moved = append(moved, s)
	}
	v.snaps, old.snaps = append(moved, v.snaps...), stay
	v.origin, old.origin = old.origin, origin
	return ""
}

func (f *fakeZFS) rename(from, to string) string {
	v := f.volumes[from]
	if v == nil {
		return "cannot open '" + from + "': dataset does not exist"
	}
	if f.volumes[to] != nil {
		return "cannot rename '" + from + "': dataset already exists"
	}
	delete(f.volumes, from)
	v.name, f.volumes[to] = to, v
	if err := os.Rename(f.path(from), f.path(to)); err != nil {
		return err.Error()
	}
	return ""
}

func (f *fakeZFS) set(words []string) string {
	name := words[len(words)-1]
	v := f.volumes[name]
	if v == nil {
		return "cannot open '" + name + "': dataset does not exist"
	}
	for _, w := range words[:len(words)-1] {
		k, value, _ := strings.Cut(w, "=")
		if k != "volsize" {
			v.props[k] = value
			continue
		}
		if v.size = number(value); v.size%v.block != 0 {
			return "cannot set property for '" + name + "': 'volsize' must be a multiple of volume block size (16K)"
		}
		if err := os.Truncate(f.path(name), v.size); err != nil {
			return err.Error()
		}
	}
	return ""
}
