package cinder

import (
	"encoding/json"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) revert(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		SnapshotID *string `json:"snapshot_id"`
	}](raw)
	if err := wire.First(err, needUUID("snapshot_id", text(in.SnapshotID))); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Revert(r.Context(), r.Caller, id, text(in.SnapshotID))
}

func (a *api) reimage(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		ImageID  string              `json:"image_id"`
		Reserved wire.Opt[wire.Bool] `json:"reimage_reserved"`
	}](raw)
	if err := wire.First(err, wire.UUID("image_id", in.ImageID)); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Reimage(r.Context(), r.Caller, id, in.ImageID, bool(in.Reserved.Or(false)))
}

// migrate has a volume go to another pool of its node. Nobody uses it meanwhile,
// whether that is asked for (lock_volume) or not.
func (a *api) migrate(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	const op = "cinder.migrate"
	in, err := params[struct {
		Host    *string             `json:"host"`
		Cluster *string             `json:"cluster"`
		Force   wire.Opt[wire.Bool] `json:"force_host_copy"`
		Lock    wire.Opt[wire.Bool] `json:"lock_volume"`
	}](raw)
	if err != nil {
		return nil, err
	}
	host := text(in.Host)
	switch {
	case text(in.Cluster) != "" && r.Version.AtLeast(16):
		return nil, cloud.E(op, cloud.Invalid, "No available service named %s: there are no clusters here.", *in.Cluster)
	case host == "":
		return nil, cloud.E(op, cloud.Invalid, "'host' is a required property")
	}
	return wire.Accepted(nil), a.svc.Migrate(r.Context(), r.Caller, id, host)
}

func (a *api) completeMigration(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		New string `json:"new_volume"`
	}](raw)
	if err := wire.First(err, wire.UUID("new_volume", in.New)); err != nil {
		return nil, err
	}
	for _, v := range []string{id, in.New} {
		if _, err := a.svc.Get(r.Context(), r.Caller, v); err != nil {
			return nil, err
		}
	}
	return nil, cloud.E("cinder.migrate", cloud.Invalid, "Invalid volume: the volume %s is not being migrated.", id)
}
