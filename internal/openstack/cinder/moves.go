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

// migrate refuses every destination, with the reason: a volume's disk is on one
// node, and is not moved to another.
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
	d, err := a.svc.Get(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		switch {
		case h.Name != nodeOf(host):
		case h.Name == d.Node:
			return nil, cloud.E(op, cloud.Invalid, "Invalid host: Destination host must be different than the current host.")
		case !h.Up:
			return nil, cloud.E(op, cloud.Invalid, "Invalid host: No available service named '%s'", host)
		default:
			return nil, cloud.E(op, cloud.Unsupported, "Volumes are not moved between nodes yet: make a backup of %s and restore it, or a copy on %s from an image.", id, host)
		}
	}
	return nil, cloud.E(op, cloud.Invalid, "Invalid host: No available service named '%s'", host)
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
