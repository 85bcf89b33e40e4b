package keystone

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// credentialRoutes are for everybody at their own credentials: the handlers look
// whose they are.
func (a *api) credentialRoutes() []wire.Route {
	const each = "/v3/credentials/{credential_id}"
	return []wire.Route{
		route("GET", "/v3/credentials", wire.Anyone, "list_credentials", a.credentials),
		route("POST", "/v3/credentials", wire.Anyone, "create_credential", a.createCredential),
		route("GET", each, wire.Anyone, "get_credential", a.credential),
		route("PATCH", each, wire.Anyone, "update_credential", a.updateCredential),
		route("DELETE", each, wire.Anyone, "delete_credential", a.deleteCredential),
	}
}

func showCredential(r *wire.Request, c cloud.Credential) wire.M {
	out := wire.M{}
	maps.Copy(out, c.Extra)
	maps.Copy(out, wire.M{
		"id": c.ID, "user_id": c.UserID, "project_id": orNull(c.ProjectID), "type": c.Type, "blob": c.Blob,
		"links": wire.M{"self": r.Link("/v3/credentials/" + c.ID)},
	})
	return out
}

func (a *api) credentials(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.Credentials(r.Context(), q.Get("user_id"), q.Get("type"))
	if err != nil {
		return nil, err
	}
	if !systemReader.Allow(r.Caller) {
		found = slices.DeleteFunc(found, func(c cloud.Credential) bool { return c.UserID != r.Caller.UserID })
	}
	return list(r, "credentials", found, showCredential), nil
}

// blob is a text, or an object that is kept as one.
func (b *body) blob() *string {
	v, ok := b.take("blob")
	if object, isObject := v.(map[string]any); ok && isObject {
		if text, err := json.Marshal(object); err == nil {
			s := string(text)
			return &s
		}
	}
	return b.text("blob")
}

func (a *api) createCredential(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "credential")
	if err != nil {
		return nil, err
	}
	typ, blob, user := b.name("type", 255), b.blob(), b.text("user_id")
	b.need("blob", blob != nil)
	b.need("type", typ != nil)
	b.need("user_id", user != nil)
	if b.err != nil {
		return nil, b.err
	}
	c := cloud.Credential{UserID: *user, ProjectID: valueOr(b.text("project_id"), ""), Type: *typ, Blob: *blob}
	if b.err != nil {
		return nil, b.err
	}
	c.Extra = b.extra()
	if c.UserID != r.Caller.UserID && !r.Caller.IsAdmin() {
		return nil, wire.Denied("identity:create_credential")
	}
	if err := a.svc.MayMakeCredentials(r.Context(), r.Caller); err != nil {
		return nil, err
	}
	if c, err = a.svc.CreateCredential(r.Context(), c); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "credential", showCredential(r, c)), nil
}

// ownCredential gives the credential of the path to its owner and to those that
// the rule allows.
func (a *api) ownCredential(r *wire.Request, rule wire.Rule, policy string) (cloud.Credential, error) {
	id := r.PathValue("credential_id")
	c, err := a.svc.Credential(r.Context(), id)
	switch allowed := rule.Allow(r.Caller); {
	case err != nil && (allowed || !cloud.Is(err, cloud.NotFound)):
		return c, missing(err, "credential", id)
	case err != nil || !allowed && c.UserID != r.Caller.UserID:
		return c, wire.Denied("identity:" + policy)
	}
	return c, nil
}

func (a *api) credential(r *wire.Request) (*wire.Response, error) {
	c, err := a.ownCredential(r, systemReader, "get_credential")
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "credential", showCredential(r, c)), nil
}

func (a *api) updateCredential(r *wire.Request) (*wire.Response, error) {
	old, err := a.ownCredential(r, wire.Admin, "update_credential")
	if err != nil {
		return nil, err
	}
	if err := a.svc.MayMakeCredentials(r.Context(), r.Caller); err != nil {
		return nil, err
	}
	b, err := decode(r, "credential")
	if err != nil {
		return nil, err
	}
	p := identity.CredentialPatch{UserID: b.text("user_id"), ProjectID: b.text("project_id"), Type: b.name("type", 255), Blob: b.blob()}
	if b.err != nil {
		return nil, b.err
	}
	if p.UserID != nil && *p.UserID != r.Caller.UserID && !r.Caller.IsAdmin() {
		return nil, wire.Denied("identity:update_credential")
	}
	p.Extra = b.extra()
	c, err := a.svc.UpdateCredential(r.Context(), old.ID, p)
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "credential", showCredential(r, c)), nil
}

func (a *api) deleteCredential(r *wire.Request) (*wire.Response, error) {
	c, err := a.ownCredential(r, wire.Admin, "delete_credential")
	if err != nil {
		return nil, err
	}
	return done(a.svc.DeleteCredential(r.Context(), c.ID))
}
