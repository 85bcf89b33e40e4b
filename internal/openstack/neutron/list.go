package neutron

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// narrow gives the part of the filters that the store has indexes for.
func narrow(q url.Values) network.Filter {
	only := func(name string) []string {
		if slices.Contains(q[name], "") {
			return nil
		}
		return q[name]
	}
	nets := only("network_id")
	if nets == nil {
		nets = only("floating_network_id")
	}
	return network.Filter{
		IDs: only("id"), NetworkIDs: nets, DeviceIDs: only("device_id"), GroupIDs: only("security_group_id"), PortIDs: only("port_id"),
	}
}

// checkFilters refuses filters and sort keys that the kind does not have.
func checkFilters(k kind, q url.Values) error {
	var unknown []string
	for name := range wire.Filters(q) {
		if !k.attrs[name].filter {
			unknown = append(unknown, "'"+name+"'")
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return badRequest("[%s] is invalid attribute for filtering", strings.Join(unknown, ", "))
	}
	for _, key := range q["sort_key"] {
		if !k.attrs[key].sort {
			return badRequest("['%s'] is invalid attribute for sort_keys", key)
		}
	}
	if keys, dirs := len(q["sort_key"]), len(q["sort_dir"]); dirs > 0 && keys != dirs {
		return badRequest("The number of sort_keys and sort_dirs must be same")
	}
	return nil
}

// visible is the resource without what is for filters only.
func visible(k kind, item wire.M) wire.M {
	for name, a := range k.attrs {
		if a.hidden {
			delete(item, name)
		}
	}
	return item
}

// answerList filters, sorts, pages and trims a list.
func answerList(r *wire.Request, k kind, q url.Values, items []wire.M) (*wire.Response, error) {
	filters := wire.Filters(q)
	kept := items[:0]
	for _, item := range items {
		if matches(item, filters) {
			kept = append(kept, item)
		}
	}
	page, err := wire.ParsePage(q, 0)
	if err != nil {
		return nil, err
	}
	sortItems(kept, page)
	shown, links, err := paged(r, k, kept, page)
	if err != nil {
		return nil, err
	}
	fields := wire.Fields(q)
	out := make([]wire.M, len(shown))
	for i, item := range shown {
		out[i] = wire.Select(visible(k, item), fields)
	}
	answer := wire.M{k.collection: out}
	if len(links) > 0 {
		answer[k.collection+"_links"] = links
	}
	return wire.JSON(answer), nil
}

// matches tells whether all filters hold for an item.
func matches(item wire.M, filters map[string][]string) bool {
	for name, wanted := range filters {
		var ok bool
		switch name {
		case "fixed_ips":
			ok = matchFixedIPs(item, wanted)
		case "tags", "tags-any", "not-tags", "not-tags-any":
			ok = matchTags(item, name, wanted)
		default:
			ok = matchValue(item[name], wanted)
		}
		if !ok {
			return false
		}
	}
	return true
}

// matchValue tells whether a value is one of the wanted ones.
func matchValue(v any, wanted []string) bool {
	for _, w := range wanted {
		switch x := v.(type) {
		case nil:
			if w == "" {
				return true
			}
		case string:
			if x == w || strings.EqualFold(x, w) && strings.Count(x, ":") == 5 {
				return true
			}
		case bool:
			if b, err := wire.ParseBool("", w); err == nil && b == x {
				return true
			}
		case []string:
			if slices.Contains(x, w) {
				return true
			}
		default:
			if fmt.Sprint(x) == w {
				return true
			}
		}
	}
	return false
}

// matchFixedIPs serves fixed_ips=ip_address=A, =subnet_id=S and
// =ip_address_substr=T: of each of these any may hold, of the same address.
func matchFixedIPs(item wire.M, wanted []string) bool {
	conds := map[string][]string{}
	for _, w := range wanted {
		key, value, _ := strings.Cut(w, "=")
		conds[key] = append(conds[key], value)
	}
	ips, _ := item["fixed_ips"].([]wire.M)
	return slices.ContainsFunc(ips, func(ip wire.M) bool {
		for key, values := range conds {
			ok := slices.ContainsFunc(values, func(v string) bool {
				if key == "ip_address_substr" {
					return strings.Contains(ip["ip_address"].(string), v)
				}
				return ip[key] == v
			})
			if !ok {
				return false
			}
		}
		return true
	})
}

// matchTags serves the four filters by tags, each a list with commas.
func matchTags(item wire.M, name string, wanted []string) bool {
	tags, _ := item["tags"].([]string)
	all, some := true, false
	for _, line := range wanted {
		for t := range strings.SplitSeq(line, ",") {
			has := slices.Contains(tags, t)
			all, some = all && has, some || has
		}
	}
	switch name {
	case "tags":
		return all
	case "tags-any":
		return some
	case "not-tags":
		return !all
	}
	return !some
}

// sortItems orders a list by the keys asked for and then, where there is paging
// or sorting, by id. Without either it stays in the order of age.
func sortItems(items []wire.M, page wire.Page) {
	if len(page.Sort) == 0 && page.Limit == 0 && page.Marker == "" {
		return
	}
	slices.SortStableFunc(items, func(a, b wire.M) int {
		for _, key := range page.Sort {
			if c := compare(a[key.Key], b[key.Key]); c != 0 {
				if key.Desc {
					return -c
				}
				return c
			}
		}
		return compare(a["id"], b["id"])
	})
}

func compare(a, b any) int {
	if x, ok := a.(int); ok {
		if y, ok := b.(int); ok {
			return cmp.Compare(x, y)
		}
	}
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	return strings.Compare(text(a), text(b))
}

// paged cuts a page out of a list, with the links to its neighbours.
func paged(r *wire.Request, k kind, items []wire.M, page wire.Page) ([]wire.M, []wire.M, error) {
	start, end := 0, len(items)
	if page.Marker != "" {
		at := slices.IndexFunc(items, func(item wire.M) bool { return item["id"] == page.Marker })
		if at < 0 {
			return nil, nil, cloud.E("neutron.list", cloud.NotFound, "%s %s, the marker, could not be found.", k.name, page.Marker)
		}
		if start = at + 1; page.Reverse {
			start, end = 0, at
		}
	}
	if page.Limit == 0 {
		return items[start:end], nil, nil
	}
	full := end-start >= page.Limit
	if page.Reverse {
		start = max(start, end-page.Limit)
	} else {
		end = min(end, start+page.Limit)
	}
	shown := items[start:end]
	first, last := "", "" // of an empty page: from the ends
	if len(shown) > 0 {
		first, last = shown[0]["id"].(string), shown[len(shown)-1]["id"].(string)
	}
	var links []wire.M
	if full || page.Reverse {
		links = append(links, wire.M{"rel": "next", "href": pageLink(r, last, false)})
	}
	if full || !page.Reverse {
		links = append(links, wire.M{"rel": "previous", "href": pageLink(r, first, true)})
	}
	return shown, links, nil
}

func pageLink(r *wire.Request, marker string, reverse bool) string {
	q := r.URL.Query()
	q.Del("marker")
	q.Del("page_reverse")
	if marker != "" {
		q.Set("marker", marker)
	}
	if reverse {
		q.Set("page_reverse", "True")
	}
	return r.BaseURL + r.URL.EscapedPath() + "?" + q.Encode()
}
