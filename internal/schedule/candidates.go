package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// Group is what is asked of placement together: of the group without a suffix
// every class may come of another provider of a tree, of a group with one all
// come of one provider.
type Group struct {
	Suffix      string
	Resources   map[string]int
	Required    [][]string // of each list one trait is required
	Forbidden   []string   // traits
	MemberOf    [][]string // of each list one aggregate is required
	NotMemberOf []string   // aggregates
	InTree      string     // the id of a provider in the tree; "" for any
}

// Ask is a whole request for candidates.
type Ask struct {
	Groups        []Group // the one without a suffix, if there is one, first
	Isolate       bool    // the groups with suffixes take different providers
	Subtrees      [][]string
	RootRequired  []string
	RootForbidden []string
}

// Candidate is one way to fulfil an ask.
type Candidate struct {
	Root     string
	Claims   []cloud.Claim       // those of a class on one provider added up
	Mappings map[string][]string // suffix to the providers that fulfil its group
}

// empty tells whether nothing is asked.
func (a Ask) empty() bool { return len(a.Groups) == 0 }

// String says an ask for a person.
func (a Ask) String() string {
	var parts []string
	for _, g := range a.Groups {
		for _, class := range slices.Sorted(maps.Keys(g.Resources)) {
			parts = append(parts, fmt.Sprintf("%d %s", g.Resources[class], class))
		}
		for _, any := range g.Required {
			parts = append(parts, "the trait "+strings.Join(any, " or "))
		}
		for _, t := range g.Forbidden {
			parts = append(parts, "the absence of the trait "+t)
		}
	}
	return strings.Join(parts, ", ")
}

// AskOf reads the extra specs "resources:", "trait:", those with suffixes, and
// "group_policy". Processors, memory and disk without a suffix are not in it: they
// are in the size of the server.
func AskOf(specs map[string]string) (Ask, error) {
	groups := map[string]*Group{}
	at := func(suffix string) *Group {
		if groups[suffix] == nil {
			groups[suffix] = &Group{Suffix: suffix, Resources: map[string]int{}}
		}
		return groups[suffix]
	}
	var ask Ask
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		value := specs[name]
		scope, key, ok := strings.Cut(name, ":")
		if name == "group_policy" {
			ask.Isolate = value == "isolate"
		}
		if !ok {
			continue
		}
		if suffix, is := suffixOf(scope, "resources"); is {
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return ask, fmt.Errorf("%s is %s, which is no amount", name, value)
			}
			if n > 0 && (suffix != "" || !standard(key)) {
				at(suffix).Resources[key] = n
			}
		}
		if suffix, is := suffixOf(scope, "trait"); is {
			switch value {
			case "required":
				at(suffix).Required = append(at(suffix).Required, []string{key})
			case "forbidden":
				at(suffix).Forbidden = append(at(suffix).Forbidden, key)
			default:
				return ask, fmt.Errorf("%s is %s; it is required or forbidden", name, value)
			}
		}
	}
	for _, suffix := range slices.Sorted(maps.Keys(groups)) {
		ask.Groups = append(ask.Groups, *groups[suffix])
	}
	return ask, nil
}

// option is one way to fulfil a group.
type option struct {
	claims    []cloud.Claim
	providers []string
}

// mostOptions bounds the ways that are looked at, for each group and for each
// tree.
const mostOptions = 2000

// Candidates are the ways to fulfil an ask among providers, limit of them (0: no
// limit). The providers of a tree come together; those that share resources
// belong to every tree that has an aggregate in common with them.
func Candidates(all []Provider, ask Ask, limit int) (out []Candidate) {
	for _, root := range roots(all) {
		tree, sharing := familyOf(all, root)
		if !rooted(tree, root, ask) {
			continue
		}
		for _, c := range within(root, tree, sharing, ask) {
			out = append(out, c)
			if limit > 0 && len(out) == limit {
				return out
			}
		}
	}
	return out
}

// roots are the trees, in order of their providers. A tree of nothing but sharing
// providers is one too: what it has can be asked for alone.
func roots(all []Provider) (out []string) {
	for _, p := range all {
		if !slices.Contains(out, p.Root) {
			out = append(out, p.Root)
		}
	}
	return out
}

func familyOf(all []Provider, root string) (tree, sharing []Provider) {
	var aggregates []string
	for _, p := range all {
		if p.Root == root {
			tree = append(tree, p)
			aggregates = append(aggregates, p.Aggregates...)
		}
	}
	for _, p := range all {
		if p.Root != root && p.Shares() && slices.ContainsFunc(p.Aggregates, func(a string) bool { return slices.Contains(aggregates, a) }) {
			sharing = append(sharing, p)
		}
	}
	return tree, sharing
}

// rooted holds the traits of the tree's top against root_required.
func rooted(tree []Provider, root string, ask Ask) bool {
	for _, p := range tree {
		if p.ID != root {
			continue
		}
		has := func(t string) bool { return slices.Contains(p.Traits, t) }
		return !slices.ContainsFunc(ask.RootRequired, func(t string) bool { return !has(t) }) && !slices.ContainsFunc(ask.RootForbidden, has)
	}
	return len(ask.RootRequired) == 0
}

// within are the ways of one tree: every choice of one option for each group.
func within(root string, tree, sharing []Provider, ask Ask) (out []Candidate) {
	choices := make([][]option, len(ask.Groups))
	for i, g := range ask.Groups {
		if choices[i] = options(tree, sharing, g); len(choices[i]) == 0 {
			return nil
		}
	}
	byID := map[string]Provider{}
	for _, p := range slices.Concat(tree, sharing) {
		byID[p.ID] = p
	}
	picked := make([]option, len(choices))
	var walk func(i int)
	walk = func(i int) {
		if len(out) >= mostOptions {
			return
		}
		if i < len(choices) {
			for _, o := range choices[i] {
				picked[i] = o
				walk(i + 1)
			}
			return
		}
		if c, ok := together(root, byID, ask, picked); ok {
			out = append(out, c)
		}
	}
	walk(0)
	return out
}

// together puts the options of all groups into one candidate, if there is room
// for all of them at once. At least one provider is of the tree itself.
func together(root string, byID map[string]Provider, ask Ask, picked []option) (Candidate, bool) {
	c := Candidate{Root: root, Mappings: map[string][]string{}}
	var apart []string
	ours := false
	for i, o := range picked {
		g := ask.Groups[i]
		c.Mappings[g.Suffix] = o.providers
		if ask.Isolate && g.Suffix != "" {
			if slices.Contains(apart, o.providers[0]) {
				return c, false
			}
			apart = append(apart, o.providers[0])
		}
		for _, id := range o.providers {
			ours = ours || byID[id].Root == root
		}
		for _, claim := range o.claims {
			c.Claims = add(c.Claims, claim)
		}
	}
	for _, claim := range c.Claims {
		if byID[claim.ProviderID].Fits(claim.Class, claim.Amount) != "" {
			return c, false
		}
	}
	return c, ours && subtrees(byID, ask, c)
}

func add(list []cloud.Claim, c cloud.Claim) []cloud.Claim {
	for i := range list {
		if list[i].ProviderID == c.ProviderID && list[i].Class == c.Class {
			list[i].Amount += c.Amount
			return list
		}
	}
	return append(list, c)
}

// subtrees holds a candidate against same_subtree: of the groups named, one
// provider is above all others, or is they.
func subtrees(byID map[string]Provider, ask Ask, c Candidate) bool {
	for _, suffixes := range ask.Subtrees {
		var ids []string
		for _, s := range suffixes {
			ids = append(ids, c.Mappings[s]...)
		}
		if !slices.ContainsFunc(ids, func(top string) bool {
			return !slices.ContainsFunc(ids, func(id string) bool { return !below(byID, id, top) })
		}) {
			return false
		}
	}
	return true
}

// below tells whether a provider is top, or in the tree under it.
func below(byID map[string]Provider, id, top string) bool {
	for range len(byID) + 1 {
		if id == top {
			return true
		}
		p, ok := byID[id]
		if !ok || p.ParentID == "" {
			return false
		}
		id = p.ParentID
	}
	return false
}
