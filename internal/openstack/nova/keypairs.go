package nova

import (
	"hash/crc32"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) keypairRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-keypairs", wire.Reader, "os-keypairs:index", a.listKeypairs),
		route("GET", "/os-keypairs/{id}", wire.Reader, "os-keypairs:show", a.showKeypair),
		route("POST", "/os-keypairs", wire.Member, "os-keypairs:create", a.createKeypair),
		route("DELETE", "/os-keypairs/{id}", wire.Member, "os-keypairs:delete", a.deleteKeypair),
	}
}

// keyUser is the user whose keypairs are asked for, from 2.10 on.
func keyUser(r *wire.Request) string {
	if r.Version.AtLeast(10) {
		return r.URL.Query().Get("user_id")
	}
	return ""
}

func keypairView(r *wire.Request, k cloud.Keypair) wire.M {
	m := wire.M{"name": k.Name, "public_key": k.PublicKey, "fingerprint": k.Fingerprint}
	if r.Version.AtLeast(2) {
		m["type"] = k.Type
	}
	return m
}

func (a *api) listKeypairs(r *wire.Request) (*wire.Response, error) {
	limit, marker, err := 0, "", error(nil)
	if r.Version.AtLeast(35) {
		limit, marker, err = page(r)
	}
	if err := wire.First(err, strict(r, "user_id", "limit", "marker")); err != nil {
		return nil, err
	}
	want := limit
	if limit > 0 {
		want++
	}
	keys, err := a.svc.Keypairs(r.Context(), r.Caller, keyUser(r), marker, want)
	if err != nil {
		return nil, err
	}
	body := wire.M{}
	if limit > 0 && len(keys) > limit {
		keys = keys[:limit]
		body["keypairs_links"] = nextLinks(r, keys[limit-1].Name)
	}
	views := make([]wire.M, len(keys))
	for i := range keys {
		views[i] = wire.M{"keypair": keypairView(r, keys[i])}
	}
	body["keypairs"] = views
	return wire.JSON(body), nil
}

func (a *api) showKeypair(r *wire.Request) (*wire.Response, error) {
	if err := strict(r, "user_id"); err != nil {
		return nil, err
	}
	k, err := a.svc.Keypair(r.Context(), r.Caller, keyUser(r), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	m := keypairView(r, k)
	m["user_id"], m["created_at"], m["deleted"], m["deleted_at"], m["updated_at"] = k.UserID, stampMicro(k.CreatedAt), false, nil, nil
	m["id"] = number32(k.Key())
	return wire.JSON(wire.M{"keypair": m}), nil
}

// number32 is a number for what has had one in nova and has none here: always
// the same for a name.
func number32(name string) int {
	return int(crc32.ChecksumIEEE([]byte(name)) & 0x7fffffff)
}

func (a *api) createKeypair(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Keypair struct {
			Name, Type string
			PublicKey  string `json:"public_key"`
			UserID     string `json:"user_id"`
		}
	}
	if err := a.schemas.decode(r, "keypairs.json#/create", &in); err != nil {
		return nil, err
	}
	v := in.Keypair
	k, private, err := a.svc.CreateKeypair(r.Context(), r.Caller, compute.KeypairRequest{Name: v.Name, Type: v.Type, PublicKey: v.PublicKey, UserID: v.UserID})
	if err != nil {
		return nil, err
	}
	m := keypairView(r, k)
	m["user_id"] = k.UserID
	if private != "" {
		m["private_key"] = private
	}
	resp := wire.JSON(wire.M{"keypair": m})
	if r.Version.AtLeast(2) {
		resp.Status = http.StatusCreated
	}
	return resp, nil
}

func (a *api) deleteKeypair(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.DeleteKeypair(r.Context(), r.Caller, keyUser(r), r.PathValue("id")); err != nil {
		return nil, err
	}
	if r.Version.AtLeast(2) {
		return wire.NoContent(), nil
	}
	return wire.Accepted(nil), nil
}
