package schedule

import (
	"strings"

	"hearth/internal/cloud"
)

// Lacks is the first, by name, of a volume type's extra specs that a pool does not
// fulfil; "" when it fulfils them. Scopes but "capabilities" are words between the
// operator and something else.
func Lacks(p cloud.PoolStatus, specs map[string]string) string {
	have, lacks := p.Capabilities(), ""
	for name, want := range specs {
		scope, key, scoped := strings.Cut(name, ":")
		switch {
		case scoped && scope != "capabilities":
			continue
		case !scoped:
			key = name
		}
		value, known := have[key]
		if word := key + " " + want; !(known && Fulfils(value, want)) && (lacks == "" || word < lacks) {
			lacks = word
		}
	}
	return lacks
}
