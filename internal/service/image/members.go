package image

import (
	"context"
	"slices"
	"unicode/utf8"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// shared gives an image that may have members. NotFound, Forbidden.
func shared(tx *store.Tx, caller cloud.Caller, id string) (cloud.Image, error) {
	img, err := visible(tx, caller, id)
	if err == nil && img.Visibility != cloud.VisibilityShared {
		err = cloud.E("image.members", cloud.Forbidden, "Only shared images have members.")
	}
	return img, err
}

// AddMember shares an image with a project, which must accept it before it is
// listed there. Only for the image's owner; Conflict if it is shared already.
func (s *Service) AddMember(ctx context.Context, caller cloud.Caller, id, projectID string) (m cloud.ImageMember, err error) {
	const op = "image.AddMember"
	if projectID == "" || utf8.RuneCountInString(projectID) > 255 {
		return m, cloud.E(op, cloud.Invalid, "Member can't be empty, nor longer than 255 characters.")
	}
	now := s.clock.Now()
	m = cloud.ImageMember{ImageID: id, ProjectID: projectID, Status: MemberPending, CreatedAt: now, UpdatedAt: now}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := shared(tx, caller, id)
		if err != nil {
			return err
		}
		if !mayShare(caller, img) {
			return denied("add_member")
		}
		n, err := tx.ImageMembers.Count(store.Eq("image_id", id))
		if err != nil {
			return err
		}
		if n >= s.opts.MaxMembers {
			return cloud.E(op, cloud.TooLarge, "The limit has been exceeded on the number of allowed image members for this image. Attempted: %d, Maximum: %d", n+1, s.opts.MaxMembers)
		}
		err = tx.ImageMembers.Insert(m)
		if cloud.Is(err, cloud.Conflict) {
			return cloud.E(op, cloud.Conflict, "Image %s is already associated with project %s.", id, projectID)
		}
		return err
	})
	return m, err
}

func mayShare(caller cloud.Caller, img cloud.Image) bool {
	return caller.IsAdmin() || caller.Owns(img.ProjectID) && caller.Has(cloud.RoleMember)
}

// Members lists the members: all for the owner, itself for a member.
func (s *Service) Members(ctx context.Context, caller cloud.Caller, id string) (list []cloud.ImageMember, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err := shared(tx, caller, id)
		if err != nil {
			return err
		}
		list, err = tx.ImageMembers.List(store.Query{Where: []store.Cond{store.Eq("image_id", id)}})
		if !caller.Owns(img.ProjectID) {
			list = slices.DeleteFunc(list, func(m cloud.ImageMember) bool { return m.ProjectID != caller.ProjectID })
		}
		return err
	})
	return list, err
}

// Member gives one member, if the caller is it or owns the image; NotFound.
func (s *Service) Member(ctx context.Context, caller cloud.Caller, id, projectID string) (m cloud.ImageMember, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		_, m, err = member(tx, caller, id, projectID)
		return err
	})
	return m, err
}

func member(tx *store.Tx, caller cloud.Caller, id, projectID string) (cloud.Image, cloud.ImageMember, error) {
	img, err := shared(tx, caller, id)
	if err != nil {
		return img, cloud.ImageMember{}, err
	}
	m, err := tx.ImageMembers.Get(cloud.ImageMember{ImageID: id, ProjectID: projectID}.Key())
	if cloud.Is(err, cloud.NotFound) || err == nil && !caller.Owns(img.ProjectID) && caller.ProjectID != projectID {
		err = cloud.E("image.Member", cloud.NotFound, "%s not found in the member list of the image %s.", projectID, id)
	}
	return img, m, err
}

// SetMember says whether a member wants the image in its list. Only the member
// itself may, not the owner. Invalid for another status.
func (s *Service) SetMember(ctx context.Context, caller cloud.Caller, id, projectID, status string) (m cloud.ImageMember, err error) {
	if !slices.Contains([]string{MemberPending, MemberAccepted, MemberRejected}, status) {
		return m, cloud.E("image.SetMember", cloud.Invalid, "Status must be \"pending\", \"accepted\" or \"rejected\".")
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if _, m, err = member(tx, caller, id, projectID); err != nil {
			return err
		}
		if !caller.IsAdmin() && !(caller.ProjectID == projectID && caller.Has(cloud.RoleMember)) {
			return denied("modify_member")
		}
		m.Status, m.UpdatedAt = status, s.clock.Now()
		return tx.ImageMembers.Update(m)
	})
	return m, err
}

// RemoveMember ends the sharing. Only for the image's owner; NotFound.
func (s *Service) RemoveMember(ctx context.Context, caller cloud.Caller, id, projectID string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		img, m, err := member(tx, caller, id, projectID)
		if err != nil {
			return err
		}
		if !mayShare(caller, img) {
			return denied("delete_member")
		}
		return tx.ImageMembers.Delete(m.Key())
	})
}
