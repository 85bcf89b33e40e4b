package nova

import (
	_ "embed" // the table of extra specs
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// extraSpecTable is what nova documents of extra specs (Extra Specs, in its
// configuration guide): names, some with a pattern in them, and their values.
//
//go:embed extra_specs.json
var extraSpecTable []byte

// extraSpec is one of the table.
type extraSpec struct {
	Name, Type, Pattern string
	Enum                []string
	Min, Max            *int
	name, value         *regexp.Regexp
}

// extraSpecs reads the table once.
var extraSpecs = sync.OnceValues(func() ([]extraSpec, error) {
	var all []extraSpec
	if err := json.Unmarshal(extraSpecTable, &all); err != nil {
		return nil, err
	}
	for i := range all {
		var err error
		if all[i].name, err = regexp.Compile("^(?:" + all[i].Name + ")$"); err != nil {
			return nil, err
		}
		if all[i].value, err = regexp.Compile("^(?:" + all[i].Pattern + ")$"); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// checkSpecs refuses, from 2.86 on, extra specs with values that they do not have,
// and unknown ones in the namespaces of nova.
func checkSpecs(r *wire.Request, specs map[string]string) error {
	const op = "nova.extraSpecs"
	if !r.Version.AtLeast(86) {
		return nil
	}
	all, err := extraSpecs()
	if err != nil {
		return cloud.E(op, cloud.Internal, "%w", err)
	}
	for name, value := range specs {
		if i := slices.IndexFunc(all, func(s extraSpec) bool { return s.name.MatchString(name) }); i >= 0 {
			if err := all[i].check(value); err != nil {
				return err
			}
			continue
		}
		namespace, _, ok := strings.Cut(name, ":")
		if ok && slices.ContainsFunc(all, func(s extraSpec) bool { return strings.HasPrefix(s.Name, namespace+":") }) {
			return cloud.E(op, cloud.Invalid, "Validation failed; extra spec '%s' does not appear to be a valid extra spec.", name)
		}
	}
	return nil
}

// check holds a value against what the extra spec has.
func (s extraSpec) check(value string) error {
	refuse := func(format string, args ...any) error {
		return cloud.E("nova.extraSpecs", cloud.Invalid, "Validation failed; "+format, args...)
	}
	switch s.Type {
	case "int":
		n, err := strconv.Atoi(strings.TrimSpace(value))
		switch {
		case err != nil:
			return refuse("'%s' is not a valid integer value.", value)
		case s.Max != nil && n > *s.Max:
			return refuse("'%d' is greater than the max value of '%d'.", n, *s.Max)
		case s.Min != nil && n < *s.Min:
			return refuse("'%d' is less than the min value of '%d'.", n, *s.Min)
		}
	case "bool":
		if _, err := wire.ParseBool("", value); err != nil {
			return refuse("'%s' is not a valid boolean-like value.", value)
		}
	default:
		switch {
		case s.Pattern != "" && !s.value.MatchString(value):
			return refuse("'%s' is not of the format '%s'.", value, s.Pattern)
		case s.Pattern == "" && len(s.Enum) > 0 && !slices.Contains(s.Enum, value):
			return refuse("'%s' is not one of: %s.", value, strings.Join(s.Enum, ", "))
		}
	}
	return nil
}
