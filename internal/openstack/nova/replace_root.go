package nova

import (
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// replaceRoot is an action of Hearth's own: {"hearthReplaceRoot": {"image_id": ID,
// "after": "req-..."}}. The server, which is off, has what the image holds on the disk
// that it boots from when its task is over; all else of it stays. With after, which is
// optional, it is refused if anything was done to the server after that request.
func (a *api) replaceRoot(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Replace struct {
			Image string `json:"image_id"`
			After string
		} `json:"hearthReplaceRoot"`
	}
	if err := a.readVerb(r, raw, "hearthReplaceRoot", &in); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.ReplaceRoot(r.Context(), actor(r), id, compute.ReplaceRootRequest{ImageID: in.Replace.Image, After: in.Replace.After})
}
