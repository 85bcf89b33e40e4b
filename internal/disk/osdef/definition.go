package osdef

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Definition says how instances are made. The zero one is ganeti-instance-image's
// with Hearth's own features on.
type Definition struct {
	Name    string `json:"name" yaml:"name"`
	Version int    `json:"version" yaml:"version"` // from 1; each change makes the next
	// Settings are those that were said, by ganeti-instance-image's names.
	Settings map[string]string `json:"settings" yaml:"settings"`
	// Extra are those it does not know: hooks get them.
	Extra map[string]string `json:"extra,omitempty" yaml:"extra,omitempty"`
	// Features are Hearth's in place of the hooks that ganeti-instance-image ships;
	// one that is not named is on.
	Features map[string]bool `json:"features,omitempty" yaml:"features,omitempty"`
	Layout   *Layout         `json:"layout,omitempty" yaml:"layout,omitempty"` // nil: the one that SWAP and the kernel's place ask for
	// Hooks are scripts by their names, which run as those of CUSTOMIZE_DIR do, after
	// them: they travel with the definition.
	Hooks map[string]string `json:"hooks,omitempty" yaml:"hooks,omitempty"`
	Keep  bool              `json:"keep_size,omitempty" yaml:"keep_size,omitempty"`
	// Foreign is a definition of somebody else, whose scripts are run in place of all
	// the above, which it has none of; nil for one of ours.
	Foreign *Foreign `json:"foreign,omitempty" yaml:"foreign,omitempty"`
}

// Layout is a partition table of one's own.
type Layout struct {
	Table      string      `json:"table" yaml:"table"` // "mbr" or "gpt"
	Partitions []Partition `json:"partitions" yaml:"partitions"`
}

// Partition is one of a [Layout]; the last may have Size 0: all that is left.
type Partition struct {
	Mount      string `json:"mount,omitempty" yaml:"mount,omitempty"`           // "/", "/boot" …; "swap"; "bios" for GRUB in a GPT; "" for an empty one
	Size       int64  `json:"size_mb,omitempty" yaml:"size_mb,omitempty"`       // MiB
	FileSystem string `json:"filesystem,omitempty" yaml:"filesystem,omitempty"` // "": FILESYSTEM
	Boot       bool   `json:"boot,omitempty" yaml:"boot,omitempty"`             // the boot flag of an MBR
}

// features are what a definition can turn off: what the hooks that
// ganeti-instance-image ships did.
var features = []string{"cloud-init", "grub", "interfaces", "overlays", "ssh"}

// Import makes a definition of files of settings, the later over the earlier: the
// defaults file, then that of a variant, which may use what the defaults assign.
func Import(name string, texts ...string) (*Definition, error) {
	d, vars := &Definition{Name: name, Settings: map[string]string{}}, map[string]string{}
	for _, text := range texts {
		all, err := parseSettings(text, vars)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if err := d.Set(s.Name, s.Value); err != nil {
				return nil, err
			}
		}
	}
	return d, d.Check()
}

// Set changes one setting.
func (d *Definition) Set(name, value string) error {
	k := find(name)
	if k == nil {
		if d.Extra == nil {
			d.Extra = map[string]string{}
		}
		d.Extra[name] = value
		return nil
	}
	if value == "" { // as in the shell's ${NAME:=default}
		delete(d.Settings, name)
		return nil
	}
	if k.check != nil {
		if err := k.check(value); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	if d.Settings == nil {
		d.Settings = map[string]string{}
	}
	d.Settings[name] = value
	return nil
}

// Check holds a definition that was read against what may be said.
func (d *Definition) Check() error {
	if err := checkName(d.Name); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		if find(name) == nil {
			return fmt.Errorf("there is no setting %s; what hooks alone need stands under extra", name)
		}
		if err := (&Definition{}).Set(name, d.Settings[name]); err != nil {
			return err
		}
	}
	for name := range d.Extra {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r > '~' || !nameByte(byte(r), false) }) {
			return fmt.Errorf("%q is no name of a variable", name)
		}
	}
	for name, text := range d.Hooks {
		if !hookName(name) || len(text) > maxHook || !strings.HasPrefix(text, "#!") {
			return fmt.Errorf("the hook %q has a name of letters, digits, _ and -, begins with #! and has at most %d bytes", name, maxHook)
		}
	}
	for name := range d.Features {
		if !slices.Contains(features, name) {
			return fmt.Errorf("there is no feature %q; there are %s", name, strings.Join(features, ", "))
		}
	}
	if d.Foreign != nil {
		if len(d.Settings)+len(d.Extra)+len(d.Features)+len(d.Hooks) > 0 || d.Layout != nil || d.Keep {
			return fmt.Errorf("a foreign definition has scripts of its own, and none of our settings, features, hooks or layouts")
		}
		return d.Foreign.check()
	}
	return d.Layout.check()
}

const maxHook = 64 << 10

func hookName(name string) bool {
	return name != "" && len(name) < 100 && !strings.ContainsFunc(name, func(r rune) bool { return r > '~' || r != '-' && !nameByte(byte(r), false) })
}

func checkName(name string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-", r)
	}
	if name == "" || len(name) > 100 || name[0] == '.' || strings.ContainsFunc(name, func(r rune) bool { return !ok(r) }) {
		return fmt.Errorf("%q is no name of a definition: letters, digits, and ._+-", name)
	}
	return nil
}

func (l *Layout) check() error {
	if l == nil {
		return nil
	}
	if l.Table != "mbr" && l.Table != "gpt" || len(l.Partitions) == 0 || len(l.Partitions) > 128 || l.Table == "mbr" && len(l.Partitions) > 4 {
		return fmt.Errorf("the layout has a table mbr with up to four partitions, or gpt with up to 128; not %q with %d", l.Table, len(l.Partitions))
	}
	mounts := map[string]bool{}
	for i, p := range l.Partitions {
		if p.Size < 0 || p.Size > 16<<20 || p.Size == 0 && i+1 < len(l.Partitions) {
			return fmt.Errorf("partition %d has no size_mb; only the last may take what is left", i+1)
		}
		if err := fileSystem(p.FileSystem); p.FileSystem != "" && err != nil {
			return fmt.Errorf("the filesystem of partition %d %w", i+1, err)
		}
		if strings.HasPrefix(p.Mount, "/") && mounts[p.Mount] {
			return fmt.Errorf("%s is there twice", p.Mount)
		}
		if !strings.HasPrefix(p.Mount, "/") && oneOf("", "swap", "bios")(p.Mount) != nil || strings.ContainsAny(p.Mount, " \t\n") || strings.Contains(p.Mount, "..") {
			return fmt.Errorf("partition %d cannot be mounted at %q", i+1, p.Mount)
		}
		mounts[p.Mount] = true
	}
	if !mounts["/"] {
		return fmt.Errorf("the layout has no partition for /")
	}
	return nil
}

// On tells whether a feature is on.
func (d *Definition) On(feature string) bool {
	on, said := d.Features[feature]
	return on || !said
}

// Full is the definition with all its defaults, for people.
func (d *Definition) Full() *Definition {
	full := *d
	full.Settings, full.Features = map[string]string{}, map[string]bool{}
	if d.Foreign != nil {
		return &full
	}
	for _, k := range settings() {
		full.Settings[k.name] = k.def
	}
	maps.Copy(full.Settings, d.Settings)
	for _, f := range features {
		full.Features[f] = d.On(f)
	}
	return &full
}

// List gives settings, with their defaults if full, in the order they are documented,
// and then what is extra by name.
func (d *Definition) List(full bool) (list []Setting) {
	if d.Foreign != nil {
		return nil
	}
	for _, k := range settings() {
		v, said := d.Settings[k.name]
		if !said {
			v = k.def
		}
		if said || full {
			list = append(list, Setting{k.name, v})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Extra)) {
		list = append(list, Setting{name, d.Extra[name]})
	}
	return list
}
