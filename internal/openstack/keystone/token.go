package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// tokenReply answers a token with what it is worth.
func (a *api) tokenReply(r *wire.Request, status int, token string, c cloud.Caller) (*wire.Response, error) {
	user, err := a.svc.User(r.Context(), c.UserID)
	if err != nil {
		return nil, err
	}
	body := wire.M{
		"methods": c.Methods, "audit_ids": c.AuditIDs, "expires_at": stamp(c.ExpiresAt), "issued_at": stamp(c.IssuedAt),
		"user": wire.M{
			"id": c.UserID, "name": c.UserName, "domain": idName(c.UserDomainID, c.UserDomainName),
			"password_expires_at": stampOrNull(user.PasswordExpiresAt),
		},
	}
	if err := a.scopeOf(r, body, c); err != nil {
		return nil, err
	}
	resp := &wire.Response{Status: status, Body: wire.M{"token": body}}
	resp.Header = http.Header{"X-Subject-Token": {token}, "Vary": {"X-Auth-Token"}}
	return resp, nil
}

func idName(id, name string) wire.M { return wire.M{"id": id, "name": name} }

// scopeOf adds where the token is good, with which roles, and the catalog.
func (a *api) scopeOf(r *wire.Request, body wire.M, c cloud.Caller) error {
	switch {
	case c.ProjectID != "":
		body["project"] = wire.M{"id": c.ProjectID, "name": c.ProjectName, "domain": idName(c.ProjectDomainID, c.ProjectDomainName)}
		body["is_domain"] = false
	case c.DomainID != "":
		body["domain"] = idName(c.DomainID, c.DomainName)
	case c.System:
		body["system"] = wire.M{"all": true}
	default:
		return nil
	}
	roles := make([]wire.M, 0, len(c.Roles))
	for i, name := range c.Roles {
		roles = append(roles, idName(c.RoleIDs[i], name))
	}
	body["roles"] = roles
	if !flag(r, "nocatalog") {
		found, err := a.catalog(r, c)
		if err != nil {
			return err
		}
		body["catalog"] = found
	}
	if c.OAuthAccessID != "" {
		body["OS-OAUTH1"] = wire.M{"access_token_id": c.OAuthAccessID, "consumer_id": c.OAuthConsumerID}
	}
	if err := a.trustOf(r, body, c); err != nil {
		return err
	}
	if c.ApplicationCredentialID == "" {
		return nil
	}
	cred, err := a.svc.AppCred(r.Context(), c.UserID, c.ApplicationCredentialID)
	if err != nil {
		return err
	}
	shown := wire.M{"id": cred.ID, "name": cred.Name, "restricted": !cred.Unrestricted}
	if len(c.AccessRules) > 0 {
		shown["access_rules"] = showRules(c.AccessRules)
	}
	body["application_credential"] = shown
	return nil
}

// trustOf adds the trust that a token was got by.
func (a *api) trustOf(r *wire.Request, body wire.M, c cloud.Caller) error {
	if c.TrustID == "" {
		return nil
	}
	t, _, err := a.svc.Trust(r.Context(), c.TrustID)
	if err != nil {
		return err
	}
	body["OS-TRUST:trust"] = wire.M{
		"id": t.ID, "impersonation": t.Impersonation, "trustor_user": wire.M{"id": t.TrustorUserID}, "trustee_user": wire.M{"id": t.TrusteeUserID},
	}
	return nil
}
