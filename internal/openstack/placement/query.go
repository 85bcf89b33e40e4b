package placement

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/schedule"
)

// groupOf reads what the query asks of the group with a suffix: resources,
// required, member_of and in_tree.
func groupOf(r *wire.Request, suffix string) (g schedule.Group, err error) {
	q := r.URL.Query()
	g = schedule.Group{Suffix: suffix, InTree: dashed(q.Get("in_tree" + suffix))}
	if q.Has("in_tree"+suffix) && !cloud.IsID(g.InTree) {
		return g, invalid("Invalid query string parameters: Expected 'in_tree%s' parameter to be a format of uuid. Got: %s", suffix, g.InTree)
	}
	if q.Has("resources" + suffix) {
		if g.Resources, err = resourcesOf(q.Get("resources" + suffix)); err != nil {
			return g, err
		}
	}
	required := q["required"+suffix]
	if len(required) > 1 && !r.Version.AtLeast(39) {
		required = required[len(required)-1:] // as placement has it: the last counts
	}
	for _, text := range required {
		if err := requireTraits(r, &g, text); err != nil {
			return g, err
		}
	}
	members := q["member_of"+suffix]
	if len(members) > 1 && !r.Version.AtLeast(24) {
		return g, invalid("Multiple member_of%s parameters are not supported", suffix)
	}
	for _, text := range members {
		if err := requireAggregates(r, &g, text); err != nil {
			return g, err
		}
	}
	return g, conflictOf(g)
}

// conflictOf refuses what no provider could have.
func conflictOf(g schedule.Group) error {
	for _, any := range g.Required {
		if len(any) == 1 && slices.Contains(g.Forbidden, any[0]) {
			return invalid("Conflicting required and forbidden traits found in the following traits keys: required%s: (%s)", g.Suffix, any[0])
		}
	}
	return nil
}

// resourcesOf reads "VCPU:2,MEMORY_MB:1024".
func resourcesOf(text string) (map[string]int, error) {
	wrong := invalid("Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: %s", text)
	out := map[string]int{}
	for part := range strings.SplitSeq(text, ",") {
		class, amount, ok := strings.Cut(part, ":")
		class = strings.TrimSpace(class)
		n, err := strconv.Atoi(strings.TrimSpace(amount))
		if !ok || err != nil || !classPattern.MatchString(class) {
			return nil, wrong
		}
		if n < 1 {
			return nil, invalid("Requested resource %s requires amount > 0", class)
		}
		out[class] = n
	}
	return out, nil
}

// requireTraits reads "A,!B", or from 1.39 on "in:A,B".
func requireTraits(r *wire.Request, g *schedule.Group, text string) error {
	form := "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
	if !r.Version.AtLeast(22) {
		form = "HW_CPU_X86_VMX,CUSTOM_MAGIC"
	}
	wrong := invalid("Invalid query string parameters: Expected 'required%s' parameter value of the form: %s. Got: %s", g.Suffix, form, text)
	if any, ok := strings.CutPrefix(text, "in:"); ok {
		names := listed(any)
		if !r.Version.AtLeast(39) || strings.Contains(any, "!") || slices.Contains(names, "") {
			return wrong
		}
		g.Required = append(g.Required, names)
		return nil
	}
	for trait := range strings.SplitSeq(text, ",") {
		name, not := strings.CutPrefix(strings.TrimSpace(trait), "!")
		switch {
		case name == "" || not && !r.Version.AtLeast(22):
			return wrong
		case not:
			g.Forbidden = append(g.Forbidden, name)
		default:
			g.Required = append(g.Required, []string{name})
		}
	}
	return nil
}

// listed reads "A,B". Blanks about them count for nothing, as in placement.
func listed(text string) []string {
	names := strings.Split(text, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	return names
}

// requireAggregates reads "UUID", "in:UUID,UUID", and from 1.32 on either with "!".
func requireAggregates(r *wire.Request, g *schedule.Group, text string) error {
	rest, not := strings.CutPrefix(text, "!")
	if not && !r.Version.AtLeast(32) {
		return invalid("Forbidden member_of parameters are not supported in the specified microversion")
	}
	list, in := strings.CutPrefix(rest, "in:")
	ids := []string{list}
	if in {
		ids = strings.Split(list, ",")
	}
	for i, id := range ids {
		if !cloud.IsID(id) {
			return invalid("Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: %s", text)
		}
		ids[i] = dashed(id)
	}
	if not {
		g.NotMemberOf = append(g.NotMemberOf, ids...)
	} else {
		g.MemberOf = append(g.MemberOf, ids)
	}
	return nil
}

// The suffixes of groups: numbers from 1.25 on, words from 1.33 on.
var (
	numberedGroup = regexp.MustCompile(`^(resources|required|member_of|in_tree)([1-9][0-9]*)?$`)
	namedGroup    = regexp.MustCompile(`^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{1,64})?$`)
)

// askOf reads the query of allocation candidates.
func askOf(r *wire.Request) (ask schedule.Ask, limit int, err error) {
	suffixes, err := suffixesOf(r)
	if err != nil {
		return ask, 0, err
	}
	q := r.URL.Query()
	if q.Has("limit") {
		if limit, err = strconv.Atoi(q.Get("limit")); err != nil || limit < 1 {
			return ask, 0, invalid("Invalid query string parameters: '%s' does not match '^[1-9][0-9]*$'", q.Get("limit"))
		}
	}
	if policy := q.Get("group_policy"); q.Has("group_policy") && policy != "none" && policy != "isolate" {
		return ask, 0, invalid("Invalid query string parameters: '%s' is not one of ['none', 'isolate']", policy)
	}
	ask.Isolate = q.Get("group_policy") == "isolate"
	for _, text := range q["same_subtree"] {
		ask.Subtrees = append(ask.Subtrees, listed(text))
	}
	if q.Has("root_required") {
		top := schedule.Group{}
		if len(q["root_required"]) > 1 {
			return ask, 0, invalid("Query parameter 'root_required' may be specified only once.")
		}
		if err := requireTraits(r, &top, q.Get("root_required")); err != nil {
			return ask, 0, err
		}
		for _, name := range top.Forbidden {
			if slices.ContainsFunc(top.Required, func(any []string) bool { return slices.Equal(any, []string{name}) }) {
				return ask, 0, invalid("Conflicting required and forbidden traits found in root_required: %s", name)
			}
		}
		ask.RootRequired, ask.RootForbidden = slices.Concat(top.Required...), top.Forbidden
	}
	apart := 0
	for _, suffix := range suffixes {
		g, err := groupOf(r, suffix)
		if err != nil {
			return ask, 0, err
		}
		if suffix != "" {
			apart++
		}
		if len(g.Resources) == 0 && !slices.ContainsFunc(ask.Subtrees, func(s []string) bool { return suffix != "" && slices.Contains(s, suffix) }) {
			return ask, 0, invalid("All traits parameters must be associated with resources. Found the following orphaned traits keys: required%s", suffix)
		}
		ask.Groups = append(ask.Groups, g)
	}
	if err := subtreesOf(ask, suffixes); err != nil {
		return ask, 0, err
	}
	if apart > 1 && !q.Has("group_policy") {
		return ask, 0, invalid("The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.")
	}
	return ask, limit, nil
}

// subtreesOf refuses subtrees of groups that there are not.
func subtreesOf(ask schedule.Ask, suffixes []string) error {
	for _, s := range ask.Subtrees {
		for _, suffix := range s {
			if suffix == "" || !slices.Contains(suffixes, suffix) {
				return invalid("Real suffixes should be specified in same_subtree parameter: %s", suffix)
			}
		}
	}
	return nil
}

// suffixesOf finds the groups of a query, and refuses what is no parameter of the
// microversion.
func suffixesOf(r *wire.Request) ([]string, error) {
	since := map[string]int{"resources": 10, "limit": 16, "required": 17, "member_of": 21, "group_policy": 25, "in_tree": 31, "root_required": 35, "same_subtree": 36}
	seen := map[string]bool{}
	for name := range r.URL.Query() {
		unknown := invalid("Invalid query string parameters: Additional properties are not allowed ('%s' was unexpected)", name)
		pattern := numberedGroup
		if r.Version.AtLeast(33) {
			pattern = namedGroup
		}
		if at, ok := since[name]; ok {
			if !r.Version.AtLeast(at) {
				return nil, unknown
			}
			if pattern.MatchString(name) {
				seen[""] = true
			}
			continue
		}
		m := pattern.FindStringSubmatch(name)
		if m == nil || !r.Version.AtLeast(25) || !r.Version.AtLeast(since[m[1]]) {
			return nil, unknown
		}
		seen[m[2]] = true
	}
	if len(seen) == 0 || !r.Version.AtLeast(25) && !r.URL.Query().Has("resources") {
		return nil, invalid("Invalid query string parameters: 'resources' is a required property")
	}
	out := make([]string, 0, len(seen))
	for suffix := range seen {
		out = append(out, suffix)
	}
	slices.Sort(out)
	return out, nil
}
