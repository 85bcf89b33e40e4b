package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func groupRows(tx *store.Tx) *store.Table[cloud.Group] { return tx.Groups }

// Group gives a group; NotFound.
func (s *Service) Group(ctx context.Context, id string) (cloud.Group, error) {
	return fetch(ctx, s, groupRows, id)
}

// Groups lists groups.
func (s *Service) Groups(ctx context.Context, f Filter) ([]cloud.Group, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Group, error) {
		return tx.Groups.List(f.query("name", "domain_id"))
	})
}

// CreateGroup makes a group; Conflict for a name that is taken.
func (s *Service) CreateGroup(ctx context.Context, g cloud.Group) (cloud.Group, error) {
	if g.ID == "" {
		g.ID = cloud.NewHexID()
	}
	if g.DomainID == "" {
		g.DomainID = cloud.DefaultDomainID
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.Group, error) {
		if err := refer(tx.Domains, "domain", g.DomainID, cloud.NotFound); err != nil {
			return g, err
		}
		return g, taken(tx.Groups.Insert(g), "group", g.Name)
	})
}

// GroupPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type GroupPatch struct {
	Name, Description *string
	Extra             map[string]any
}

// UpdateGroup changes a group; NotFound, Conflict.
func (s *Service) UpdateGroup(ctx context.Context, id string, p GroupPatch) (cloud.Group, error) {
	return write(ctx, s, func(tx *store.Tx) (cloud.Group, error) {
		g, err := tx.Groups.Get(id)
		if err != nil {
			return g, err
		}
		set(&g.Name, p.Name)
		set(&g.Description, p.Description)
		g.Extra = merge(g.Extra, p.Extra)
		return g, taken(tx.Groups.Update(g), "group", g.Name)
	})
}

// DeleteGroup removes a group with its memberships and assignments.
func (s *Service) DeleteGroup(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return deleteGroup(tx, id) })
}

func deleteGroup(tx *store.Tx, id string) error {
	if _, err := tx.Memberships.DeleteWhere(store.Eq("group_id", id)); err != nil {
		return err
	}
	if _, err := tx.Assignments.DeleteWhere(store.Eq("group_id", id)); err != nil {
		return err
	}
	return tx.Groups.Delete(id)
}

// AddMember puts a user into a group; doing it twice is doing it once. NotFound.
func (s *Service) AddMember(ctx context.Context, groupID, userID string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := both(tx, groupID, userID); err != nil {
			return err
		}
		return tx.Memberships.Put(cloud.Membership{GroupID: groupID, UserID: userID})
	})
}

func both(tx *store.Tx, groupID, userID string) error {
	if err := refer(tx.Groups, "group", groupID, cloud.NotFound); err != nil {
		return err
	}
	return refer(tx.Users, "user", userID, cloud.NotFound)
}

// IsMember is nil for a user that is in a group; NotFound if it is not.
func (s *Service) IsMember(ctx context.Context, groupID, userID string) error {
	return s.view(ctx, func(tx *store.Tx) error { return member(tx, groupID, userID) })
}

func member(tx *store.Tx, groupID, userID string) error {
	if err := both(tx, groupID, userID); err != nil {
		return err
	}
	_, err := tx.Memberships.Get(cloud.Membership{GroupID: groupID, UserID: userID}.Key())
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E("identity.IsMember", cloud.NotFound, "User '%s' not found in group '%s'.", userID, groupID)
	}
	return err
}

// RemoveMember takes a user out of a group; NotFound if it is not in it.
func (s *Service) RemoveMember(ctx context.Context, groupID, userID string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := member(tx, groupID, userID); err != nil {
			return err
		}
		return tx.Memberships.Delete(cloud.Membership{GroupID: groupID, UserID: userID}.Key())
	})
}

// Members are the users of a group; NotFound.
func (s *Service) Members(ctx context.Context, groupID string) ([]cloud.User, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.User, error) {
		if err := refer(tx.Groups, "group", groupID, cloud.NotFound); err != nil {
			return nil, err
		}
		list, err := tx.Memberships.List(store.Where(store.Eq("group_id", groupID)))
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(list))
		for i, m := range list {
			ids[i] = m.UserID
		}
		return tx.Users.List(store.Query{Where: []store.Cond{store.In("id", ids...)}, Order: []store.Order{{Column: "name"}}})
	})
}

// UserGroups are the groups that a user is in; NotFound.
func (s *Service) UserGroups(ctx context.Context, userID string) ([]cloud.Group, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Group, error) {
		if err := refer(tx.Users, "user", userID, cloud.NotFound); err != nil {
			return nil, err
		}
		ids, err := groupsOf(tx, userID)
		if err != nil {
			return nil, err
		}
		return tx.Groups.List(store.Query{Where: []store.Cond{store.In("id", ids...)}, Order: []store.Order{{Column: "name"}}})
	})
}

// groupsOf are the ids of a user's groups.
func groupsOf(tx *store.Tx, userID string) ([]string, error) {
	list, err := tx.Memberships.List(store.Where(store.Eq("user_id", userID)))
	ids := make([]string, len(list))
	for i, m := range list {
		ids[i] = m.GroupID
	}
	return ids, err
}

// heldBy are the assignments of a user and of its groups.
func heldBy(tx *store.Tx, userID string) ([]cloud.Assignment, error) {
	groups, err := groupsOf(tx, userID)
	if err != nil {
		return nil, err
	}
	own, err := tx.Assignments.List(store.Where(store.Eq("user_id", userID)))
	if err != nil || len(groups) == 0 {
		return own, err
	}
	others, err := tx.Assignments.List(store.Where(store.In("group_id", groups...)))
	return append(own, others...), err
}
