package keystone

import (
	"net/http"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// trustRoutes are for everybody at the trusts they take part in: the handlers
// look whose they are.
func (a *api) trustRoutes() []wire.Route {
	const each = "/v3/OS-TRUST/trusts/{trust_id}"
	return []wire.Route{
		route("GET", "/v3/OS-TRUST/trusts", wire.Anyone, "list_trusts", a.trusts),
		route("POST", "/v3/OS-TRUST/trusts", wire.Anyone, "create_trust", a.createTrust),
		route("GET", each, wire.Anyone, "get_trust", a.trust),
		route("DELETE", each, wire.Anyone, "delete_trust", a.deleteTrust),
		route("GET", each+"/roles", wire.Anyone, "list_roles_for_trust", a.trustRoles),
		route("GET", each+"/roles/{role_id}", wire.Anyone, "get_role_for_trust", a.trustRole),
	}
}

// summary is a trust as lists show it.
func summary(r *wire.Request, t cloud.Trust) wire.M {
	var expires any
	if t.ExpiresAt != nil {
		expires = stamp(*t.ExpiresAt)
	}
	out := wire.M{
		"id": t.ID, "trustor_user_id": t.TrustorUserID, "trustee_user_id": t.TrusteeUserID, "project_id": orNull(t.ProjectID),
		"impersonation": t.Impersonation, "expires_at": expires, "remaining_uses": t.RemainingUses, "deleted_at": nil,
		"redelegation_count": t.RedelegationCount, "links": wire.M{"self": r.Link("/v3/OS-TRUST/trusts/" + t.ID)},
	}
	if t.RedelegatedTrustID != "" {
		out["redelegated_trust_id"] = t.RedelegatedTrustID
	}
	return out
}

func showTrust(r *wire.Request, t cloud.Trust, roles []cloud.Role) wire.M {
	out := summary(r, t)
	shown := make([]wire.M, len(roles))
	for i, role := range roles {
		shown[i] = showRole(r, role)
	}
	out["roles"] = shown
	out["roles_links"] = wire.M{"self": r.Link("/v3/OS-TRUST/trusts/" + t.ID + "/roles"), "next": nil, "previous": nil}
	return out
}

// trusts lists a trustor's, a trustee's, or all, which is for admins and readers
// of the system.
func (a *api) trusts(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	trustor, trustee := q.Get("trustor_user_id"), q.Get("trustee_user_id")
	if me := r.Caller.UserID; trustor != me && trustee != me && !systemReader.Allow(r.Caller) {
		return nil, wire.Denied("identity:list_trusts")
	}
	found, err := a.svc.Trusts(r.Context(), trustor, trustee)
	if err != nil {
		return nil, err
	}
	return list(r, "trusts", found, summary), nil
}

// trustIn is the body of a creation.
type trustIn struct {
	TrustorUserID     *string    `json:"trustor_user_id"`
	TrusteeUserID     *string    `json:"trustee_user_id"`
	Impersonation     *bool      `json:"impersonation"`
	ProjectID         *string    `json:"project_id"`
	ExpiresAt         *string    `json:"expires_at"`
	RemainingUses     *int       `json:"remaining_uses"`
	AllowRedelegation bool       `json:"allow_redelegation"`
	RedelegationCount *int       `json:"redelegation_count"`
	Roles             []domainIn `json:"roles"` // ids or names
}

func (in trustIn) trust() (t cloud.Trust, roles []cloud.Role, err error) {
	const op = "keystone.trust"
	for name, there := range map[string]bool{
		"trustor_user_id": in.TrustorUserID != nil, "trustee_user_id": in.TrusteeUserID != nil, "impersonation": in.Impersonation != nil,
	} {
		if !there {
			return t, nil, cloud.E(op, cloud.Invalid, "'%s' is a required property", name)
		}
	}
	if in.RemainingUses != nil && *in.RemainingUses < 1 {
		return t, nil, cloud.E(op, cloud.Invalid, "remaining_uses must be a positive integer or null.")
	}
	t = cloud.Trust{
		TrustorUserID: *in.TrustorUserID, TrusteeUserID: *in.TrusteeUserID, Impersonation: *in.Impersonation, ProjectID: valueOr(in.ProjectID, ""),
		RemainingUses: in.RemainingUses, AllowRedelegation: in.AllowRedelegation, RedelegationCount: valueOr(in.RedelegationCount, 0),
	}
	if t.RedelegationCount < 0 {
		return t, nil, cloud.E(op, cloud.Invalid, "redelegation_count must not be negative")
	}
	for _, role := range in.Roles {
		roles = append(roles, cloud.Role{ID: role.ID, Name: role.Name})
	}
	if in.ExpiresAt != nil {
		var at *time.Time
		at, err = parseExpiry(*in.ExpiresAt)
		t.ExpiresAt = at
	}
	return t, roles, err
}

func (a *api) createTrust(r *wire.Request) (*wire.Response, error) {
	var in trustIn
	if err := r.DecodeObject("trust", &in); err != nil {
		return nil, err
	}
	t, roles, err := in.trust()
	if err != nil {
		return nil, err
	}
	if t, err = a.svc.CreateTrust(r.Context(), r.Caller, t, roles); err != nil {
		return nil, err
	}
	_, roles, err = a.svc.Trust(r.Context(), t.ID)
	if err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "trust", showTrust(r, t, roles)), nil
}

// ownTrust gives the trust of the path to those who take part in it and to those
// that the rule allows.
func (a *api) ownTrust(r *wire.Request, rule wire.Rule, trustee bool, policy string) (cloud.Trust, []cloud.Role, error) {
	id := r.PathValue("trust_id")
	t, roles, err := a.svc.Trust(r.Context(), id)
	if err != nil {
		return t, nil, missing(err, "trust", id)
	}
	me := r.Caller.UserID
	if t.TrustorUserID != me && !(trustee && t.TrusteeUserID == me) && !rule.Allow(r.Caller) {
		return t, nil, wire.Denied("identity:" + policy)
	}
	return t, roles, nil
}

func (a *api) trust(r *wire.Request) (*wire.Response, error) {
	t, roles, err := a.ownTrust(r, systemReader, true, "get_trust")
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "trust", showTrust(r, t, roles)), nil
}

func (a *api) deleteTrust(r *wire.Request) (*wire.Response, error) {
	t, _, err := a.ownTrust(r, wire.Admin, false, "delete_trust")
	if err != nil {
		return nil, err
	}
	return done(a.svc.DeleteTrust(r.Context(), t.ID))
}

func (a *api) trustRoles(r *wire.Request) (*wire.Response, error) {
	_, roles, err := a.ownTrust(r, systemReader, true, "list_roles_for_trust")
	if err != nil {
		return nil, err
	}
	return list(r, "roles", roles, showRole), nil
}

func (a *api) trustRole(r *wire.Request) (*wire.Response, error) {
	_, roles, err := a.ownTrust(r, systemReader, true, "get_role_for_trust")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("role_id")
	for _, role := range roles {
		if role.ID == id {
			return one(http.StatusOK, "role", showRole(r, role)), nil
		}
	}
	return nil, cloud.E("keystone.trust", cloud.NotFound, "Could not find role: %s.", id)
}
