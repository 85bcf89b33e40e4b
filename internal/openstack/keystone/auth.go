package keystone

import (
	"encoding/json"
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) authRoutes() []wire.Route {
	return []wire.Route{
		route("POST", "/v3/auth/tokens", wire.Public, "create_token", a.login),
		route("GET", "/v3/auth/tokens", wire.Anyone, "validate_token", a.validate),
		route("DELETE", "/v3/auth/tokens", wire.Anyone, "revoke_token", a.revoke),
		route("GET", "/v3/auth/catalog", wire.Anyone, "get_auth_catalog", a.ownCatalog),
		route("GET", "/v3/auth/projects", wire.Anyone, "get_auth_projects", a.ownProjects),
		route("GET", "/v3/auth/domains", wire.Anyone, "get_auth_domains", a.ownDomains),
		route("GET", "/v3/auth/system", wire.Anyone, "get_auth_system", a.ownSystem),
		route("GET", "/v3/OS-HEARTH/auth/failures", wire.Admin, "list_auth_failures", a.failures),
	}
}

// domainIn, userIn, projectIn and the others are the body of a login.
type domainIn struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (d *domainIn) ref() identity.DomainRef {
	if d == nil {
		return identity.DomainRef{}
	}
	return identity.DomainRef{ID: d.ID, Name: d.Name}
}

// namedIn is a user or a project.
type namedIn struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Domain   *domainIn `json:"domain"`
	Password string    `json:"password"`
}

// check wants an id, or a name with a domain.
func (n namedIn) check(what string) error {
	switch {
	case n.ID != "":
		return nil
	case n.Name == "":
		return cloud.E("keystone.login", cloud.Invalid, "Expecting to find id or name in %s.", what)
	case n.Domain == nil || n.Domain.ID == "" && n.Domain.Name == "":
		return cloud.E("keystone.login", cloud.Invalid, "Expecting to find domain in %s.", what)
	}
	return nil
}

type identityIn struct {
	Methods  []string `json:"methods"`
	Password *struct {
		User namedIn `json:"user"`
	} `json:"password"`
	Token *struct {
		ID string `json:"id"`
	} `json:"token"`
	AppCred *struct {
		ID     string   `json:"id"`
		Name   string   `json:"name"`
		Secret string   `json:"secret"`
		User   *namedIn `json:"user"`
	} `json:"application_credential"`
}

type scopeIn struct {
	Project  *namedIn         `json:"project"`
	Domain   *domainIn        `json:"domain"`
	System   *map[string]bool `json:"system"`
	Unscoped *struct{}        `json:"unscoped"`
	Trust    *domainIn        `json:"OS-TRUST:trust"`
}

// login makes a token.
func (a *api) login(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Identity *identityIn     `json:"identity"`
		Scope    json.RawMessage `json:"scope"`
	}
	if err := r.DecodeObject("auth", &in); err != nil {
		return nil, err
	}
	if in.Identity == nil {
		return nil, cloud.E("keystone.login", cloud.Invalid, "'identity' is a required property")
	}
	login, err := in.Identity.login(r)
	if err != nil {
		return nil, err
	}
	if login.Scope, err = scope(in.Scope); err != nil {
		return nil, err
	}
	token, caller, err := a.svc.Login(r.Context(), login)
	if err != nil {
		return nil, err
	}
	r.Caller = caller
	return a.tokenReply(r, http.StatusCreated, token, caller)
}

// login turns the body's methods into proofs.
func (in *identityIn) login(r *wire.Request) (out identity.Login, err error) {
	const op = "keystone.login"
	if len(in.Methods) == 0 {
		return out, cloud.E(op, cloud.Invalid, "Expecting to find methods in identity.")
	}
	missing := func(method string) error {
		return cloud.E(op, cloud.Invalid, "Expecting to find %s in identity.", method)
	}
	for _, m := range in.Methods {
		switch {
		case m == "password" && in.Password != nil:
			u := in.Password.User
			err = u.check("user")
			out.Password = &identity.PasswordLogin{User: userRef(u), Password: u.Password}
		case m == "token" && in.Token != nil:
			out.Token = in.Token.ID
		case m == "application_credential" && in.AppCred != nil:
			out.AppCred, err = in.appCred()
		case m == "oauth1":
			out.OAuth, err = oauthLogin(r)
		case slices.Contains([]string{"password", "token", "application_credential"}, m):
			err = missing(m)
		default:
			err = cloud.E(op, cloud.Unauthenticated, "Attempted to authenticate with an unsupported method: %s", m)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// oauthLogin reads a login that is signed by an access token.
func oauthLogin(r *wire.Request) (*identity.SignedRequest, error) {
	in, err := signedRequest(r)
	if err == nil {
		err = needParams(in, "oauth_consumer_key", "oauth_token")
	}
	return &in, err
}

func (in *identityIn) appCred() (*identity.AppCredLogin, error) {
	c := in.AppCred
	out := &identity.AppCredLogin{ID: c.ID, Name: c.Name, Secret: c.Secret}
	if c.ID != "" {
		return out, nil
	}
	if c.Name == "" || c.User == nil {
		return nil, cloud.E("keystone.login", cloud.Invalid, "Expecting to find id, or name and user, in application_credential.")
	}
	out.User = userRef(*c.User)
	return out, c.User.check("user")
}

func userRef(u namedIn) identity.UserRef {
	return identity.UserRef{ID: u.ID, Name: u.Name, Domain: u.Domain.ref()}
}

// scope reads where the token shall be good.
func scope(raw json.RawMessage) (out identity.Scope, err error) {
	const op = "keystone.scope"
	switch string(raw) {
	case "", "null":
		return out, nil
	case `"unscoped"`:
		return identity.Scope{Unscoped: true}, nil
	}
	var in scopeIn
	if err := json.Unmarshal(raw, &in); err != nil {
		return out, cloud.E(op, cloud.Invalid, "the scope is not an object of project, domain, system or unscoped")
	}
	n := 0
	if in.Project != nil {
		n++
		err = in.Project.check("project")
		out.Project = &identity.ProjectRef{ID: in.Project.ID, Name: in.Project.Name, Domain: in.Project.Domain.ref()}
	}
	if in.Domain != nil {
		n++
		ref := in.Domain.ref()
		out.Domain = &ref
	}
	if in.System != nil {
		n++
		out.System = (*in.System)["all"]
	}
	if in.Unscoped != nil {
		n++
		out.Unscoped = true
	}
	if in.Trust != nil {
		n++
		out.Trust = in.Trust.ID
	}
	switch {
	case err != nil:
		return out, err
	case n != 1 || out == identity.Scope{}:
		return out, cloud.E(op, cloud.Invalid, "the scope must have exactly one of project, domain, system, OS-TRUST:trust and unscoped")
	}
	return out, nil
}

// subject gives the caller of the token asked about; whose else it is than the
// asker's, only admin and system reader may know. A bad token is NotFound.
func (a *api) subject(r *wire.Request, rule wire.Rule, policy string) (string, cloud.Caller, error) {
	token := r.Header.Get("X-Subject-Token")
	if token == "" {
		return "", cloud.Caller{}, cloud.E("keystone.token", cloud.Invalid, "the request has no X-Subject-Token")
	}
	caller, err := a.svc.Validate(r.Context(), token, flag(r, "allow_expired"))
	switch {
	case cloud.Is(err, cloud.Unauthenticated):
		return "", caller, cloud.E("keystone.token", cloud.NotFound, "Could not find token: it is not valid (any more).")
	case err != nil:
		return "", caller, err
	case caller.UserID != r.Caller.UserID && !rule.Allow(r.Caller):
		return "", caller, wire.Denied("identity:" + policy)
	}
	return token, caller, nil
}

func (a *api) validate(r *wire.Request) (*wire.Response, error) {
	token, caller, err := a.subject(r, systemReader, "validate_token")
	if err != nil {
		return nil, err
	}
	return a.tokenReply(r, http.StatusOK, token, caller)
}

func (a *api) revoke(r *wire.Request) (*wire.Response, error) {
	token, _, err := a.subject(r, wire.Admin, "revoke_token")
	if err != nil {
		return nil, err
	}
	return done(a.svc.Revoke(r.Context(), token))
}

func (a *api) ownProjects(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.UserProjects(r.Context(), r.Caller.UserID)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(p cloud.Project) bool { return !p.Enabled })
	return list(r, "projects", found, showProject), nil
}

func (a *api) ownDomains(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.UserDomains(r.Context(), r.Caller.UserID)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(d cloud.Domain) bool { return !d.Enabled })
	return list(r, "domains", found, showDomain), nil
}

func (a *api) ownSystem(r *wire.Request) (*wire.Response, error) {
	there, err := a.svc.UserSystem(r.Context(), r.Caller.UserID)
	if err != nil {
		return nil, err
	}
	system := []wire.M{}
	if there {
		system = append(system, wire.M{"all": true})
	}
	return wire.JSON(wire.M{"system": system, "links": links(r)}), nil
}

// failures lists why logins and tokens were refused lately: for operators, and
// not of keystone's API.
func (a *api) failures(r *wire.Request) (*wire.Response, error) {
	return list(r, "failures", a.svc.Failures(), func(_ *wire.Request, f identity.Failure) wire.M {
		return wire.M{
			"reason": f.Reason, "user": f.User, "detail": f.Detail, "advice": f.Advice(), "count": f.Count,
			"first_at": stamp(f.First), "last_at": stamp(f.Last),
		}
	}), nil
}
