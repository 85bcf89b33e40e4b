package glance

import (
	"encoding/csv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// Limits of a page (glance's limit_param_default and api_limit_max).
const (
	pageSize = 25
	pageMost = 1000
)

func (h handlers) list(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	f, err := parseFilter(q)
	if err != nil {
		return nil, err
	}
	images, more := []cloud.Image(nil), false
	if q.Get("limit") != "0" {
		if images, more, err = h.images.List(r.Context(), r.Caller, f); err != nil {
			return nil, err
		}
	}
	list := make([]wire.M, len(images))
	for i := range images {
		list[i] = render(images[i])
	}
	body := wire.M{"images": list, "schema": "/v2/schemas/images"}
	q.Del("marker")
	body["first"] = link(q)
	if more {
		q.Set("marker", images[len(images)-1].ID)
		body["next"] = link(q)
	}
	return wire.JSON(body), nil
}

func link(q url.Values) string {
	if len(q) == 0 {
		return "/v2/images"
	}
	return "/v2/images?" + q.Encode()
}

func invalid(format string, args ...any) error {
	return cloud.E("glance.list", cloud.Invalid, format, args...)
}

// parseFilter reads what is asked for. What it does not know is a property.
func parseFilter(q url.Values) (image.Filter, error) {
	page, err := wire.ParsePage(url.Values{"limit": q["limit"], "marker": q["marker"]}, pageMost)
	f := image.Filter{Marker: page.Marker, Limit: page.Limit, Equal: map[string][]string{}, Properties: map[string]string{}}
	if err != nil {
		return f, err
	}
	if q.Get("limit") == "" {
		f.Limit = pageSize
	}
	if f.Sort, err = parseSort(q); err != nil {
		return f, err
	}
	for name, values := range wire.Filters(q) {
		for _, value := range values {
			if err := addFilter(&f, name, value); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

func addFilter(f *image.Filter, name, value string) (err error) {
	switch name {
	case "id", "name", "status", "container_format", "disk_format":
		f.Equal[name], err = anyOf(value)
	case "visibility":
		f.Visibility = cloud.Visibility(value)
		if !slices.Contains([]string{"public", "private", "shared", "community", "all"}, value) {
			err = invalid("Invalid visibility value: %s", value)
		}
	case "member_status":
		f.MemberStatus = value
		if !slices.Contains([]string{"pending", "accepted", "rejected", "all"}, value) {
			err = invalid("Invalid status: %s", value)
		}
	case "owner":
		f.Owner = value
	case "os_hidden":
		f.Hidden, err = wire.ParseBool(name, value)
	case "protected":
		var b bool
		b, err = wire.ParseBool(name, value)
		f.Protected = &b
	case "tag":
		f.Tags = append(f.Tags, value)
	case "created_at", "updated_at":
		err = addTime(f, name, value)
	case "size", "size_min", "size_max":
		err = bound(&f.Sizes, name, "size", value)
	case "min_disk":
		err = bound(&f.MinDisk, name, name, value)
	case "min_ram":
		err = bound(&f.MinRAM, name, name, value)
	default:
		f.Properties[name] = value
	}
	return err
}

// bound narrows a range: from below by …_min, from above by …_max, else to one
// number.
func bound(r *image.Range, name, exact, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return invalid("Invalid filter value %s: it must be a whole number that is not negative", name)
	}
	if name != exact+"_max" {
		r.Min = &n
	}
	if name != exact+"_min" {
		r.Max = &n
	}
	return nil
}

// anyOf reads a value, or several: in:a,"b,c".
func anyOf(value string) ([]string, error) {
	if plain, ok := strings.CutPrefix(value, "eq:"); ok {
		return []string{plain}, nil
	}
	several, ok := strings.CutPrefix(value, "in:")
	if !ok {
		return []string{value}, nil
	}
	list, err := csv.NewReader(strings.NewReader(several)).Read()
	if err != nil {
		return nil, invalid("Invalid filter value %s: %v", value, err)
	}
	return list, nil
}

// operators are those of times.
var operators = []string{image.After, image.NotBefore, image.Before, image.NotAfter, image.At, image.NotAt}

// layouts are ISO 8601 as people write it.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"}

// addTime reads a time with an operator before it, such as
// gte:2026-01-02T03:04:05Z. Without one the time must be equal.
func addTime(f *image.Filter, name, value string) error {
	text, op := value, image.At
	if before, after, ok := strings.Cut(value, ":"); ok && slices.Contains(operators, before) {
		op, text = before, after
	} else if ok && strings.Trim(before, "abcdefghijklmnopqrstuvwxyz") == "" {
		return invalid("Unable to filter by unknown operator '%s'.", before)
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			f.Times = append(f.Times, image.TimeCond{Field: name, Op: op, At: at})
			return nil
		}
	}
	return invalid("Invalid time format for %s: %s", name, text)
}

// parseSort reads sort_key and sort_dir, each repeated, or sort=key:dir,key.
// Without a direction, glance sorts downwards.
func parseSort(q url.Values) ([]image.Sort, error) {
	page, err := wire.ParsePage(url.Values{"sort": q["sort"], "sort_key": q["sort_key"], "sort_dir": q["sort_dir"]}, 0)
	if err != nil {
		return nil, err
	}
	if q.Get("sort") != "" && (len(q["sort_key"]) > 0 || len(q["sort_dir"]) > 0) {
		return nil, invalid("Old and new sorting syntax cannot be combined")
	}
	said := q["sort_dir"]
	for _, dir := range said {
		if dir != "asc" && dir != "desc" {
			return nil, invalid("Invalid sort direction: %s. It must be one of the following: asc, desc.", dir)
		}
	}
	if q.Get("sort") != "" {
		said = strings.Split(q.Get("sort"), ",")
	}
	keys := page.Sort
	if len(keys) == 0 && len(said) > 0 { // only a direction: of the usual key
		return []image.Sort{{Key: "created_at", Desc: said[0] != "asc"}}, nil
	}
	sort := make([]image.Sort, len(keys))
	for i, k := range keys {
		spoken := i < len(said) || len(said) == 1
		if q.Get("sort") != "" {
			spoken = strings.Contains(said[i], ":")
		}
		sort[i] = image.Sort{Key: k.Key, Desc: k.Desc || !spoken}
	}
	return sort, nil
}
