package compute

import (
	"context"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// SetMetadata adds items to a server's metadata, or with replace puts them in
// place of all there are. It gives what is there now.
func (s *Service) SetMetadata(ctx context.Context, a Actor, id string, items map[string]string, replace bool) (map[string]string, error) {
	const op = "compute.SetMetadata"
	d, err := s.change(ctx, op, a, id, "", func(tx *store.Tx, v *cloud.Server) error {
		if err := editable(op, "update metadata", a.Caller, *v); err != nil {
			return err
		}
		all := map[string]string{}
		if !replace {
			maps.Copy(all, v.Metadata)
		}
		maps.Copy(all, items)
		if err := metadataFits(tx, op, v.ProjectID, all); err != nil {
			return err
		}
		v.Metadata = all
		s.push(v)
		return nil
	})
	return d.Metadata, err
}

// DeleteMetadata removes an item.
func (s *Service) DeleteMetadata(ctx context.Context, a Actor, id, key string) error {
	const op = "compute.DeleteMetadata"
	_, err := s.change(ctx, op, a, id, "", func(_ *store.Tx, v *cloud.Server) error {
		if _, ok := v.Metadata[key]; !ok {
			return cloud.E(op, cloud.NotFound, "Metadata item was not found")
		}
		if err := editable(op, "delete metadata", a.Caller, *v); err != nil {
			return err
		}
		v.Metadata = maps.Clone(v.Metadata)
		delete(v.Metadata, key)
		s.push(v)
		return nil
	})
	return err
}

// editable refuses to change the metadata of a locked server, or of one in the
// middle of its start.
func editable(op, action string, c cloud.Caller, v cloud.Server) error {
	if err := unlocked(op, c, v); err != nil {
		return err
	}
	if v.VMState() == cloud.VMBuilding {
		return cloud.E(op, cloud.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, v.ID, cloud.VMBuilding)
	}
	return nil
}

// metadataFits counts metadata against the quota.
func metadataFits(tx *store.Tx, op, project string, items map[string]string) error {
	limits, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	if max := limits["metadata_items"]; max >= 0 && len(items) > max {
		return cloud.E(op, cloud.QuotaExceeded, "Maximum number of metadata items exceeds %d", max)
	}
	return nil
}

// maxTags is how many tags a server may have, as in nova.
const maxTags = 50

// SetTags puts tags in place of all there are.
func (s *Service) SetTags(ctx context.Context, a Actor, id string, tags []string) ([]string, error) {
	return s.changeTags(ctx, "compute.SetTags", a, id, func([]string) ([]string, error) { return unique(tags), nil })
}

// AddTag adds a tag, and tells whether it is new.
func (s *Service) AddTag(ctx context.Context, a Actor, id, tag string) (added bool, err error) {
	_, err = s.changeTags(ctx, "compute.AddTag", a, id, func(tags []string) ([]string, error) {
		added = !slices.Contains(tags, tag)
		return unique(append(slices.Clone(tags), tag)), nil
	})
	return added, err
}

// DeleteTag removes a tag.
func (s *Service) DeleteTag(ctx context.Context, a Actor, id, tag string) error {
	const op = "compute.DeleteTag"
	_, err := s.changeTags(ctx, op, a, id, func(tags []string) ([]string, error) {
		if !slices.Contains(tags, tag) {
			return nil, cloud.E(op, cloud.NotFound, "Server %s has no tag '%s'", id, tag)
		}
		return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == tag }), nil
	})
	return err
}

func (s *Service) changeTags(ctx context.Context, op string, a Actor, id string, change func([]string) ([]string, error)) ([]string, error) {
	d, err := s.change(ctx, op, a, id, "", func(_ *store.Tx, v *cloud.Server) error {
		if v.Intent.Deleted {
			return v.Check(op, "update tags")
		}
		tags, err := change(v.Tags)
		if err == nil && len(tags) > maxTags {
			err = cloud.E(op, cloud.Invalid, "The number of tags exceeded the per-server limit %d", maxTags)
		}
		v.Tags = tags
		return err
	})
	return d.Tags, err
}

// unique is the list sorted and without repetitions.
func unique(tags []string) []string {
	out := slices.Clone(tags)
	slices.Sort(out)
	return slices.Compact(out)
}
