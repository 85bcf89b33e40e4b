package compute_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
)

// five makes v0 to v4, a minute apart, of which v1 and v3 are gone at the end.
func five(b *computetest.Bench) (ids []string) {
	for i := range 5 {
		r := computetest.Request()
		r.Name = fmt.Sprintf("v%d", i)
		s := b.Create(computetest.Member(), r)
		b.Run(s.ID)
		ids = append(ids, s.ID)
		b.Clock.Advance(time.Minute)
	}
	b.Remove(ids[1])
	b.Clock.Advance(time.Minute)
	b.Remove(ids[3])
	return ids
}

// names walks over a list in pages.
func names(b *computetest.Bench, f compute.Filter) (out []string) {
	b.T.Helper()
	for {
		p, err := b.Compute.Servers(b.T.Context(), computetest.Admin().Caller, f, true)
		b.Must(err)
		for _, s := range p.Servers {
			out = append(out, s.Name)
			f.Marker = s.ID
		}
		if !p.More || len(p.Servers) == 0 {
			return out
		}
	}
}

// TestListsOfTheGone: those that are gone are listed among the others, in one order, by
// the same filters, page by page, whether the database does it or the service.
func TestListsOfTheGone(t *testing.T) {
	b := computetest.New(t)
	five(b)
	now := b.Clock.Now()
	asc := []compute.SortKey{{Name: "display_name"}}
	none := map[string]string{"key_name": ""} // what the database does not look up
	for _, c := range []struct {
		name, want string
		f          compute.Filter
	}{
		{"as ever", "v4 v2 v0", compute.Filter{}},
		{"all, newest first", "v4 v3 v2 v1 v0", compute.Filter{Kinds: compute.KindAll}},
		{"all, by name", "v0 v1 v2 v3 v4", compute.Filter{Kinds: compute.KindAll, Sort: asc}},
		{"all, by what no column has", "v0 v2 v4 v1 v3", compute.Filter{Kinds: compute.KindAll, Sort: []compute.SortKey{{Name: "terminated_at"}, {Name: "name"}}}},
		{"gone", "v3 v1", compute.Filter{Kinds: compute.KindGone}},
		{"gone or in the trash", "v3 v1", compute.Filter{Kinds: compute.KindGone | compute.KindTrash}},
		{"gone, of a name", "v3", compute.Filter{Kinds: compute.KindGone, Pattern: map[string]string{"name": "3$"}}},
		{"all, filtered", "v0 v1 v2 v3 v4", compute.Filter{Kinds: compute.KindAll, Sort: asc, Exact: none}},
		{"of a state", "v3 v1", compute.Filter{Kinds: compute.KindAll, Exact: map[string]string{"vm_state": "deleted"}}},
		{"went in the last minute", "v3", compute.Filter{Kinds: compute.KindAll, ChangesSince: now.Add(-time.Second)}},
		{"changed by a moment", "v1", compute.Filter{Kinds: compute.KindGone, ChangesBefore: now.Add(-time.Second)}},
		{"with addresses: these have none", "v4 v2 v0", compute.Filter{Kinds: compute.KindAll, IP: "10"}},
	} {
		for limit := range 7 {
			c.f.Limit = limit
			if got := strings.Join(names(b, c.f), " "); got != c.want {
				t.Errorf("%s, %d a page: %q, want %q", c.name, limit, got, c.want)
			}
		}
	}
}

// TestMarkerThatWent: a server that goes between two pages does not end the list.
func TestMarkerThatWent(t *testing.T) {
	b := computetest.New(t)
	ids := five(b)
	for _, exact := range []map[string]string{nil, {"key_name": ""}} {
		if got := names(b, compute.Filter{Marker: ids[3], Exact: exact}); !slices.Equal(got, []string{"v2", "v0"}) {
			t.Errorf("after one that went: %v", got)
		}
		if got := names(b, compute.Filter{Kinds: compute.KindGone, Marker: ids[2], Exact: exact}); !slices.Equal(got, []string{"v1"}) {
			t.Errorf("those that went, after one that is there: %v", got)
		}
		_, err := b.Compute.Servers(t.Context(), computetest.Member().Caller, compute.Filter{Marker: "nix", Exact: exact}, false)
		if !cloud.Is(err, cloud.Invalid) || cloud.Message(err) != "marker [nix] not found" {
			t.Errorf("%v", err)
		}
	}
}

// TestTheGoneAreGone: they are neither shown nor counted, their names are free, and
// their history is told to their project, not to others.
func TestTheGoneAreGone(t *testing.T) {
	b := computetest.New(t)
	ids := five(b)
	a, other := computetest.Member(), computetest.Caller(computetest.Other, cloud.RoleMember)
	if _, err := b.Compute.Server(t.Context(), a.Caller, ids[1]); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("show: %v", err)
	}
	if _, used, err := b.Compute.Quota(t.Context(), a.Caller, computetest.Project, ""); err != nil || used.Instances != 3 {
		t.Errorf("%d instances are counted, %v", used.Instances, err)
	}
	r := computetest.Request()
	r.Name = "v1"
	b.Create(a, r)
	if v, err := b.Compute.EverServer(t.Context(), a.Caller, ids[1]); err != nil || v.Status() != "DELETED" {
		t.Errorf("%s, %v", v.Status(), err)
	}
	if _, err := b.Compute.EverServer(t.Context(), other, ids[1]); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("another project's: %v", err)
	}
	if list, err := b.Compute.Actions(t.Context(), a.Caller, ids[1], true); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := b.Compute.Actions(t.Context(), other, ids[1], true); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("another project's history: %v", err)
	}
	p, err := b.Compute.Servers(t.Context(), other, compute.Filter{Kinds: compute.KindAll}, true)
	if b.Must(err); len(p.Servers) != 0 {
		t.Errorf("another project sees %d", len(p.Servers))
	}
}
