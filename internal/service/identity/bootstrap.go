package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// AdminName is the name of the first user and of its project.
const AdminName = "admin"

// DemoProject is the name of the project for trying things.
const DemoProject = "demo"

// Result is what Bootstrap left behind.
type Result struct {
	AdminPassword                           string // if the admin was made now, else ""
	AdminUserID                             string
	AdminProjectID, DemoProjectID           string
	AdminRoleID, MemberRoleID, ReaderRoleID string
}

// Bootstrap makes what every cloud has, where it is missing: the default domain,
// the roles, the projects admin and demo, the user admin, who is admin of both,
// of the domain and of the system; and once, what the catalog lists and which
// roles imply which. "" makes a password up. An admin that is
// there keeps its password. It can be run again at any time, also after it was
// cut off.
func (s *Service) Bootstrap(ctx context.Context, adminPassword string) (Result, error) {
	if adminPassword == "" {
		adminPassword = NewPassword()
	}
	there, err := s.Users(ctx, Filter{Name: AdminName, DomainID: cloud.DefaultDomainID})
	if err != nil {
		return Result{}, err
	}
	hash := ""
	if len(there) == 0 {
		if hash, err = s.hash(ctx, adminPassword); err != nil {
			return Result{}, err
		}
	}
	return write(ctx, s, func(tx *store.Tx) (Result, error) {
		r, err := s.bootstrap(tx, hash)
		if err == nil && r.AdminPassword != "" {
			r.AdminPassword = adminPassword
		}
		return r, err
	})
}

// bootstrap works inside of one transaction. A made admin shows as a password
// that is not empty.
func (s *Service) bootstrap(tx *store.Tx, hash string) (r Result, err error) {
	if _, err = tx.Domains.Get(cloud.DefaultDomainID); cloud.Is(err, cloud.NotFound) {
		err = tx.Domains.Insert(cloud.Domain{ID: cloud.DefaultDomainID, Name: "Default", Description: "The default domain", Enabled: true})
	}
	if err != nil {
		return r, err
	}
	for _, role := range []struct {
		name string
		id   *string
	}{{cloud.RoleAdmin, &r.AdminRoleID}, {cloud.RoleMember, &r.MemberRoleID}, {cloud.RoleReader, &r.ReaderRoleID}} {
		if *role.id, err = ensureRole(tx, role.name); err != nil {
			return r, err
		}
	}
	if r.AdminProjectID, err = ensureProject(tx, AdminName, "The operator's own project"); err != nil {
		return r, err
	}
	if r.DemoProjectID, err = ensureProject(tx, DemoProject, "For trying things"); err != nil {
		return r, err
	}
	if err = ensureAdmin(tx, &r, hash); err != nil {
		return r, err
	}
	for _, a := range []cloud.Assignment{{ProjectID: r.AdminProjectID}, {ProjectID: r.DemoProjectID}, {DomainID: cloud.DefaultDomainID}, {System: true}} {
		a.UserID, a.RoleID = r.AdminUserID, r.AdminRoleID
		a.ID = a.Key()
		if err := tx.Assignments.Put(a); err != nil {
			return r, err
		}
	}
	return r, s.seed(tx, r)
}

func ensureRole(tx *store.Tx, name string) (string, error) {
	role, err := tx.Roles.Find(store.Eq("domain_id", ""), store.Eq("name", name))
	if !cloud.Is(err, cloud.NotFound) {
		return role.ID, err
	}
	role = cloud.Role{ID: cloud.NewHexID(), Name: name}
	return role.ID, tx.Roles.Insert(role)
}

func ensureProject(tx *store.Tx, name, description string) (string, error) {
	p, err := tx.Projects.Find(store.Eq("domain_id", cloud.DefaultDomainID), store.Eq("name", name))
	if !cloud.Is(err, cloud.NotFound) {
		return p.ID, err
	}
	p = cloud.Project{ID: cloud.NewHexID(), Name: name, Description: description, DomainID: cloud.DefaultDomainID, ParentID: cloud.DefaultDomainID, Enabled: true}
	return p.ID, tx.Projects.Insert(p)
}

func ensureAdmin(tx *store.Tx, r *Result, hash string) error {
	u, err := tx.Users.Find(store.Eq("domain_id", cloud.DefaultDomainID), store.Eq("name", AdminName))
	r.AdminUserID = u.ID
	if !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if hash == "" {
		return cloud.E("identity.Bootstrap", cloud.Conflict, "the user %s was deleted meanwhile: try again", AdminName)
	}
	u = cloud.User{ID: cloud.NewHexID(), Name: AdminName, DomainID: cloud.DefaultDomainID, Enabled: true, PasswordHash: hash, DefaultProjectID: r.AdminProjectID}
	r.AdminUserID, r.AdminPassword = u.ID, "made"
	return tx.Users.Insert(u)
}

// ResetAdmin gives the admin a new password, which it returns, and mends what
// else may keep it out: a disabled user, project or domain, roles taken away,
// a user deleted.
func (s *Service) ResetAdmin(ctx context.Context) (password string, err error) {
	password = NewPassword()
	r, err := s.Bootstrap(ctx, password)
	if err != nil {
		return "", err
	}
	yes := true
	if _, err := s.UpdateProject(ctx, r.AdminProjectID, ProjectPatch{Enabled: &yes}); err != nil {
		return "", err
	}
	if _, err := s.UpdateDomain(ctx, cloud.DefaultDomainID, DomainPatch{Enabled: &yes}); err != nil {
		return "", err
	}
	_, err = s.UpdateUser(ctx, r.AdminUserID, UserPatch{Password: &password, Made: true, Enabled: &yes})
	return password, err
}
