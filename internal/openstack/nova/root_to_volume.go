package nova

import (
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// rootToVolume is an action of Hearth's own: {"hearthRootToVolume": {"size": 20,
// "volume_type": "fast", "delete_on_termination": false}}, all of it optional. It
// answers with the id of the volume that the server's root disk becomes; the server
// has it when its task is over.
func (a *api) rootToVolume(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		To struct {
			Size   wire.Int
			Type   string    `json:"volume_type"`
			Delete wire.Bool `json:"delete_on_termination"`
		} `json:"hearthRootToVolume"`
	}
	if err := a.readVerb(r, raw, "hearthRootToVolume", &in); err != nil {
		return nil, err
	}
	made, err := a.svc.RootToVolume(r.Context(), actor(r), id, compute.RootToVolumeRequest{
		SizeGB: int(in.To.Size), Type: in.To.Type, DeleteOnTermination: bool(in.To.Delete),
	})
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"hearthRootToVolume": wire.M{"volume_id": made}}), nil
}
