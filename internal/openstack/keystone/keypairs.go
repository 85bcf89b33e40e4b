package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// keyPairRoutes are the extension OS-EC2: key pairs of Amazon's kind, which are
// credentials of type ec2.
func (a *api) keyPairRoutes() []wire.Route {
	const all, each = "/v3/users/{user_id}/credentials/OS-EC2", "/v3/users/{user_id}/credentials/OS-EC2/{access}"
	return []wire.Route{
		route("GET", all, readerOrSelf, "ec2_list_credentials", a.keyPairs),
		route("POST", all, adminOrSelf, "ec2_create_credential", a.createKeyPair),
		route("GET", each, readerOrSelf, "ec2_get_credential", a.keyPair),
		route("DELETE", each, adminOrSelf, "ec2_delete_credential", a.deleteKeyPair),
	}
}

// showKeyPair shows a credential of type ec2 in EC2's words.
func showKeyPair(r *wire.Request, c cloud.Credential) wire.M {
	pair, err := identity.ReadKeyPair(c)
	if err != nil {
		return nil // not one that can be used
	}
	return wire.M{
		"user_id": c.UserID, "tenant_id": c.ProjectID, "access": pair.Access, "secret": pair.Secret, "trust_id": pair.TrustID,
		"links": wire.M{"self": r.Link("/v3/users/" + c.UserID + "/credentials/OS-EC2/" + pair.Access)},
	}
}

func (a *api) keyPairs(r *wire.Request) (*wire.Response, error) {
	user := r.PathValue("user_id")
	if _, err := a.svc.User(r.Context(), user); err != nil {
		return nil, missing(err, "user", user)
	}
	found, err := a.svc.Credentials(r.Context(), user, identity.EC2)
	if err != nil {
		return nil, err
	}
	out := []wire.M{}
	for _, c := range found {
		if shown := showKeyPair(r, c); shown != nil {
			out = append(out, shown)
		}
	}
	return wire.JSON(wire.M{"credentials": out, "links": links(r)}), nil
}

func (a *api) createKeyPair(r *wire.Request) (*wire.Response, error) {
	var in struct {
		TenantID  string `json:"tenant_id"`
		ProjectID string `json:"project_id"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.TenantID == "" {
		in.TenantID = in.ProjectID
	}
	if in.TenantID == "" {
		return nil, cloud.E("keystone.ec2", cloud.Invalid, "'tenant_id' is a required property")
	}
	if err := a.svc.MayMakeCredentials(r.Context(), r.Caller); err != nil {
		return nil, err
	}
	c, err := a.svc.CreateKeyPair(r.Context(), r.PathValue("user_id"), in.TenantID, "")
	if err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "credential", showKeyPair(r, c)), nil
}

func (a *api) keyPair(r *wire.Request) (*wire.Response, error) {
	c, err := a.svc.KeyPairOf(r.Context(), r.PathValue("user_id"), r.PathValue("access"))
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "credential", showKeyPair(r, c)), nil
}

func (a *api) deleteKeyPair(r *wire.Request) (*wire.Response, error) {
	c, err := a.svc.KeyPairOf(r.Context(), r.PathValue("user_id"), r.PathValue("access"))
	if err != nil {
		return nil, err
	}
	return done(a.svc.DeleteCredential(r.Context(), c.ID))
}
