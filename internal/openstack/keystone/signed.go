package keystone

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// service is a service's own user: one of its project that passes on what others
// signed. Everybody else could ask what a signature that was overheard is worth.
var service = wire.Rule{Name: "admin or service", Allow: func(c cloud.Caller) bool { return c.IsAdmin() || c.Has("service") }}

// signedRoutes answer services that got a request with a signature of Amazon's kind.
func (a *api) signedRoutes() []wire.Route {
	return []wire.Route{
		route("POST", "/v3/ec2tokens", service, "ec2tokens_validate", a.ec2Token),
		route("POST", "/v3/s3tokens", service, "s3tokens_validate", a.s3Token),
	}
}

// signedIn is what was signed. Of params, clients send numbers too.
type signedIn struct {
	Access    string         `json:"access"`
	Signature string         `json:"signature"`
	Verb      string         `json:"verb"`
	Host      string         `json:"host"`
	Path      string         `json:"path"`
	BodyHash  string         `json:"body_hash"`
	Token     string         `json:"token"`
	Params    map[string]any `json:"params"`
	Headers   map[string]any `json:"headers"`
}

// readSigned reads the body, in which the object has any of three names.
func readSigned(r *wire.Request) (identity.KeyPairLogin, signedIn, error) {
	var in struct {
		Credentials *signedIn `json:"credentials"`
		Credential  *signedIn `json:"credential"`
		EC2         *signedIn `json:"ec2Credentials"`
	}
	if err := r.Decode(&in); err != nil {
		return identity.KeyPairLogin{}, signedIn{}, err
	}
	var got signedIn
	for _, one := range []*signedIn{in.EC2, in.Credential, in.Credentials} {
		if one != nil {
			got = *one
		}
	}
	if got.Access == "" {
		return identity.KeyPairLogin{}, got, cloud.E("keystone.signed", cloud.Unauthenticated, "EC2 Signature not supplied")
	}
	return identity.KeyPairLogin{
		Access: got.Access, Signature: got.Signature, Verb: got.Verb, Host: got.Host, Path: got.Path, Body: got.BodyHash, Params: texts(got.Params), Headers: texts(got.Headers),
	}, got, nil
}

// texts are values as they stand in a URL.
func texts(of map[string]any) map[string]string {
	out := make(map[string]string, len(of))
	for name, value := range of {
		out[name] = fmt.Sprint(value)
	}
	return out
}

// ec2Token makes a token of whoever signed a request to EC2.
func (a *api) ec2Token(r *wire.Request) (*wire.Response, error) {
	login, _, err := readSigned(r)
	if err != nil {
		return nil, err
	}
	return a.signedToken(r, login)
}

// s3Token tells who signed a request to S3; the token itself it keeps for itself.
func (a *api) s3Token(r *wire.Request) (*wire.Response, error) {
	login, in, err := readSigned(r)
	if err != nil {
		return nil, err
	}
	login.S3 = true
	if login.Token, err = base64.URLEncoding.DecodeString(in.Token); err != nil {
		if login.Token, err = base64.StdEncoding.DecodeString(in.Token); err != nil {
			return nil, cloud.E("keystone.s3", cloud.Invalid, "'token' must be the string that was signed, in base64")
		}
	}
	resp, err := a.signedToken(r, login)
	if err == nil {
		resp.Header.Del("X-Subject-Token")
	}
	return resp, err
}

func (a *api) signedToken(r *wire.Request, login identity.KeyPairLogin) (*wire.Response, error) {
	token, caller, err := a.svc.LoginByKeyPair(r.Context(), login)
	if err != nil {
		return nil, err
	}
	r.Caller = caller
	return a.tokenReply(r, http.StatusOK, token, caller)
}
