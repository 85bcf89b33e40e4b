package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// User gives a user; NotFound.
func (s *Service) User(ctx context.Context, id string) (cloud.User, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.User, error) { return tx.Users.Get(id) })
}

// Users lists users.
func (s *Service) Users(ctx context.Context, f Filter) ([]cloud.User, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.User, error) {
		return tx.Users.List(f.query("name", "domain_id", "enabled"))
	})
}

// CreateUser makes a user; without a password one that cannot log in by it.
// Conflict for a name that is taken.
func (s *Service) CreateUser(ctx context.Context, u cloud.User, password string) (cloud.User, error) {
	if password != "" {
		if err := s.opts.Compliance.suits(password); err != nil {
			return u, err
		}
		hash, err := s.hash(ctx, password)
		if err != nil {
			return u, err
		}
		s.renew(&u, hash, false)
	}
	if u.ID == "" {
		u.ID = cloud.NewHexID()
	}
	if u.DomainID == "" {
		u.DomainID = cloud.DefaultDomainID
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.User, error) {
		if _, err := tx.Domains.Get(u.DomainID); err != nil {
			return u, cloud.E("identity.CreateUser", cloud.KindOf(err), "Could not find domain: %s.", u.DomainID)
		}
		return u, taken(tx.Users.Insert(u), "user", u.Name)
	})
}

// UserPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type UserPatch struct {
	Name, Description, Email, DefaultProjectID, Password *string
	Enabled                                              *bool
	Extra                                                map[string]any
	Options                                              map[string]any // a nil value takes the option away
	Made                                                 bool           // the password is of NewPassword: its form is not judged, and it need not be changed
}

// UpdateUser changes a user. A new password and being disabled end the user's
// tokens. NotFound, Conflict.
func (s *Service) UpdateUser(ctx context.Context, id string, p UserPatch) (cloud.User, error) {
	return s.updateUser(ctx, id, p, false)
}

// updateUser is UpdateUser; own if the user does it itself.
func (s *Service) updateUser(ctx context.Context, id string, p UserPatch, own bool) (cloud.User, error) {
	var hash string
	if p.Password != nil {
		err := s.opts.Compliance.suits(*p.Password)
		if err != nil && !p.Made {
			return cloud.User{}, err
		}
		if hash, err = s.hash(ctx, *p.Password); err != nil {
			return cloud.User{}, err
		}
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.User, error) {
		u, err := tx.Users.Get(id)
		if err != nil {
			return u, err
		}
		u.Options = merge(u.Options, p.Options)
		if hash != "" {
			s.renew(&u, hash, own || p.Made)
		}
		if p.Enabled != nil && *p.Enabled {
			u.FailedLogins, u.FailedAt = 0, nil
		}
		if hash != "" || p.Enabled != nil && !*p.Enabled && u.Enabled {
			u.TokensValidAfter = s.clock.Now()
		}
		set(&u.Name, p.Name)
		set(&u.Description, p.Description)
		set(&u.Email, p.Email)
		set(&u.DefaultProjectID, p.DefaultProjectID)
		set(&u.Enabled, p.Enabled)
		u.Extra = merge(u.Extra, p.Extra)
		return u, taken(tx.Users.Update(u), "user", u.Name)
	})
}

// ChangePassword is what a user does to its own; Unauthenticated if the original
// is wrong. It ends the user's tokens.
func (s *Service) ChangePassword(ctx context.Context, id, original, password string) (err error) {
	defer func() { s.note(err) }()
	u, err := s.User(ctx, id)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	reason, checkErr := s.check(ctx, u.PasswordHash, original)
	if err == nil && checkErr == nil && !s.opts.Compliance.lockedOut(u, s.clock.Now()) {
		checkErr = s.counted(ctx, u, reason != "")
	}
	switch {
	case checkErr != nil:
		return checkErr
	case err != nil:
		return deny(UnknownUser, id, "")
	case !u.Enabled:
		return deny(UserDisabled, u.Name, "")
	case s.opts.Compliance.lockedOut(u, s.clock.Now()):
		return deny(LockedOut, u.Name, "at changing the password")
	case reason != "":
		return deny(reason, u.Name, "at changing the password")
	}
	if err := s.opts.Compliance.suits(password); err != nil {
		return err
	}
	if err := s.mayChange(ctx, u, password); err != nil {
		return err
	}
	_, err = s.updateUser(ctx, id, UserPatch{Password: &password}, true)
	return err
}

// DeleteUser removes a user with its assignments and application credentials.
func (s *Service) DeleteUser(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return deleteUser(tx, id) })
}

func deleteUser(tx *store.Tx, id string) error {
	if _, err := tx.Assignments.DeleteWhere(store.Eq("user_id", id)); err != nil {
		return err
	}
	if err := deleteOf(tx, "user_id", id); err != nil {
		return err
	}
	for _, column := range []string{"trustor_user_id", "trustee_user_id"} {
		if _, err := tx.Trusts.DeleteWhere(store.Eq(column, id)); err != nil {
			return err
		}
	}
	return tx.Users.Delete(id)
}
