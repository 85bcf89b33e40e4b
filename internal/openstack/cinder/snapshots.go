package cinder

import (
	"encoding/json"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) snapshotRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/snapshots", wire.Reader, "volume:get_all_snapshots", a.listSnapshots(false)),
		route("GET", "/snapshots/detail", wire.Reader, "volume:get_all_snapshots", a.listSnapshots(true)),
		route("POST", "/snapshots", wire.Member, "volume:create_snapshot", a.createSnapshot),
		route("GET", "/snapshots/{id}", wire.Reader, "volume:get_snapshot", a.showSnapshot),
		route("PUT", "/snapshots/{id}", wire.Member, "volume:update_snapshot", a.updateSnapshot),
		route("DELETE", "/snapshots/{id}", wire.Member, "volume:delete_snapshot", a.deleteSnapshot),
		route("POST", "/snapshots/{id}/action", wire.Member, "snapshot_extension:snapshot_actions", a.snapshotAction),
		route("GET", "/snapshots/{id}/metadata", wire.Reader, "volume:get_snapshot_metadata", a.showSnapshotMetadata),
		route("POST", "/snapshots/{id}/metadata", wire.Member, "volume:update_snapshot_metadata", a.setSnapshotMetadata(false)),
		route("PUT", "/snapshots/{id}/metadata", wire.Member, "volume:update_snapshot_metadata", a.setSnapshotMetadata(true)),
		route("GET", "/snapshots/{id}/metadata/{key}", wire.Reader, "volume:get_snapshot_metadata", a.showSnapshotItem),
		route("PUT", "/snapshots/{id}/metadata/{key}", wire.Member, "volume:update_snapshot_metadata", a.setSnapshotItem),
		route("DELETE", "/snapshots/{id}/metadata/{key}", wire.Member, "volume:delete_snapshot_metadata", a.dropSnapshotItem),
	}
}

func snapshotView(r *wire.Request, s cloud.Snapshot, whole bool) wire.M {
	m := wire.M{
		"id": s.ID, "name": orNull(s.Name), "description": orNull(s.Description), "status": s.Status(), "volume_id": s.VolumeID, "size": s.SizeGB,
		"created_at": stamp(s.CreatedAt), "updated_at": stamp(s.UpdatedAt), "metadata": orEmpty(s.Metadata),
	}
	if r.Version.AtLeast(14) {
		m["group_snapshot_id"] = orNull(s.GroupSnapshotID)
	}
	if r.Version.AtLeast(41) {
		m["user_id"] = s.UserID
	}
	if r.Version.AtLeast(65) {
		m["consumes_quota"] = true
	}
	if whole {
		m["os-extended-snapshot-attributes:project_id"] = s.ProjectID
		m["os-extended-snapshot-attributes:progress"] = "0%"
		if s.Seen.Ready {
			m["os-extended-snapshot-attributes:progress"] = "100%"
		}
		if s.Progress != "" {
			m["os-extended-snapshot-attributes:progress"] = s.Progress
		}
	}
	return m
}

// snapshotFilters are what lists of snapshots can be narrowed by.
var snapshotFilters = []string{"name", "status", "volume_id", "metadata", "availability_zone", "id", "user_id", "project_id", "size", "created_at", "updated_at", "consumes_quota"}

func (a *api) listSnapshots(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, snapshotFilters...)
		if err != nil {
			return nil, err
		}
		list, more, total, err := a.svc.Snapshots(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "snapshots", list, more, total, func(s cloud.Snapshot) string { return s.ID },
			func(s cloud.Snapshot) wire.M { return snapshotView(r, s, detailed) }), nil
	}
}

func (a *api) createSnapshot(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.createSnapshot"
	var in struct {
		changesIn
		VolumeID wire.Opt[string]    `json:"volume_id"`
		Force    wire.Opt[wire.Bool] `json:"force"`
	}
	if err := strictObject(r, "snapshot", &in, "name display_name description volume_id force metadata"); err != nil {
		return nil, err
	}
	switch {
	case !in.VolumeID.Set:
		return nil, cloud.E(op, cloud.Invalid, "'volume_id' is a required property")
	case in.VolumeID.Null:
		return nil, cloud.E(op, cloud.NotFound, "Volume None could not be found.")
	case r.Version.AtLeast(66) && in.Force.Set && !bool(in.Force.Or(false)):
		return nil, cloud.E(op, cloud.Invalid, "Invalid input for field/attribute force. As of 3.66 it is always so, and false is no value for it")
	}
	want := volume.NewSnapshot{VolumeID: in.VolumeID.Value, Name: text(in.Name, in.DisplayName), Description: text(in.Description, in.DisplayDesc), Metadata: in.Metadata,
		Force: bool(in.Force.Or(false)) || r.Version.AtLeast(66)}
	if err := wire.First(checkName(&want.Name, &want.Description), checkMetadata(in.Metadata), needUUID("volume_id", want.VolumeID)); err != nil {
		return nil, err
	}
	s, err := a.svc.CreateSnapshot(r.Context(), r.Caller, want)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"snapshot": snapshotView(r, s, false)}), nil
}

func (a *api) showSnapshot(r *wire.Request) (*wire.Response, error) {
	s, err := a.svc.Snapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"snapshot": snapshotView(r, s, true)}), nil
}

func (a *api) updateSnapshot(r *wire.Request) (*wire.Response, error) {
	ch, err := changes(r, "snapshot")
	if err != nil {
		return nil, err
	}
	s, err := a.svc.UpdateSnapshot(r.Context(), r.Caller, r.PathValue("id"), ch)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"snapshot": snapshotView(r, s, false)}), nil
}

func (a *api) deleteSnapshot(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteSnapshot(r.Context(), r.Caller, r.PathValue("id"), false)
}

func (a *api) snapshotAction(r *wire.Request) (*wire.Response, error) {
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if name == "os-update_snapshot_status" {
		return a.updateSnapshotStatus(r, id, raw)
	}
	if !r.Caller.IsAdmin() {
		return nil, wire.Denied("volume_extension:snapshot_admin_actions:" + name)
	}
	switch name {
	case "os-unmanage":
		return wire.Accepted(nil), a.svc.UnmanageSnapshot(r.Context(), r.Caller, id)
	case "os-force_delete":
		return wire.Accepted(nil), a.svc.DeleteSnapshot(r.Context(), r.Caller, id, true)
	case "os-reset_status":
		var in struct{ Status string }
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, malformed(err)
		}
		may := []string{"available", "creating", "deleting", "error", "error_deleting"}
		if err := wire.OneOf("status", in.Status, may...); err != nil {
			return nil, err
		}
		return wire.Accepted(nil), a.svc.ResetSnapshot(r.Context(), r.Caller, id, in.Status, "")
	}
	return nil, unknownAction(name)
}

// updateSnapshotStatus is for whoever helps to make a snapshot: it may be told to
// be done, or to have failed.
func (a *api) updateSnapshotStatus(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	var in struct{ Status, Progress string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, malformed(err)
	}
	if err := wire.Length("progress", in.Progress, 0, 255); err != nil {
		return nil, err
	}
	s, err := a.svc.Snapshot(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	next := map[string][]string{"creating": {"creating", "available", "error"}, "deleting": {"deleting", "error_deleting"}}
	if now := s.Status(); !slices.Contains(next[now], in.Status) {
		return nil, cloud.E("cinder.snapshotAction", cloud.Invalid, "Provided snapshot status %s not allowed for snapshot with status %s.", in.Status, now)
	}
	return wire.Accepted(nil), a.svc.ResetSnapshot(r.Context(), r.Caller, id, in.Status, in.Progress)
}

func (a *api) showSnapshotMetadata(r *wire.Request) (*wire.Response, error) {
	s, err := a.svc.Snapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"metadata": orEmpty(s.Metadata)}), nil
}

func (a *api) setSnapshotMetadata(replace bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		m, err := metadataIn(r)
		if err != nil {
			return nil, err
		}
		s, err := a.svc.SetSnapshotMetadata(r.Context(), r.Caller, r.PathValue("id"), m, replace)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"metadata": orEmpty(s.Metadata)}), nil
	}
}

func (a *api) showSnapshotItem(r *wire.Request) (*wire.Response, error) {
	s, err := a.svc.Snapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return item(r, "meta", s.Metadata)
}

func (a *api) setSnapshotItem(r *wire.Request) (*wire.Response, error) {
	m, err := itemIn(r)
	if err != nil {
		return nil, err
	}
	_, err = a.svc.SetSnapshotMetadata(r.Context(), r.Caller, r.PathValue("id"), m, false)
	return wire.JSON(wire.M{"meta": m}), err
}

func (a *api) dropSnapshotItem(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(nil), a.svc.DropSnapshotMetadata(r.Context(), r.Caller, r.PathValue("id"), r.PathValue("key"))
}
