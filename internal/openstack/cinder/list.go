package cinder

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// notFilters are the query parameters that are no filters.
var notFilters = []string{"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count", "is_public", "usage", "detail"}

// parseList reads what of a list is wanted. Filters are those named; others are
// left out, as cinder does before 3.31, and refused after it.
func parseList(r *wire.Request, filters ...string) (volume.List, error) {
	q := r.URL.Query()
	l := volume.List{Marker: q.Get("marker"), Limit: maxLimit, Equal: map[string]string{}, Like: map[string]string{}}
	for name, into := range map[string]*int{"limit": &l.Limit, "offset": &l.Offset} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 0 {
			return l, cloud.E("cinder.list", cloud.Invalid, "Invalid input received: %s param must be an integer that is not negative, not %s", name, q.Get(name))
		}
		*into = n
	}
	l.Limit = min(l.Limit, maxLimit)
	if q.Has("all_tenants") {
		all, err := wire.ParseBool("all_tenants", q.Get("all_tenants"))
		if err != nil {
			return l, err
		}
		l.All, l.Project = all, q.Get("project_id")
	}
	page, err := wire.ParsePage(withoutNumbers(q), 0)
	if err != nil {
		return l, err
	}
	for _, s := range page.Sort {
		desc := s.Desc || !strings.Contains(q.Get("sort"), s.Key+":") && q.Get("sort_dir") == "" // cinder's default direction
		l.Sort = append(l.Sort, volume.Sort{Key: s.Key, Desc: desc})
	}
	return l, addFilters(r, q, &l, filters)
}

// publicFilter reads which types a list is of: public ones, unless an admin asks
// for others (is_public=false) or for all (None), which is nil.
func publicFilter(r *wire.Request) (*bool, error) {
	public := true
	text := r.URL.Query().Get("is_public")
	switch {
	case text == "" || !r.Caller.IsAdmin():
		return &public, nil
	case text == "None" || text == "none":
		return nil, nil
	}
	public, err := wire.ParseBool("is_public", text)
	return &public, err
}

func withoutNumbers(q url.Values) url.Values {
	out := url.Values{}
	for _, name := range []string{"sort", "sort_key", "sort_dir"} {
		if q.Has(name) {
			out[name] = q[name]
		}
	}
	return out
}

func addFilters(r *wire.Request, q url.Values, l *volume.List, filters []string) error {
	for name := range q {
		value := q.Get(name)
		plain, like := strings.CutSuffix(name, "~")
		switch {
		case slices.Contains(notFilters, name) || name == "project_id" && l.All:
		case (plain == "created_at" || plain == "updated_at") && r.Version.AtLeast(60):
			if err := addTimes(l, plain, value); err != nil {
				return err
			}
		case !slices.Contains(filters, plain):
			if r.Version.AtLeast(31) {
				return cloud.E("cinder.list", cloud.Invalid, "Invalid filters %s are found in query options.", plain)
			}
		case plain == "glance_metadata":
			m, err := parseDict(value)
			if err != nil {
				return err
			}
			l.Image = m
		case plain == "metadata":
			m, err := parseDict(value)
			if err != nil {
				return err
			}
			l.Metadata = m
		case like && r.Version.AtLeast(34):
			l.Like[plain] = value
		default:
			l.Equal[plain] = value
		}
	}
	return nil
}

// addTimes reads conditions such as gte:2026-01-02T03:04:05,lt:2026-02-01.
func addTimes(l *volume.List, field, text string) error {
	for part := range strings.SplitSeq(text, ",") {
		op, at, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !slices.Contains([]string{"gt", "gte", "lt", "lte", "eq", "neq"}, op) {
			op, at = "eq", strings.TrimSpace(part)
		}
		moment, err := parseTime(at)
		if err != nil {
			return cloud.E("cinder.list", cloud.Invalid, "Invalid input for field/attribute %s. Value: %s. It is not a time", field, text)
		}
		l.Times = append(l.Times, volume.TimeCond{Field: field, Op: op, At: moment})
	}
	return nil
}

func parseTime(text string) (t time.Time, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05.999999", "2006-01-02"} {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, err
}

// parseDict reads a dictionary of texts as Python prints it, {'a': 'b'}, or as
// JSON.
func parseDict(text string) (map[string]string, error) {
	var m map[string]string
	if json.Unmarshal([]byte(text), &m) == nil {
		return m, nil
	}
	if json.Unmarshal([]byte(pythonToJSON(text)), &m) == nil {
		return m, nil
	}
	return nil, cloud.E("cinder.list", cloud.Invalid, "Invalid input for field/attribute metadata. Value: %s. It is not a dictionary of texts", text)
}

// pythonToJSON turns texts in single quotes into JSON's.
func pythonToJSON(text string) string {
	var b strings.Builder
	quote := rune(0)
	escaped := false
	for _, c := range text {
		switch {
		case escaped:
			if c != '\'' {
				b.WriteRune('\\')
			}
			b.WriteRune(c)
			escaped = false
		case c == '\\' && quote != 0:
			escaped = true
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
			b.WriteRune('"')
		case quote == 0 && c == 'u': // u'text' of old
		case quote != 0 && c == quote:
			quote = 0
			b.WriteRune('"')
		case quote == '\'' && c == '"':
			b.WriteString(`\"`)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// listBody is a list with its link to the next page, and its count if asked for.
func listBody[T any](r *wire.Request, name string, items []T, more bool, total int, id func(T) string, view func(T) wire.M) *wire.Response {
	list := []wire.M{}
	for _, v := range items {
		list = append(list, view(v))
	}
	body := wire.M{name: list}
	if more && len(items) > 0 {
		body[name+"_links"] = []wire.M{{"rel": "next", "href": r.NextLink(id(items[len(items)-1]))}}
	}
	if count, err := wire.ParseBool("with_count", r.URL.Query().Get("with_count")); err == nil && count && total >= 0 && r.Version.AtLeast(45) {
		body["count"] = total
	}
	return wire.JSON(body)
}
