package cinder

import (
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) groupRoutes() []wire.Route {
	return []wire.Route{
		since(13, route("GET", "/groups", wire.Reader, "group:get_all", a.listGroups(false))),
		since(13, route("GET", "/groups/detail", wire.Reader, "group:get_all", a.listGroups(true))),
		since(13, route("POST", "/groups", wire.Member, "group:create", a.createGroup)),
		since(14, route("POST", "/groups/action", wire.Member, "group:create", a.createGroupFrom)),
		since(13, route("GET", "/groups/{id}", wire.Reader, "group:get", a.showGroup)),
		since(13, route("PUT", "/groups/{id}", wire.Member, "group:update", a.updateGroup)),
		since(13, route("POST", "/groups/{id}/action", wire.Member, "group:delete", a.groupAction)),
		since(14, route("GET", "/group_snapshots", wire.Reader, "group:get_all_group_snapshots", a.listGroupSnapshots(false))),
		since(14, route("GET", "/group_snapshots/detail", wire.Reader, "group:get_all_group_snapshots", a.listGroupSnapshots(true))),
		since(14, route("POST", "/group_snapshots", wire.Member, "group:create_group_snapshot", a.createGroupSnapshot)),
		since(14, route("GET", "/group_snapshots/{id}", wire.Reader, "group:get_group_snapshot", a.showGroupSnapshot)),
		since(14, route("DELETE", "/group_snapshots/{id}", wire.Member, "group:delete_group_snapshot", a.deleteGroupSnapshot)),
		since(19, route("POST", "/group_snapshots/{id}/action", wire.Admin, "group:reset_group_snapshot_status", a.groupSnapshotAction)),
	}
}

// groupFilters and groupSnapshotFilters are what lists can be narrowed by.
var (
	groupFilters         = []string{"id", "name", "status", "group_type", "list_volume"}
	groupSnapshotFilters = []string{"id", "name", "status", "group_id"}
)

func groupView(r *wire.Request, g volume.Group) wire.M {
	m := wire.M{
		"id": g.ID, "name": g.Name, "status": g.Status, "description": orNull(g.Description), "availability_zone": g.AvailabilityZone,
		"created_at": stamp(g.CreatedAt), "group_type": g.GroupTypeID, "volume_types": g.VolumeTypes,
	}
	if r.Version.AtLeast(14) {
		m["group_snapshot_id"], m["source_group_id"] = orNull(g.SnapshotID), orNull(g.SourceID)
	}
	if list, err := wire.ParseBool("list_volume", r.URL.Query().Get("list_volume")); err == nil && list && r.Version.AtLeast(25) {
		m["volumes"] = g.Volumes
	}
	if r.Version.AtLeast(38) {
		m["replication_status"] = "disabled"
	}
	if r.Version.AtLeast(58) {
		m["project_id"] = g.ProjectID
	}
	return m
}

func named(id, name string) wire.M { return wire.M{"id": id, "name": name} }

func (a *api) listGroups(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, groupFilters...)
		if err != nil {
			return nil, err
		}
		delete(l.Equal, "list_volume")
		list, more, err := a.svc.Groups(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "groups", list, more, -1, func(g volume.Group) string { return g.ID }, func(g volume.Group) wire.M {
			if detailed {
				return groupView(r, g)
			}
			return named(g.ID, g.Name)
		}), nil
	}
}

// groupIn is the body of a group.
type groupIn struct {
	Name        *string  `json:"name"`
	Description *string  `json:"description"`
	Type        string   `json:"group_type"`
	VolumeTypes []string `json:"volume_types"`
	Zone        *string  `json:"availability_zone"`
	SnapshotID  *string  `json:"group_snapshot_id"`
	SourceID    *string  `json:"source_group_id"`
	Add         *string  `json:"add_volumes"`
	Remove      *string  `json:"remove_volumes"`
}

func (a *api) newGroup(r *wire.Request, in groupIn) (*wire.Response, error) {
	g, err := a.svc.CreateGroup(r.Context(), r.Caller, volume.NewGroup{
		Name: text(in.Name), Description: text(in.Description), Type: in.Type, Zone: text(in.Zone), VolumeTypes: in.VolumeTypes,
		SnapshotID: text(in.SnapshotID), SourceID: text(in.SourceID),
	})
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"group": named(g.ID, g.Name)}), nil
}

func (a *api) createGroup(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.createGroup"
	var in groupIn
	if err := strictObject(r, "group", &in, "description group_type name volume_types availability_zone"); err != nil {
		return nil, err
	}
	switch {
	case in.Type == "":
		return nil, cloud.E(op, cloud.Invalid, "'group_type' is a required property")
	case len(in.VolumeTypes) == 0:
		return nil, cloud.E(op, cloud.Invalid, "'volume_types' is a required property, with one volume type at least")
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	in.SnapshotID, in.SourceID = nil, nil
	return a.newGroup(r, in)
}

func (a *api) createGroupFrom(r *wire.Request) (*wire.Response, error) {
	var in groupIn
	if err := r.DecodeObject("create-from-src", &in); err != nil {
		return nil, err
	}
	if count(text(in.SnapshotID), text(in.SourceID)) != 1 {
		return nil, cloud.E("cinder.createGroupFrom", cloud.Invalid, "Either 'group_snapshot_id' or 'source_group_id' must be provided to create a group from a source.")
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	return a.newGroup(r, in)
}

func (a *api) showGroup(r *wire.Request) (*wire.Response, error) {
	g, err := a.svc.Group(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"group": groupView(r, g)}), nil
}

func (a *api) updateGroup(r *wire.Request) (*wire.Response, error) {
	var in groupIn
	if err := strictObject(r, "group", &in, "description name add_volumes remove_volumes"); err != nil {
		return nil, err
	}
	if in.Name == nil && in.Description == nil && in.Add == nil && in.Remove == nil {
		return nil, cloud.E("cinder.updateGroup", cloud.Invalid, "Invalid input for field/attribute group. Name a name, a description, volumes to add or volumes to remove")
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.UpdateGroup(r.Context(), r.Caller, r.PathValue("id"), volume.Changes{Name: in.Name, Description: in.Description}, ids(in.Add), ids(in.Remove))
}

// ids reads ids with commas between them.
func ids(list *string) (out []string) {
	for id := range strings.SplitSeq(text(list), ",") {
		if id = strings.TrimSpace(id); id != "" {
			out = append(out, id)
		}
	}
	return out
}

// statusIn reads {"status": "…"}.
func statusIn(raw json.RawMessage) (string, error) {
	in, err := params[struct{ Status string }](raw)
	if err != nil {
		return "", err
	}
	return in.Status, wire.OneOf("status", in.Status, "creating", "available", "deleting", "error", "error_deleting", "updating")
}

func (a *api) groupAction(r *wire.Request) (*wire.Response, error) {
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	switch name {
	case "delete":
		in, err := params[struct {
			Volumes wire.Opt[wire.Bool] `json:"delete-volumes"`
		}](raw)
		if err != nil {
			return nil, err
		}
		return wire.Accepted(nil), a.svc.DeleteGroup(r.Context(), r.Caller, id, bool(in.Volumes.Or(false)))
	case "reset_status":
		if !r.Caller.IsAdmin() {
			return nil, wire.Denied("group:reset_status")
		}
		status, err := statusIn(raw)
		if err != nil {
			return nil, err
		}
		return wire.Accepted(nil), a.svc.ResetGroup(r.Context(), r.Caller, id, status)
	}
	if r.Version.AtLeast(38) && slices.Contains(replicationActions, name) {
		return nil, a.refuseReplication(r, id)
	}
	return nil, unknownAction(name)
}

// replicationActions are those of groups that are replicated.
var replicationActions = []string{"enable_replication", "disable_replication", "failover_replication", "list_replication_targets"}

// refuseReplication says of a group that there is that it is not replicated: no
// group type here can be of that kind.
func (a *api) refuseReplication(r *wire.Request, id string) error {
	if _, err := a.svc.Group(r.Context(), r.Caller, id); err != nil {
		return err
	}
	return cloud.E("cinder.groupReplication", cloud.Invalid, "Invalid group type: Group %s is not a replication group type.", id)
}

func groupSnapshotView(r *wire.Request, g volume.GroupSnapshot) wire.M {
	m := wire.M{
		"id": g.ID, "name": g.Name, "status": g.Status, "description": orNull(g.Description), "created_at": stamp(g.CreatedAt),
		"group_id": g.GroupID, "group_type_id": g.GroupTypeID,
	}
	if r.Version.AtLeast(58) {
		m["project_id"] = g.ProjectID
	}
	return m
}

func (a *api) listGroupSnapshots(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, groupSnapshotFilters...)
		if err != nil {
			return nil, err
		}
		list, more, err := a.svc.GroupSnapshots(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "group_snapshots", list, more, -1, func(g volume.GroupSnapshot) string { return g.ID }, func(g volume.GroupSnapshot) wire.M {
			if detailed {
				return groupSnapshotView(r, g)
			}
			return named(g.ID, g.Name)
		}), nil
	}
}

func (a *api) createGroupSnapshot(r *wire.Request) (*wire.Response, error) {
	var in struct {
		GroupID     string  `json:"group_id"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := strictObject(r, "group_snapshot", &in, "group_id name description"); err != nil {
		return nil, err
	}
	if err := wire.First(wire.UUID("group_id", in.GroupID), checkName(in.Name, in.Description)); err != nil {
		return nil, err
	}
	g, err := a.svc.CreateGroupSnapshot(r.Context(), r.Caller, in.GroupID, text(in.Name), text(in.Description))
	if err != nil {
		return nil, err
	}
	m := named(g.ID, g.Name)
	m["group_type_id"] = g.GroupTypeID
	return wire.Accepted(wire.M{"group_snapshot": m}), nil
}

func (a *api) showGroupSnapshot(r *wire.Request) (*wire.Response, error) {
	g, err := a.svc.GroupSnapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"group_snapshot": groupSnapshotView(r, g)}), nil
}

func (a *api) deleteGroupSnapshot(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteGroupSnapshot(r.Context(), r.Caller, r.PathValue("id"))
}

func (a *api) groupSnapshotAction(r *wire.Request) (*wire.Response, error) {
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	if name != "reset_status" {
		return nil, unknownAction(name)
	}
	status, err := statusIn(raw)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.ResetGroupSnapshot(r.Context(), r.Caller, r.PathValue("id"), status)
}
