package volume

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// List says which of a kind are wanted, in what order, from where. Filters that a
// kind does not know are Invalid unless Lenient: then they are left out.
type List struct {
	All      bool   // of all projects, for admins
	Project  string // of one project, for admins
	Equal    map[string]string
	Like     map[string]string // parts of texts
	Metadata map[string]string
	Image    map[string]string // of the image that a volume was made from
	Times    []TimeCond
	Sort     []Sort
	Marker   string
	Offset   int
	Limit    int // below 0: no limit
}

// Sort is a sort key.
type Sort struct {
	Key  string
	Desc bool
}

// TimeCond is a condition on created_at or updated_at: gt, gte, lt, lte, eq, neq.
type TimeCond struct {
	Field, Op string
	At        time.Time
}

func (t TimeCond) holds(at time.Time) bool {
	c := at.Truncate(time.Second).Compare(t.At.Truncate(time.Second))
	switch t.Op {
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	case "lt":
		return c < 0
	case "lte":
		return c <= 0
	case "neq":
		return c != 0
	}
	return c == 0
}

// scope narrows a list to whose things the caller may see.
func scope(c cloud.Caller, l List) store.Query {
	if c.IsAdmin() && l.All {
		if l.Project != "" {
			return store.Where(store.Eq("project_id", l.Project))
		}
		return store.Query{}
	}
	return store.Where(store.Eq("project_id", c.ProjectID))
}

// page filters, sorts and cuts a list. field gives a member by its name, if there
// is one. more says that the page is full, so that
// there may be another, as cinder does. total counts what the filters let pass.
func page[T any](all []T, l List, field func(T, string) (any, bool), id func(T) string) (list []T, more bool, total int, err error) {
	var zero T
	for _, s := range l.Sort {
		if _, ok := field(zero, s.Key); !ok {
			return nil, false, 0, cloud.E("volume.List", cloud.Invalid, "Invalid input received: Invalid sort key %s.", s.Key)
		}
	}
	all = slices.DeleteFunc(all, func(v T) bool { return !matches(v, l, field) })
	order := l.Sort
	if len(order) == 0 {
		order = []Sort{{"created_at", true}}
	}
	slices.SortStableFunc(all, func(a, b T) int {
		for _, s := range order {
			x, _ := field(a, s.Key)
			y, _ := field(b, s.Key)
			if c := compare(x, y); c != 0 {
				if s.Desc {
					return -c
				}
				return c
			}
		}
		c := strings.Compare(id(a), id(b))
		if order[0].Desc {
			return -c
		}
		return c
	})
	total = len(all)
	if l.Marker != "" {
		i := slices.IndexFunc(all, func(v T) bool { return id(v) == l.Marker })
		if i < 0 {
			return nil, false, 0, cloud.E("volume.List", cloud.NotFound, "Marker %s could not be found.", l.Marker)
		}
		all = all[i+1:]
	}
	all = all[min(l.Offset, len(all)):]
	if l.Limit >= 0 && len(all) >= l.Limit {
		return all[:l.Limit], l.Limit > 0, total, nil
	}
	return all, false, total, nil
}

func matches[T any](v T, l List, field func(T, string) (any, bool)) bool {
	for name, want := range l.Equal {
		have, ok := field(v, name)
		if !ok || !equal(have, want) {
			return false
		}
	}
	for name, part := range l.Like {
		have, ok := field(v, name)
		if !ok || !strings.Contains(strings.ToLower(fmt.Sprint(have)), strings.ToLower(part)) {
			return false
		}
	}
	for name, all := range map[string]map[string]string{"metadata": l.Metadata, "glance_metadata": l.Image} {
		have, _ := field(v, name)
		m, _ := have.(map[string]string)
		for k, want := range all {
			if got, ok := m[k]; !ok || got != want {
				return false
			}
		}
	}
	for _, t := range l.Times {
		have, _ := field(v, t.Field)
		if at, ok := have.(time.Time); !ok || !t.holds(at) {
			return false
		}
	}
	return true
}

func equal(have any, want string) bool {
	if b, ok := have.(bool); ok {
		return strings.EqualFold(fmt.Sprint(b), want) || b && want == "1" || !b && want == "0"
	}
	return fmt.Sprint(have) == want
}

func compare(a, b any) int {
	switch x := a.(type) {
	case string:
		y, _ := b.(string)
		return strings.Compare(x, y)
	case int:
		y, _ := b.(int)
		return cmp.Compare(x, y)
	case time.Time:
		y, _ := b.(time.Time)
		return x.Compare(y)
	case bool:
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}
	return 0
}

// volumeField gives a volume's members by the names that lists know.
func volumeField(d Detail, name string) (any, bool) {
	switch name {
	case "id":
		return d.ID, true
	case "name", "display_name":
		return d.Name, true
	case "description", "display_description":
		return d.Description, true
	case "status":
		return d.Status, true
	case "size":
		return d.SizeGB, true
	case "bootable":
		return d.Bootable, true
	case "multiattach":
		return d.Multiattach, true
	case "availability_zone":
		return d.AvailabilityZone, true
	case "volume_type_id":
		return d.TypeID, true
	case "volume_type":
		return d.TypeName, true
	case "snapshot_id":
		return d.SnapshotID, true
	case "source_volid":
		return d.SourceID, true
	case "group_id":
		return d.GroupID, true
	case "host":
		return cloud.VolumeHost(d.Node, d.Pool), true
	case "migration_status":
		return d.MigrationStatus, true
	case "user_id":
		return d.UserID, true
	case "project_id", "tenant_id":
		return d.ProjectID, true
	case "created_at":
		return d.CreatedAt, true
	case "updated_at":
		return d.UpdatedAt, true
	case "metadata":
		return d.Metadata, true
	case "glance_metadata":
		return d.ImageMetadata, true
	case "consumes_quota":
		return true, true
	case "encryption_key_id":
		if d.Key == nil {
			return "", true
		}
		return d.Key.ID, true
	}
	return nil, false
}

// Volumes lists the volumes of the caller's project, or of all. more tells that
// the page is full, total how many there are in all.
func (s *Service) Volumes(ctx context.Context, c cloud.Caller, l List) (list []Detail, more bool, total int, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = detailsTx(tx, scope(c, l))
		return err
	})
	if err != nil {
		return nil, false, 0, err
	}
	return page(list, l, volumeField, func(d Detail) string { return d.ID })
}

// detailsTx completes many volumes with few queries.
func detailsTx(tx *store.Tx, q store.Query) ([]Detail, error) {
	volumes, err := tx.Volumes.List(q)
	if err != nil {
		return nil, err
	}
	types, err := tx.VolumeTypes.List(store.Query{})
	if err != nil {
		return nil, err
	}
	var projects []store.Cond
	if len(q.Where) > 0 && q.Where[0].Column == "project_id" {
		projects = q.Where[:1]
	}
	attachments, err := tx.VolumeAttachments.List(store.Where(projects...))
	if err != nil {
		return nil, err
	}
	of := map[string][]cloud.VolumeAttachment{}
	for _, a := range attachments {
		of[a.VolumeID] = append(of[a.VolumeID], a)
	}
	names := map[string]string{}
	for _, t := range types {
		names[t.ID] = t.Name
	}
	list := make([]Detail, 0, len(volumes))
	for _, v := range volumes {
		list = append(list, Detail{Volume: v, Attachments: of[v.ID], TypeName: names[v.TypeID], Status: v.Status(of[v.ID])})
	}
	return list, nil
}
