package image

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// MemberStatus is what a member thinks of an image that is shared with it.
const (
	MemberPending  = "pending"
	MemberAccepted = "accepted"
	MemberRejected = "rejected"
)

func noImage(op, id string) error {
	return cloud.E(op, cloud.NotFound, "No image found with ID %s", id)
}

// visible gives an image if the caller may see it: public and community ones,
// its own, and those shared with it, whatever it thinks of that. NotFound.
func visible(tx *store.Tx, caller cloud.Caller, id string) (cloud.Image, error) {
	const op = "image.Get"
	img, err := tx.Images.Get(id)
	if cloud.Is(err, cloud.NotFound) {
		return img, noImage(op, id)
	}
	if err != nil || caller.Owns(img.ProjectID) {
		return img, err
	}
	switch img.Visibility {
	case cloud.VisibilityPublic, cloud.VisibilityCommunity:
		return img, nil
	case cloud.VisibilityShared:
		member := cloud.ImageMember{ImageID: id, ProjectID: caller.ProjectID}
		if _, err := tx.ImageMembers.Get(member.Key()); err == nil {
			return img, nil
		} else if !cloud.Is(err, cloud.NotFound) {
			return img, err
		}
	}
	return cloud.Image{}, noImage(op, id)
}

// owned gives an image if the caller may change it: members of its project and
// admins. NotFound if it is not seen, Forbidden if it is.
func owned(tx *store.Tx, caller cloud.Caller, id, action string) (cloud.Image, error) {
	img, err := visible(tx, caller, id)
	if err != nil {
		return img, err
	}
	if caller.IsAdmin() || caller.Owns(img.ProjectID) && caller.Has(cloud.RoleMember) {
		return img, nil
	}
	return img, denied(action)
}

// denied says which policy of glance forbids.
func denied(policy string) error {
	return cloud.E("image.policy", cloud.Forbidden, "You are not authorized to complete %s action.", policy)
}
