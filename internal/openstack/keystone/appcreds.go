package keystone

import (
	"net/http"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) appCredRoutes() []wire.Route {
	const all, each = "/v3/users/{user_id}/application_credentials", "/v3/users/{user_id}/application_credentials/{id}"
	const rules = "/v3/users/{user_id}/access_rules"
	return []wire.Route{
		route("GET", all, readerOrSelf, "list_application_credentials", a.appCreds),
		route("POST", all, self, "create_application_credential", a.createAppCred),
		route("GET", each, readerOrSelf, "get_application_credential", a.appCred),
		route("DELETE", each, adminOrSelf, "delete_application_credential", a.deleteAppCred),
		route("GET", rules, readerOrSelf, "list_access_rules", a.accessRules),
		route("GET", rules+"/{id}", readerOrSelf, "get_access_rule", a.accessRule),
		route("DELETE", rules+"/{id}", adminOrSelf, "delete_access_rule", a.deleteAccessRule),
	}
}

// showAppCred shows a credential without its secret.
func (a *api) showAppCred(r *wire.Request, c cloud.ApplicationCredential) (wire.M, error) {
	roles := []wire.M{}
	for _, id := range c.RoleIDs {
		role, err := a.svc.Role(r.Context(), id)
		if cloud.Is(err, cloud.NotFound) {
			continue // deleted since: it counts for nothing
		}
		if err != nil {
			return nil, err
		}
		roles = append(roles, wire.M{"id": role.ID, "name": role.Name, "domain_id": orNull(role.DomainID)})
	}
	rules, err := a.svc.RulesOf(r.Context(), c)
	if err != nil {
		return nil, err
	}
	out := wire.M{
		"id": c.ID, "name": c.Name, "description": orNull(c.Description), "project_id": c.ProjectID, "user_id": c.UserID, "roles": roles,
		"expires_at": expiry(c.ExpiresAt), "unrestricted": c.Unrestricted, "system": nil,
		"links": wire.M{"self": r.Link("/v3/users/" + c.UserID + "/application_credentials/" + c.ID)},
	}
	if len(rules) > 0 {
		out["access_rules"] = showRules(rules)
	}
	return out, nil
}

// orNull is a text, or null for none.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// expiry is written without a zone: it is UTC.
func expiry(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}

// parseExpiry reads a time as clients write it; without a zone it is UTC.
func parseExpiry(text string) (*time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return &t, nil
		}
	}
	return nil, cloud.E("keystone.expiry", cloud.Invalid, "Invalid input for field 'expires_at': %q is not a time like 2026-12-31T23:59:59", text)
}

func (a *api) appCreds(r *wire.Request) (*wire.Response, error) {
	user := r.PathValue("user_id")
	found, err := a.svc.AppCreds(r.Context(), user, r.URL.Query().Get("name"))
	if err != nil {
		return nil, err
	}
	out := []wire.M{}
	for _, c := range found {
		shown, err := a.showAppCred(r, c)
		if err != nil {
			return nil, err
		}
		out = append(out, shown)
	}
	return wire.JSON(wire.M{"application_credentials": out, "links": links(r)}), nil
}

// appCredIn is the body of a creation.
type appCredIn struct {
	Name         string     `json:"name"`
	Description  *string    `json:"description"`
	Secret       *string    `json:"secret"`
	ExpiresAt    *string    `json:"expires_at"`
	Roles        []domainIn `json:"roles"` // ids or names
	Unrestricted bool       `json:"unrestricted"`
	AccessRules  []ruleIn   `json:"access_rules"`
}

func (in appCredIn) request() (out identity.NewAppCred, err error) {
	if err := wire.Name("name", in.Name); err != nil {
		return out, err
	}
	out = identity.NewAppCred{Name: in.Name, Description: valueOr(in.Description, ""), Secret: valueOr(in.Secret, ""), Unrestricted: in.Unrestricted}
	for _, r := range in.Roles {
		out.Roles = append(out.Roles, cloud.Role{ID: r.ID, Name: r.Name})
	}
	if out.AccessRules, err = wantedRules(in.AccessRules); err != nil {
		return out, err
	}
	if in.ExpiresAt != nil {
		out.ExpiresAt, err = parseExpiry(*in.ExpiresAt)
	}
	return out, err
}

func (a *api) createAppCred(r *wire.Request) (*wire.Response, error) {
	var in appCredIn
	if err := r.DecodeObject("application_credential", &in); err != nil {
		return nil, err
	}
	want, err := in.request()
	if err != nil {
		return nil, err
	}
	cred, secret, err := a.svc.CreateAppCred(r.Context(), r.Caller, want)
	if err != nil {
		return nil, err
	}
	out, err := a.showAppCred(r, cred)
	if err != nil {
		return nil, err
	}
	out["secret"] = secret
	return one(http.StatusCreated, "application_credential", out), nil
}

func (a *api) appCred(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	cred, err := a.svc.AppCred(r.Context(), r.PathValue("user_id"), id)
	if err != nil {
		return nil, missing(err, "Application Credential", id)
	}
	out, err := a.showAppCred(r, cred)
	return one(http.StatusOK, "application_credential", out), err
}

func (a *api) deleteAppCred(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	return done(missing(a.svc.DeleteAppCred(r.Context(), r.Caller, r.PathValue("user_id"), id), "Application Credential", id))
}
