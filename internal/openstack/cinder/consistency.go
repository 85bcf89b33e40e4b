package cinder

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// consistencyRoutes are the groups and their snapshots under the names that they had
// before microversion 3.13, as cinder still answers them: a consistency group is a
// group of the type default_cgsnapshot_type.
func (a *api) consistencyRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/consistencygroups", wire.Reader, "group:get_all", a.listConsistencyGroups(false)),
		route("GET", "/consistencygroups/detail", wire.Reader, "group:get_all", a.listConsistencyGroups(true)),
		route("POST", "/consistencygroups", wire.Member, "group:create", a.createConsistencyGroup),
		route("POST", "/consistencygroups/create_from_src", wire.Member, "group:create", a.createConsistencyGroupFrom),
		route("GET", "/consistencygroups/{id}", wire.Reader, "group:get", a.showConsistencyGroup),
		route("PUT", "/consistencygroups/{id}/update", wire.Member, "group:update", a.updateConsistencyGroup),
		route("POST", "/consistencygroups/{id}/delete", wire.Member, "group:delete", a.deleteConsistencyGroup),
		route("GET", "/cgsnapshots", wire.Reader, "group:get_all_group_snapshots", a.listCGSnapshots(false)),
		route("GET", "/cgsnapshots/detail", wire.Reader, "group:get_all_group_snapshots", a.listCGSnapshots(true)),
		route("POST", "/cgsnapshots", wire.Member, "group:create_group_snapshot", a.createCGSnapshot),
		route("GET", "/cgsnapshots/{id}", wire.Reader, "group:get_group_snapshot", a.showCGSnapshot),
		route("DELETE", "/cgsnapshots/{id}", wire.Member, "group:delete_group_snapshot", a.deleteGroupSnapshot),
	}
}

func consistencyView(g volume.Group) wire.M {
	return wire.M{
		"id": g.ID, "name": g.Name, "status": g.Status, "description": orNull(g.Description), "availability_zone": g.AvailabilityZone,
		"created_at": stamp(g.CreatedAt), "volume_types": g.VolumeTypes,
	}
}

func cgSnapshotView(g volume.GroupSnapshot) wire.M {
	return wire.M{
		"id": g.ID, "consistencygroup_id": g.GroupID, "status": g.Status, "created_at": stamp(g.CreatedAt), "name": g.Name, "description": orNull(g.Description),
	}
}

func (a *api) listConsistencyGroups(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, "id", "name", "status")
		if err != nil {
			return nil, err
		}
		list, more, err := a.svc.Groups(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "consistencygroups", list, more, -1, func(g volume.Group) string { return g.ID }, func(g volume.Group) wire.M {
			if detailed {
				return consistencyView(g)
			}
			return named(g.ID, g.Name)
		}), nil
	}
}

// consistencyIn is the body of a consistency group, made, changed, or copied.
type consistencyIn struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	VolumeTypes *string `json:"volume_types"` // with commas between them
	Zone        *string `json:"availability_zone"`
	SnapshotID  *string `json:"cgsnapshot_id"`
	SourceID    *string `json:"source_cgid"`
	Add         *string `json:"add_volumes"`
	Remove      *string `json:"remove_volumes"`
}

// newConsistencyGroup makes one.
func (a *api) newConsistencyGroup(r *wire.Request, in volume.NewGroup) (*wire.Response, error) {
	g, err := a.svc.CreateGroup(r.Context(), r.Caller, in)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"consistencygroup": named(g.ID, g.Name)}), nil
}

func (a *api) createConsistencyGroup(r *wire.Request) (*wire.Response, error) {
	var in consistencyIn
	if err := r.DecodeObject("consistencygroup", &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	types := ids(in.VolumeTypes)
	if len(types) == 0 {
		return nil, cloud.E("cinder.createConsistencyGroup", cloud.Invalid, "volume_types must be provided to create consistency group %s.", text(in.Name))
	}
	return a.newConsistencyGroup(r, volume.NewGroup{
		Name: text(in.Name), Description: text(in.Description), Type: volume.DefaultGroupType, Zone: text(in.Zone), VolumeTypes: types,
	})
}

func (a *api) createConsistencyGroupFrom(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.createConsistencyGroupFrom"
	var in consistencyIn
	if err := r.DecodeObject("consistencygroup-from-src", &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	switch count(text(in.SnapshotID), text(in.SourceID)) {
	case 0:
		return nil, cloud.E(op, cloud.Invalid, "Either 'cgsnapshot_id' or 'source_cgid' must be provided to create consistency group %s from source.", text(in.Name))
	case 2:
		return nil, cloud.E(op, cloud.Invalid, "Cannot provide both 'cgsnapshot_id' and 'source_cgid' to create consistency group %s from source.", text(in.Name))
	}
	return a.newConsistencyGroup(r, volume.NewGroup{Name: text(in.Name), Description: text(in.Description), SnapshotID: text(in.SnapshotID), SourceID: text(in.SourceID)})
}

func (a *api) showConsistencyGroup(r *wire.Request) (*wire.Response, error) {
	g, err := a.svc.Group(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"consistencygroup": consistencyView(g)}), nil
}

func (a *api) updateConsistencyGroup(r *wire.Request) (*wire.Response, error) {
	var in consistencyIn
	if err := r.DecodeObject("consistencygroup", &in); err != nil {
		return nil, err
	}
	if text(in.Name) == "" && text(in.Description) == "" && text(in.Add) == "" && text(in.Remove) == "" {
		return nil, cloud.E("cinder.updateConsistencyGroup", cloud.Invalid, "Name, description, add_volumes, and remove_volumes can not be all empty in the request body.")
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.UpdateGroup(r.Context(), r.Caller, r.PathValue("id"), volume.Changes{Name: in.Name, Description: in.Description}, ids(in.Add), ids(in.Remove))
}

// deleteConsistencyGroup removes a group; with force, its volumes too. The body may be
// left out.
func (a *api) deleteConsistencyGroup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Force wire.Opt[wire.Bool] `json:"force"`
	}
	if r.ContentLength != 0 {
		if err := r.DecodeObject("consistencygroup", &in); err != nil {
			return nil, err
		}
	}
	return wire.Accepted(nil), a.svc.DeleteGroup(r.Context(), r.Caller, r.PathValue("id"), bool(in.Force.Or(false)))
}

func (a *api) listCGSnapshots(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, "id", "name", "status")
		if err != nil {
			return nil, err
		}
		list, more, err := a.svc.GroupSnapshots(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "cgsnapshots", list, more, -1, func(g volume.GroupSnapshot) string { return g.ID }, func(g volume.GroupSnapshot) wire.M {
			if detailed {
				return cgSnapshotView(g)
			}
			return named(g.ID, g.Name)
		}), nil
	}
}

func (a *api) createCGSnapshot(r *wire.Request) (*wire.Response, error) {
	var in struct {
		GroupID     *string `json:"consistencygroup_id"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
	}
	if err := r.DecodeObject("cgsnapshot", &in); err != nil {
		return nil, err
	}
	if err := checkName(in.Name, in.Description); err != nil {
		return nil, err
	}
	if in.GroupID == nil {
		return nil, cloud.E("cinder.createCGSnapshot", cloud.Invalid, "'consistencygroup_id' must be specified")
	}
	g, err := a.svc.CreateGroupSnapshot(r.Context(), r.Caller, *in.GroupID, text(in.Name), text(in.Description))
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"cgsnapshot": named(g.ID, g.Name)}), nil
}

func (a *api) showCGSnapshot(r *wire.Request) (*wire.Response, error) {
	g, err := a.svc.GroupSnapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"cgsnapshot": cgSnapshotView(g)}), nil
}
