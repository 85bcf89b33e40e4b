package keystone

import (
	"net/url"
	"strings"

	"hearth/internal/openstack/wire"
)

// comparators are the inexact filters of keystone's lists: NAME__contains=TEXT.
// With an i before, as in NAME__icontains, case does not count.
var comparators = map[string]func(s, part string) bool{
	"contains": strings.Contains, "startswith": strings.HasPrefix, "endswith": strings.HasSuffix,
}

// compared tells whether a rendered resource passes a query's inexact filters.
// Like keystone it takes no notice of those for what is no text of it.
func compared(m wire.M, q url.Values) bool {
	for key, values := range q {
		name, how, ok := strings.Cut(key, "__")
		text, isText := m[name].(string)
		if !ok || !isText {
			continue
		}
		part := values[0]
		compare := comparators[how]
		if plain, fold := strings.CutPrefix(how, "i"); fold {
			compare, text, part = comparators[plain], strings.ToLower(text), strings.ToLower(part)
		}
		if compare != nil && !compare(text, part) {
			return false
		}
	}
	return true
}
