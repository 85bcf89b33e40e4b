package image

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// VisibilityAll in a Filter is every image that the caller sees, those of the
// community included.
const VisibilityAll cloud.Visibility = "all"

// Filter says which images a list holds. Its zero value is what glance lists by
// itself: public images, the caller's own, and shared ones it has accepted.
type Filter struct {
	Equal        map[string][]string // id, name, status, container_format, disk_format: any of the values
	Visibility   cloud.Visibility    // "" for the usual
	MemberStatus string              // of shared images: accepted by default, "all"
	Owner        string
	Hidden       bool
	Protected    *bool
	Sizes        Range // bytes
	MinDisk      Range
	MinRAM       Range
	Tags         []string // all of them
	Times        []TimeCond
	Properties   map[string]string

	Sort   []Sort // by created_at, newest first, unless told otherwise
	Marker string // the image before the first
	Limit  int    // 0 for none
}

// Range is an interval of numbers, both ends included; nil is open.
type Range struct{ Min, Max *int64 }

func (r Range) holds(n int64) bool {
	return (r.Min == nil || n >= *r.Min) && (r.Max == nil || n <= *r.Max)
}

// TimeCond is a condition on created_at or updated_at, to whole seconds.
type TimeCond struct {
	Field, Op string
	At        time.Time
}

// The operators of a TimeCond, as glance spells them.
const (
	After     = "gt"
	NotBefore = "gte"
	Before    = "lt"
	NotAfter  = "lte"
	At        = "eq"
	NotAt     = "neq"
)

// Sort is a sort key.
type Sort struct {
	Key  string
	Desc bool
}

// keys compare two images by a sort key.
var keys = map[string]func(a, b cloud.Image) int{
	"name":             func(a, b cloud.Image) int { return strings.Compare(a.Name, b.Name) },
	"status":           func(a, b cloud.Image) int { return cmp.Compare(a.Status, b.Status) },
	"container_format": func(a, b cloud.Image) int { return strings.Compare(a.ContainerFormat, b.ContainerFormat) },
	"disk_format":      func(a, b cloud.Image) int { return strings.Compare(a.DiskFormat, b.DiskFormat) },
	"size":             func(a, b cloud.Image) int { return cmp.Compare(a.Size, b.Size) },
	"id":               func(a, b cloud.Image) int { return strings.Compare(a.ID, b.ID) },
	"created_at":       func(a, b cloud.Image) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"updated_at":       func(a, b cloud.Image) int { return a.UpdatedAt.Compare(b.UpdatedAt) },
}

// List lists images. more tells that there are further ones after the last.
// Images are few: what the store does not index is looked at here, row by row.
func (s *Service) List(ctx context.Context, caller cloud.Caller, f Filter) (list []cloud.Image, more bool, err error) {
	for _, k := range f.Sort {
		if keys[k.Key] == nil {
			return nil, false, cloud.E("image.List", cloud.Invalid, "Invalid sort key: %s. It must be one of the following: %s.", k.Key, strings.Join(sortedKeys(), ", "))
		}
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if f.Marker != "" {
			if _, err := visible(tx, caller, f.Marker); err != nil {
				return cloud.E("image.List", cloud.Invalid, "Invalid marker. Image %s could not be found.", f.Marker)
			}
		}
		if list, err = f.matches(tx, caller); err == nil && len(list) == 0 {
			list, err = f.byAlias(tx, caller)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	f.sort(list)
	return f.page(list)
}

func sortedKeys() []string {
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// matches reads what the filter holds for, and the marker.
func (f Filter) matches(tx *store.Tx, caller cloud.Caller) ([]cloud.Image, error) {
	conds := []store.Cond{store.Eq("hidden", f.Hidden)}
	for name, values := range f.Equal {
		conds = append(conds, store.In(name, values...))
	}
	all, err := tx.Images.List(store.Where(conds...))
	if err != nil {
		return nil, err
	}
	mine, err := tx.ImageMembers.List(store.Where(store.Eq("project_id", caller.ProjectID)))
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for _, m := range mine {
		status[m.ImageID] = m.Status
	}
	list := slices.DeleteFunc(all, func(img cloud.Image) bool {
		return !f.listed(caller, img, status[img.ID]) || !f.holds(img)
	})
	if f.Marker == "" || slices.ContainsFunc(list, func(i cloud.Image) bool { return i.ID == f.Marker }) {
		return list, nil
	}
	marker, err := tx.Images.Get(f.Marker) // its place counts, not whether it matches
	return append(list, marker), err
}

// listed tells whether an image belongs to the caller's list at all. member is
// what the caller's project thinks of it: "" for no member.
func (f Filter) listed(caller cloud.Caller, img cloud.Image, member string) bool {
	own := caller.ProjectID != "" && img.ProjectID == caller.ProjectID
	switch f.Visibility {
	case VisibilityAll:
	case "":
		if img.Visibility == cloud.VisibilityCommunity && !own {
			return false
		}
	default:
		if img.Visibility != f.Visibility {
			return false
		}
	}
	if own || caller.IsAdmin() {
		return true
	}
	switch img.Visibility {
	case cloud.VisibilityPublic, cloud.VisibilityCommunity:
		return true
	case cloud.VisibilityShared:
		want := cmp.Or(f.MemberStatus, MemberAccepted)
		return member != "" && (want == "all" || want == member)
	}
	return false
}

// holds tells whether an image has what is asked for.
func (f Filter) holds(img cloud.Image) bool {
	if f.Owner != "" && img.ProjectID != f.Owner || f.Protected != nil && img.Protected != *f.Protected {
		return false
	}
	if !f.Sizes.holds(img.Size) || !f.MinDisk.holds(int64(img.MinDiskGB)) || !f.MinRAM.holds(int64(img.MinRAMMB)) {
		return false
	}
	for _, tag := range f.Tags {
		if !slices.Contains(img.Tags, tag) {
			return false
		}
	}
	for name, want := range f.Properties {
		if got, ok := img.Properties[name]; !ok || got != want {
			return false
		}
	}
	return !slices.ContainsFunc(f.Times, func(t TimeCond) bool { return !t.holds(img) })
}

func (t TimeCond) holds(img cloud.Image) bool {
	at := img.CreatedAt
	if t.Field == "updated_at" {
		at = img.UpdatedAt
	}
	c := at.Truncate(time.Second).Compare(t.At.Truncate(time.Second))
	switch t.Op {
	case After:
		return c > 0
	case NotBefore:
		return c >= 0
	case Before:
		return c < 0
	case NotAfter:
		return c <= 0
	case NotAt:
		return c != 0
	}
	return c == 0
}

// sort orders a list; what is equal, newest first.
func (f Filter) sort(list []cloud.Image) {
	by := append(slices.Clone(f.Sort), Sort{"created_at", true}, Sort{"id", true})
	slices.SortFunc(list, func(a, b cloud.Image) int {
		for _, k := range by {
			c := keys[k.Key](a, b)
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// page cuts what comes after the marker.
func (f Filter) page(list []cloud.Image) ([]cloud.Image, bool, error) {
	if f.Marker != "" {
		i := slices.IndexFunc(list, func(i cloud.Image) bool { return i.ID == f.Marker })
		list = list[i+1:]
	}
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true, nil
	}
	return list, false, nil
}
