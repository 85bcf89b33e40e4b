package image

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Create registers an image without bytes: queued. The attributes are as JSON
// has them, glance's names; others are properties. Invalid, Forbidden, Conflict
// for an id that is taken.
func (s *Service) Create(ctx context.Context, caller cloud.Caller, attributes map[string]any) (cloud.Image, error) {
	img, err := s.draft(caller, attributes)
	if err != nil {
		return img, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := afford(tx, img.ProjectID, map[string]int64{quotaCount: 1}); err != nil {
			return err
		}
		err := tx.Images.Insert(img)
		if cloud.Is(err, cloud.Conflict) {
			return cloud.E("image.Create", cloud.Conflict, "Image ID %s already exists!", img.ID)
		}
		return err
	})
	return img, err
}

// draft is the image that the attributes describe.
func (s *Service) draft(caller cloud.Caller, attributes map[string]any) (cloud.Image, error) {
	now := s.clock.Now()
	img := cloud.Image{
		ID: cloud.NewID(), ProjectID: caller.ProjectID, Status: cloud.ImageQueued, Visibility: cloud.VisibilityShared,
		Size: -1, VirtualSize: -1, Tags: []string{}, Properties: map[string]string{}, CreatedAt: now, UpdatedAt: now,
	}
	for name, value := range attributes {
		if name == "id" {
			id, _ := value.(string)
			if !cloud.IsID(id) || len(id) != 36 {
				return img, mismatch(value, "does not match '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-…$'")
			}
			img.ID = strings.ToLower(id)
			continue
		}
		if err := settable(name); err != nil {
			return img, err
		}
		if err := set(&img, name, value); err != nil {
			return img, err
		}
	}
	if img.ProjectID == "" || img.ProjectID != caller.ProjectID && !caller.IsAdmin() {
		return img, cloud.E("image.Create", cloud.Forbidden, "You are not permitted to create images owned by '%s'.", img.ProjectID)
	}
	if img.Visibility == cloud.VisibilityPublic && !caller.IsAdmin() {
		return img, denied("publicize_image")
	}
	return img, s.within(img)
}

// Op is what a Change does.
type Op string

// The operations of a JSON patch that glance knows.
const (
	OpAdd     Op = "add"
	OpReplace Op = "replace"
	OpRemove  Op = "remove"
)

// Change is one step of an update.
type Change struct {
	Op    Op
	Name  string // of the attribute or property
	Value any    // as JSON has it
	New   bool   // an added property must not be there yet, as before the 2.1 of the patch format
}

// Update makes the changes, all or none. Forbidden, Invalid; Conflict for a
// property that is not there to be replaced or removed.
func (s *Service) Update(ctx context.Context, caller cloud.Caller, id string, changes []Change) (img cloud.Image, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if img, err = owned(tx, caller, id, "modify_image"); err != nil {
			return err
		}
		for _, c := range changes {
			if err := apply(caller, &img, c); err != nil {
				return err
			}
		}
		if err := s.within(img); err != nil {
			return err
		}
		if len(changes) > 0 {
			img.UpdatedAt = s.clock.Now()
		}
		return tx.Images.Update(img)
	})
	return img, err
}

func apply(caller cloud.Caller, img *cloud.Image, c Change) error {
	if err := settable(c.Name); err != nil {
		return err
	}
	if slices.Contains(base, c.Name) {
		return applyBase(caller, img, c)
	}
	const op = "image.Update"
	_, there := img.Properties[c.Name]
	switch {
	case c.Op != OpAdd && !there:
		return cloud.E(op, cloud.Conflict, "Property %s does not exist.", c.Name)
	case c.Op == OpAdd && there && c.New:
		return cloud.E(op, cloud.Conflict, "Property %s already present.", c.Name)
	case c.Op == OpRemove:
		delete(img.Properties, c.Name)
		return nil
	}
	return set(img, c.Name, c.Value)
}

func applyBase(caller cloud.Caller, img *cloud.Image, c Change) error {
	const op = "image.Update"
	was := *img
	if c.Op == OpRemove {
		return cloud.E(op, cloud.Forbidden, "Property %s may not be removed.", c.Name)
	}
	if err := set(img, c.Name, c.Value); err != nil {
		return err
	}
	format := img.ContainerFormat != was.ContainerFormat || img.DiskFormat != was.DiskFormat
	switch {
	case format && img.Status != cloud.ImageQueued:
		return cloud.E(op, cloud.Forbidden, "Attribute %s can be only replaced for a queued image.", c.Name)
	case img.ProjectID != was.ProjectID && !caller.IsAdmin():
		return cloud.E(op, cloud.Forbidden, "You are not permitted to change the owner of this image.")
	case img.Visibility == cloud.VisibilityPublic && was.Visibility != cloud.VisibilityPublic && !caller.IsAdmin():
		return denied("publicize_image")
	}
	return nil
}

// AddTag adds a tag; no error when it is there. Invalid, TooLarge.
func (s *Service) AddTag(ctx context.Context, caller cloud.Caller, id, tag string) error {
	return s.retag(ctx, caller, id, func(img *cloud.Image) error {
		var checked string
		if err := setText(&checked, tag, 255, nil, false); err != nil {
			return err
		}
		if !slices.Contains(img.Tags, tag) {
			img.Tags = append(img.Tags, tag)
		}
		return s.within(*img)
	})
}

// RemoveTag removes a tag; NotFound.
func (s *Service) RemoveTag(ctx context.Context, caller cloud.Caller, id, tag string) error {
	return s.retag(ctx, caller, id, func(img *cloud.Image) error {
		i := slices.Index(img.Tags, tag)
		if i < 0 {
			return cloud.E("image.RemoveTag", cloud.NotFound, "The tag '%s' of image %s could not be found.", tag, id)
		}
		img.Tags = slices.Delete(img.Tags, i, i+1)
		return nil
	})
}

func (s *Service) retag(ctx context.Context, caller cloud.Caller, id string, change func(*cloud.Image) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := owned(tx, caller, id, "modify_image")
		if err != nil {
			return err
		}
		if err := change(&img); err != nil {
			return err
		}
		img.UpdatedAt = s.clock.Now()
		return tx.Images.Update(img)
	})
}
