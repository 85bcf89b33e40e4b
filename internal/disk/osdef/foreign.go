package osdef

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Foreign is a definition of Ganeti's that somebody else wrote, as the head keeps it:
// what its folder says, and which archive holds the folder. Source of the words:
// ganeti-os-interface(7).
type Foreign struct {
	Digest     string      `json:"digest" yaml:"digest"`                                   // of the archive: "sha512:" and 128 hexadecimal digits
	API        []string    `json:"api_versions" yaml:"api_versions"`                       // of ganeti_api_version
	Variants   []string    `json:"variants,omitempty" yaml:"variants,omitempty"`           // of variants.list; the first is the default
	Parameters []Parameter `json:"parameters,omitempty" yaml:"parameters,omitempty"`       // of parameters.list
	Scripts    []string    `json:"scripts" yaml:"scripts"`                                 // those that are there
	Privileged bool        `json:"privileged,omitempty" yaml:"privileged,omitempty"`       // its scripts are root of the node: they make devices, mounts, loops
	Minutes    int         `json:"limit_minutes,omitempty" yaml:"limit_minutes,omitempty"` // how long a script may take; 0: an hour
}

// Parameter is one that a foreign definition takes: its scripts find it as OSP_ and
// the name in capitals.
type Parameter struct {
	Name string `json:"name" yaml:"name"`
	Text string `json:"text,omitempty" yaml:"text,omitempty"`
}

// The bounds of a foreign definition.
const (
	maxWords     = 256
	maxParameter = 64 << 10 // bytes of a value
	maxMinutes   = 24 * 60
)

var (
	digestForm    = regexp.MustCompile(`^sha512:[0-9a-f]{128}$`)
	parameterForm = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)
	versionForm   = regexp.MustCompile(`^[0-9]{1,4}$`)
)

func (f *Foreign) check() error {
	switch {
	case !digestForm.MatchString(f.Digest):
		return fmt.Errorf("the digest of its archive is %.200q, not sha512: and 128 hexadecimal digits", f.Digest)
	case len(f.API) == 0 || len(f.API) > maxWords || len(f.Variants) > maxWords || len(f.Parameters) > maxWords:
		return fmt.Errorf("it has %d versions of Ganeti's interface, %d variants and %d parameters; there is a version, and there are at most %d of each", len(f.API), len(f.Variants), len(f.Parameters), maxWords)
	case !slices.Contains(f.Scripts, "create"):
		return fmt.Errorf("it has no script create")
	case f.Minutes < 0 || f.Minutes > maxMinutes:
		return fmt.Errorf("its limit is %d minutes; it may be up to %d", f.Minutes, maxMinutes)
	}
	for _, v := range f.API {
		if !versionForm.MatchString(v) {
			return fmt.Errorf("%.100q is no version of Ganeti's interface", v)
		}
	}
	for _, v := range f.Variants {
		if checkName(v) != nil {
			return fmt.Errorf("%.100q is no name of a variant: letters, digits, and ._+-", v)
		}
	}
	for _, p := range f.Parameters {
		if !parameterForm.MatchString(p.Name) || len(p.Text) > 4096 {
			return fmt.Errorf("%.100q is no name of a parameter, or its text has more than 4096 bytes", p.Name)
		}
	}
	return nil
}

// Choose checks what a server says for a foreign definition: a variant, "" for the
// first there is, and parameters by their names in any case. It gives the variant and
// the parameters by their names in capitals.
func (f *Foreign) Choose(variant string, said map[string]string) (string, map[string]string, error) {
	switch {
	case variant == "" && len(f.Variants) > 0:
		variant = f.Variants[0]
	case variant != "" && !slices.Contains(f.Variants, variant):
		return "", nil, fmt.Errorf("there is no variant %.100q; there are: %s", variant, listed(f.Variants))
	}
	var names []string
	for _, p := range f.Parameters {
		names = append(names, strings.ToUpper(p.Name))
	}
	all := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		upper, value := strings.ToUpper(name), said[name]
		if !slices.Contains(names, upper) {
			return "", nil, fmt.Errorf("there is no parameter %.100q; there are: %s", name, listed(names))
		}
		if len(value) > maxParameter || strings.Contains(value, "\x00") {
			return "", nil, fmt.Errorf("the parameter %s has more than %d bytes, or a zero byte", upper, maxParameter)
		}
		all[upper] = value
	}
	return variant, all, nil
}

func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// lines are all that it says, for [Diff].
func (f *Foreign) lines() []Setting {
	list := []Setting{{"archive", f.Digest}, {"api_versions", strings.Join(f.API, " ")}, {"variants", strings.Join(f.Variants, " ")}, {"scripts", strings.Join(f.Scripts, " ")},
		{"privileged", strconv.FormatBool(f.Privileged)}, {"limit_minutes", strconv.Itoa(f.Minutes)}}
	for _, p := range f.Parameters {
		list = append(list, Setting{"parameter " + p.Name, p.Text})
	}
	return list
}
