package keystone

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) oauthRoutes() []wire.Route {
	const (
		base   = "/v3/OS-OAUTH1"
		each   = base + "/consumers/{consumer_id}"
		tokens = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
		token  = tokens + "/{access_token_id}"
	)
	return []wire.Route{
		route("GET", base+"/consumers", systemReader, "list_consumers", a.consumers),
		route("POST", base+"/consumers", wire.Admin, "create_consumer", a.createConsumer),
		route("GET", each, systemReader, "get_consumer", a.consumer),
		route("PATCH", each, wire.Admin, "update_consumer", a.updateConsumer),
		route("DELETE", each, wire.Admin, "delete_consumer", a.deleteConsumer),
		route("POST", base+"/request_token", wire.Public, "create_request_token", a.requestToken),
		route("PUT", base+"/authorize/{request_token_id}", wire.Admin, "authorize_request_token", a.authorizeRequest),
		route("POST", base+"/access_token", wire.Public, "create_access_token", a.accessToken),
		route("GET", tokens, wire.Admin, "list_access_tokens", a.accesses),
		route("GET", token, wire.Admin, "get_access_token", a.access),
		route("DELETE", token, adminOrSelf, "delete_access_token", a.deleteAccess),
		route("GET", token+"/roles", wire.Admin, "list_access_token_roles", a.accessRoles),
		route("GET", token+"/roles/{role_id}", wire.Admin, "get_access_token_role", a.accessRole),
	}
}

func showConsumer(r *wire.Request, c cloud.OAuthConsumer) wire.M {
	out := wire.M{}
	maps.Copy(out, c.Extra)
	maps.Copy(out, wire.M{"id": c.ID, "description": c.Description, "links": wire.M{"self": r.Link("/v3/OS-OAUTH1/consumers/" + c.ID)}})
	return out
}

func (a *api) consumers(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Consumers(r.Context())
	if err != nil {
		return nil, err
	}
	return list(r, "consumers", found, showConsumer), nil
}

// createConsumer answers the secret too: that is not shown again.
func (a *api) createConsumer(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "consumer")
	if err != nil {
		return nil, err
	}
	in := cloud.OAuthConsumer{Description: valueOr(b.text("description"), "")}
	b.text("secret")
	if b.err != nil {
		return nil, b.err
	}
	in.Extra = b.extra()
	c, err := a.svc.CreateConsumer(r.Context(), in)
	if err != nil {
		return nil, err
	}
	shown := showConsumer(r, c)
	shown["secret"] = c.Secret
	return one(http.StatusCreated, "consumer", shown), nil
}

func (a *api) consumer(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("consumer_id")
	c, err := a.svc.Consumer(r.Context(), id)
	if err != nil {
		return nil, missing(err, "consumer", id)
	}
	return one(http.StatusOK, "consumer", showConsumer(r, c)), nil
}

func (a *api) updateConsumer(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "consumer")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("consumer_id")
	b.fixed("id", id)
	description := b.text("description")
	if b.text("secret") != nil {
		return nil, cloud.E("keystone.consumer", cloud.Invalid, "the secret of a consumer is made here and does not change")
	}
	if b.err != nil {
		return nil, b.err
	}
	c, err := a.svc.UpdateConsumer(r.Context(), id, description, b.extra())
	if err != nil {
		return nil, missing(err, "consumer", id)
	}
	return one(http.StatusOK, "consumer", showConsumer(r, c)), nil
}

func (a *api) deleteConsumer(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("consumer_id")
	return done(missing(a.svc.DeleteConsumer(r.Context(), id), "consumer", id))
}

// signedRequest reads a request signed by OAuth: its parameters are in the
// Authorization header and in the query.
func signedRequest(r *wire.Request) (identity.SignedRequest, error) {
	out := identity.SignedRequest{Method: r.Method, URL: r.BaseURL + r.URL.EscapedPath()}
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "OAuth") {
		return out, cloud.E("keystone.oauth", cloud.Invalid, "Error retrieving required data: Cannot retrieve Authorization headers")
	}
	for _, part := range strings.Split(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value, err := url.PathUnescape(strings.Trim(value, `"`))
		if !ok || err != nil {
			return out, cloud.E("keystone.oauth", cloud.Invalid, "the Authorization header has a part that is not name=\"value\"")
		}
		out.Params = append(out.Params, [2]string{name, value})
	}
	for name, values := range r.URL.Query() {
		for _, v := range values {
			out.Params = append(out.Params, [2]string{name, v})
		}
	}
	return out, nil
}

// needParams refuses a signed request without a parameter.
func needParams(in identity.SignedRequest, names ...string) error {
	have := map[string]bool{}
	for _, p := range in.Params {
		have[p[0]] = p[1] != ""
	}
	for _, name := range names {
		if !have[name] {
			return cloud.E("keystone.oauth", cloud.Invalid, "Expecting to find %s in request.", name)
		}
	}
	return nil
}

// form answers a token with its secret, as OAuth has it.
func form(id, secret, expires string) *wire.Response {
	text := "oauth_token=" + id + "&oauth_token_secret=" + secret + "&oauth_expires_at=" + expires
	return &wire.Response{Status: http.StatusCreated, Body: wire.Raw{Type: "application/x-www-form-urlencoded", Bytes: []byte(text)}}
}

func (a *api) requestToken(r *wire.Request) (*wire.Response, error) {
	in, err := signedRequest(r)
	if err == nil {
		err = needParams(in, "oauth_consumer_key")
	}
	if err != nil {
		return nil, err
	}
	project := r.Header.Get("Requested-Project-Id")
	if project == "" {
		return nil, cloud.E("keystone.oauth", cloud.Invalid, "Expecting to find Requested-Project-Id in request.")
	}
	t, err := a.svc.RequestAccess(r.Context(), in, project)
	if err != nil {
		return nil, err
	}
	return form(t.ID, t.Secret, stamp(t.ExpiresAt)), nil
}

func (a *api) authorizeRequest(r *wire.Request) (*wire.Response, error) {
	var in []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := r.DecodeObject("roles", &in); err != nil {
		return nil, err
	}
	var roles []cloud.Role
	for _, role := range in {
		if (role.ID == "") == (role.Name == "") {
			return nil, cloud.E("keystone.oauth", cloud.Invalid, "a role is said by its id or by its name")
		}
		roles = append(roles, cloud.Role{ID: role.ID, Name: role.Name})
	}
	id := r.PathValue("request_token_id")
	verifier, err := a.svc.AuthorizeRequest(r.Context(), r.Caller, id, roles)
	if err != nil {
		return nil, missing(err, "request token", id)
	}
	return one(http.StatusOK, "token", wire.M{"oauth_verifier": verifier}), nil
}

func (a *api) accessToken(r *wire.Request) (*wire.Response, error) {
	in, err := signedRequest(r)
	if err == nil {
		err = needParams(in, "oauth_consumer_key", "oauth_token", "oauth_verifier")
	}
	if err != nil {
		return nil, err
	}
	t, err := a.svc.TakeAccess(r.Context(), in)
	if err != nil {
		return nil, err
	}
	return form(t.ID, t.Secret, stamp(t.ExpiresAt)), nil
}

func showAccess(r *wire.Request, t cloud.OAuthAccess) wire.M {
	self := "/v3/users/" + t.UserID + "/OS-OAUTH1/access_tokens/" + t.ID
	return wire.M{
		"id": t.ID, "consumer_id": t.ConsumerID, "project_id": t.ProjectID, "authorizing_user_id": t.UserID, "expires_at": stamp(t.ExpiresAt),
		"links": wire.M{"self": r.Link(self), "roles": r.Link(self + "/roles")},
	}
}

func (a *api) accesses(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Accesses(r.Context(), r.PathValue("user_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "access_tokens", found, showAccess), nil
}

func (a *api) access(r *wire.Request) (*wire.Response, error) {
	t, _, err := a.svc.Access(r.Context(), r.PathValue("user_id"), r.PathValue("access_token_id"))
	if err != nil {
		return nil, missing(err, "access token", r.PathValue("access_token_id"))
	}
	return one(http.StatusOK, "access_token", showAccess(r, t)), nil
}

func (a *api) deleteAccess(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("access_token_id")
	return done(missing(a.svc.DeleteAccess(r.Context(), r.PathValue("user_id"), id), "access token", id))
}

func (a *api) accessRoles(r *wire.Request) (*wire.Response, error) {
	_, roles, err := a.svc.Access(r.Context(), r.PathValue("user_id"), r.PathValue("access_token_id"))
	if err != nil {
		return nil, missing(err, "access token", r.PathValue("access_token_id"))
	}
	return list(r, "roles", roles, showRole), nil
}

func (a *api) accessRole(r *wire.Request) (*wire.Response, error) {
	_, roles, err := a.svc.Access(r.Context(), r.PathValue("user_id"), r.PathValue("access_token_id"))
	if err != nil {
		return nil, missing(err, "access token", r.PathValue("access_token_id"))
	}
	for _, role := range roles {
		if role.ID == r.PathValue("role_id") {
			return one(http.StatusOK, "role", showRole(r, role)), nil
		}
	}
	return nil, missing(cloud.E("keystone.oauth", cloud.NotFound, ""), "role", r.PathValue("role_id"))
}
