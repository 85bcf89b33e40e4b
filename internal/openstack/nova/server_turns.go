package nova

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// plainAction is an action without parameters, answered by 202.
func (a *api) plainAction(name string, do func(*wire.Request, string) error) action {
	return func(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
		if err := a.read(r, raw, name, &struct{}{}); err != nil {
			return nil, err
		}
		return wire.Accepted(nil), do(r, id)
	}
}

func (a *api) pause(r *wire.Request, id string) error {
	return a.svc.Pause(r.Context(), actor(r), id)
}

func (a *api) unpause(r *wire.Request, id string) error {
	return a.svc.Unpause(r.Context(), actor(r), id)
}

func (a *api) revertResize(r *wire.Request, id string) error {
	return a.svc.RevertResize(r.Context(), actor(r), id)
}

func (a *api) unrescue(r *wire.Request, id string) error {
	return a.svc.Unrescue(r.Context(), actor(r), id)
}

func (a *api) confirmResize(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	if err := a.read(r, raw, "confirmResize", &struct{}{}); err != nil {
		return nil, err
	}
	return wire.NoContent(), a.svc.ConfirmResize(r.Context(), actor(r), id)
}

func (a *api) resize(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Resize struct {
			Flavor     wireText `json:"flavorRef"`
			DiskConfig string   `json:"OS-DCF:diskConfig"`
		}
	}
	if err := a.read(r, raw, "resize", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Resize(r.Context(), actor(r), id, string(in.Resize.Flavor), in.Resize.DiskConfig)
}

// wireText is a text that clients may send as a number.
type wireText string

// UnmarshalJSON takes either.
func (t *wireText) UnmarshalJSON(raw []byte) error {
	*t = wireText(unquoted(raw))
	return nil
}

func (a *api) rescue(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Rescue struct {
			AdminPass string
			Image     string `json:"rescue_image_ref"`
		}
	}
	if err := a.read(r, raw, "rescue", &in); err != nil {
		return nil, err
	}
	password := in.Rescue.AdminPass
	if password == "" {
		password = rand.Text()[:12]
	}
	return wire.JSON(wire.M{"adminPass": password}), a.svc.Rescue(r.Context(), actor(r), id, in.Rescue.Image, r.Version.AtLeast(87))
}

// rebuildBody is the body of a rebuild.
type rebuildBody struct {
	Rebuild struct {
		Image                  string `json:"imageRef"`
		AdminPass              string
		Name, Hostname         *string
		Description            wire.Opt[string]
		DiskConfig             *string `json:"OS-DCF:diskConfig"`
		AccessIPv4, AccessIPv6 *string
		Metadata               map[string]string
		Preserve               wire.Bool        `json:"preserve_ephemeral"`
		KeyName                wire.Opt[string] `json:"key_name"`
		UserData               wire.Opt[string] `json:"user_data"`
		Certs                  []string         `json:"trusted_image_certificates"`
		Personality            []fileBody
	}
}

func (in *rebuildBody) request() (req compute.RebuildRequest, err error) {
	const op = "nova.rebuild"
	v := &in.Rebuild
	switch {
	case len(v.Certs) > 0:
		return req, cloud.E(op, cloud.Invalid, "trusted_image_certificates is not implemented: signatures of images are not verified here")
	case bool(v.Preserve):
		return req, cloud.E(op, cloud.Invalid, "preserve_ephemeral is not implemented: a rebuild makes all disks anew")
	}
	req = compute.RebuildRequest{ImageID: v.Image, Metadata: v.Metadata,
		Update: compute.ServerUpdate{Name: v.Name, Hostname: v.Hostname, DiskConfig: v.DiskConfig, AccessIPv4: v.AccessIPv4, AccessIPv6: v.AccessIPv6}}
	if req.Files, err = filesOf(op, v.Personality); err != nil {
		return req, err
	}
	for _, address := range []*string{v.AccessIPv4, v.AccessIPv6} {
		if address != nil {
			*address = canonical(*address)
		}
	}
	if v.Description.Set {
		words := v.Description.Or("")
		req.Update.Description = &words
	}
	if v.KeyName.Set {
		name := v.KeyName.Or("")
		req.KeyName = &name
	}
	if v.UserData.Set {
		data, err := decode64(v.UserData.Or(""))
		if err != nil {
			return req, cloud.E(op, cloud.Invalid, "User data needs to be valid base 64.")
		}
		req.UserData = &data
	}
	return req, nil
}

// rebuiltView is a server in the answer to a rebuild.
type rebuiltView struct {
	*serverView
	AdminPass string   `json:"adminPass"`
	KeyName   **string `json:"key_name,omitempty"`
	UserData  **string `json:"user_data,omitempty"`
	Extended  *string  `json:"OS-EXT-SRV-ATTR:user_data,omitempty"` // never set: hides the view's own
}

func (a *api) rebuild(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in rebuildBody
	if err := a.read(r, raw, "rebuild", &in); err != nil {
		return nil, err
	}
	req, err := in.request()
	if err != nil {
		return nil, err
	}
	req.Reimage = r.Version.AtLeast(93)
	d, err := a.svc.Rebuild(r.Context(), actor(r), id, req)
	if err != nil {
		return nil, err
	}
	mode := viewUpdate
	if r.Version.AtLeast(75) {
		mode = viewShow
	}
	v := rebuiltView{serverView: renderServer(r, &d, mode), AdminPass: in.Rebuild.AdminPass}
	if v.AdminPass == "" {
		v.AdminPass = rand.Text()[:12]
	}
	if r.Version.AtLeast(54) {
		name := textOrNull(d.KeyName())
		v.KeyName = &name
	}
	if r.Version.AtLeast(57) {
		data := textOrNull(base64.StdEncoding.EncodeToString(d.UserData))
		v.UserData = &data
	}
	resp := wire.Accepted(wire.M{"server": v})
	resp.Header = http.Header{"Location": {r.Link("/v2.1/servers/" + id)}}
	return resp, nil
}

func (a *api) resetState(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Reset struct{ State string } `json:"os-resetState"`
	}
	if err := a.read(r, raw, "os-resetState", &in); err != nil {
		return nil, err
	}
	if err := operatorOnly(r, "os-admin-actions:reset_state"); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.ResetState(r.Context(), actor(r), id, in.Reset.State == "error")
}

// resetNetwork has the node serve the server's ports anew.
func (a *api) resetNetwork(r *wire.Request, id string) error {
	if err := operatorOnly(r, "os-admin-actions:reset_network"); err != nil {
		return err
	}
	return a.svc.Push(r.Context(), actor(r), id, "resetNetwork")
}

// operatorOnly refuses all but admins an action, in nova's words.
func operatorOnly(r *wire.Request, policy string) error {
	if r.Caller.IsAdmin() {
		return nil
	}
	return cloud.E("nova.action", cloud.Forbidden, "Policy doesn't allow os_compute_api:%s to be performed.", policy)
}

// restore brings a deleted server back that is kept for a while.
func (a *api) restore(r *wire.Request, id string) error {
	return a.svc.Restore(r.Context(), actor(r), id)
}
