package schedule

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
)

// Aggregates of a tree's top span the tree, those that are forbidden too; of a
// group with a suffix each provider stands for itself. The trees and what is
// excluded are those of placement's specification "Support filtering by forbidden
// aggregate membership" (2005297).
func TestAggregatesOfTrees(t *testing.T) {
	provider := func(id, root string, shares bool, aggregates ...string) Provider {
		p := Provider{ResourceProvider: cloud.ResourceProvider{ID: id, Name: id, Aggregates: aggregates,
			Inventories: map[string]cloud.Inventory{"CUSTOM_X": {Total: 8, MinUnit: 1, MaxUnit: 8, StepSize: 1, Ratio: 1}}}, Root: root}
		if id != root {
			p.ParentID = root
		}
		if shares {
			p.Traits = []string{"MISC_SHARES_VIA_AGGREGATE"}
		}
		return p
	}
	all := []Provider{
		provider("cn1", "cn1", false, "A"), provider("numa1_1", "cn1", false, "C"), provider("numa1_2", "cn1", false),
		provider("cn2", "cn2", false, "B"), provider("numa2_1", "cn2", false), provider("numa2_2", "cn2", false),
		provider("ss1", "ss1", true, "B"), provider("ss2", "ss2", true, "C"),
	}
	in := func(names ...string) Group { return Group{MemberOf: [][]string{names}} }
	not := func(names ...string) Group { return Group{NotMemberOf: names} }
	both := func(a string, b ...string) Group { return Group{MemberOf: [][]string{{a}}, NotMemberOf: b} }
	for name, c := range map[string]struct {
		group Group
		apart bool // with a suffix
		want  []string
	}{
		"in A":                  {in("A"), false, []string{"cn1", "numa1_1", "numa1_2"}},
		"in C":                  {in("C"), false, []string{"numa1_1", "ss2"}},
		"in A or B":             {in("A", "B"), false, []string{"cn1", "cn2", "numa1_1", "numa1_2", "numa2_1", "numa2_2", "ss1"}},
		"not in A":              {not("A"), false, []string{"cn2", "numa2_1", "numa2_2", "ss1", "ss2"}},
		"not in B":              {not("B"), false, []string{"cn1", "numa1_1", "numa1_2", "ss2"}},
		"not in C":              {not("C"), false, []string{"cn1", "cn2", "numa1_2", "numa2_1", "numa2_2", "ss1"}},
		"not in A, nor in C":    {not("A", "C"), false, []string{"cn2", "numa2_1", "numa2_2", "ss1"}},
		"in A, but not in C":    {both("A", "C"), false, []string{"cn1", "numa1_2"}},
		"in A, but not in A":    {both("A", "A"), false, nil},
		"suffix, in A":          {in("A"), true, []string{"cn1"}},
		"suffix, not in A":      {not("A"), true, []string{"cn2", "numa1_1", "numa1_2", "numa2_1", "numa2_2", "ss1", "ss2"}},
		"suffix, in B not in B": {both("B", "B"), true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := c.group
			g.Resources = map[string]int{"CUSTOM_X": 1}
			if c.apart {
				g.Suffix = "1"
			}
			var got []string
			for _, candidate := range Candidates(all, Ask{Groups: []Group{g}}, 0) {
				for _, claim := range candidate.Claims {
					if !slices.Contains(got, claim.ProviderID) {
						got = append(got, claim.ProviderID)
					}
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
