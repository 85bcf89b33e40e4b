package keystone

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) userRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/v3/users", systemReader, "list_users", a.users),
		route("POST", "/v3/users", wire.Admin, "create_user", a.createUser),
		route("GET", "/v3/users/{user_id}", readerOrSelf, "get_user", a.user),
		route("PATCH", "/v3/users/{user_id}", wire.Admin, "update_user", a.updateUser),
		route("DELETE", "/v3/users/{user_id}", wire.Admin, "delete_user", a.deleteUser),
		// The original password is the proof, and a token may not be had any more
		// when it has expired: keystone too asks for none.
		route("POST", "/v3/users/{user_id}/password", wire.Public, "change_password", a.changePassword),
	}
}

func showUser(r *wire.Request, u cloud.User) wire.M {
	out := wire.M{}
	maps.Copy(out, u.Extra)
	maps.Copy(out, wire.M{
		"id": u.ID, "name": u.Name, "domain_id": u.DomainID, "enabled": u.Enabled, "options": optionsOf(u.Options),
		"password_expires_at": stampOrNull(u.PasswordExpiresAt), "links": wire.M{"self": r.Link("/v3/users/" + u.ID)},
	})
	for name, value := range map[string]string{"description": u.Description, "email": u.Email, "default_project_id": u.DefaultProjectID} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// optionsOf is an object that is never null.
func optionsOf(options map[string]any) map[string]any {
	if options == nil {
		return wire.M{}
	}
	return options
}

// userOptions reads the options of a user: those that are known, true, false or
// null.
func userOptions(b *body) map[string]any {
	v, ok := b.take("options")
	if !ok || v == nil {
		return nil
	}
	options, isObject := v.(map[string]any)
	if !isObject {
		b.fail("options", "object", v)
	}
	for name, value := range options {
		if !slices.Contains(identity.UserOptions, name) && b.err == nil {
			b.err = cloud.E("keystone.options", cloud.Invalid, "Invalid input for field 'options': the option %q is not known here: there are %s", name, strings.Join(identity.UserOptions, ", "))
		}
		if _, isBool := value.(bool); !isBool && value != nil {
			b.fail("options."+name, "boolean", value)
		}
	}
	return options
}

func (a *api) users(r *wire.Request) (*wire.Response, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	found, err := a.svc.Users(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return list(r, "users", found, showUser), nil
}

func (a *api) createUser(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "user")
	if err != nil {
		return nil, err
	}
	name, password := b.name("name", 255), b.text("password")
	b.need("name", name != nil)
	u := cloud.User{
		Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), Email: valueOr(b.text("email"), ""),
		DomainID: valueOr(b.text("domain_id"), ""), DefaultProjectID: valueOr(b.text("default_project_id"), ""), Enabled: valueOr(b.boolean("enabled"), true),
		Options: userOptions(b),
	}
	if b.err != nil {
		return nil, b.err
	}
	if u.DomainID == "" {
		u.DomainID = homeDomain(r.Caller)
	}
	b.take("tenantId")
	u.Extra = b.extra()
	if u, err = a.svc.CreateUser(r.Context(), u, valueOr(password, "")); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "user", showUser(r, u)), nil
}

func (a *api) user(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("user_id")
	u, err := a.svc.User(r.Context(), id)
	if err != nil {
		return nil, missing(err, "user", id)
	}
	return one(http.StatusOK, "user", showUser(r, u)), nil
}

func (a *api) updateUser(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "user")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("user_id")
	old, err := a.svc.User(r.Context(), id)
	if err != nil {
		return nil, missing(err, "user", id)
	}
	b.fixed("domain_id", old.DomainID)
	p := identity.UserPatch{
		Name: b.name("name", 255), Description: b.text("description"), Email: b.text("email"), Password: b.text("password"),
		DefaultProjectID: b.text("default_project_id"), Enabled: b.boolean("enabled"), Options: userOptions(b),
	}
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	u, err := a.svc.UpdateUser(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "user", id)
	}
	return one(http.StatusOK, "user", showUser(r, u)), nil
}

func (a *api) deleteUser(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("user_id")
	return done(missing(a.svc.DeleteUser(r.Context(), id), "user", id))
}

func (a *api) changePassword(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "user")
	if err != nil {
		return nil, err
	}
	original, password := b.text("original_password"), b.text("password")
	b.need("original_password", original != nil)
	b.need("password", password != nil)
	if b.err != nil {
		return nil, b.err
	}
	return done(a.svc.ChangePassword(r.Context(), r.PathValue("user_id"), *original, *password))
}
