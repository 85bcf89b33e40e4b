package cinder

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) manageRoutes() []wire.Route {
	var routes []wire.Route
	for i, names := range [][2]string{{"/os-volume-manage", "/os-snapshot-manage"}, {"/manageable_volumes", "/manageable_snapshots"}} {
		from := 8 * i // the second names came with 3.8
		for _, r := range []wire.Route{
			route("GET", names[0], wire.Admin, "volume_extension:list_manageable", a.listManageable("manageable-volumes", false, false)),
			route("GET", names[0]+"/detail", wire.Admin, "volume_extension:list_manageable", a.listManageable("manageable-volumes", false, true)),
			route("POST", names[0], wire.Admin, "volume_extension:volume_manage", a.manageVolume),
			route("GET", names[1], wire.Admin, "snapshot_extension:list_manageable", a.listManageable("manageable-snapshots", true, false)),
			route("GET", names[1]+"/detail", wire.Admin, "snapshot_extension:list_manageable", a.listManageable("manageable-snapshots", true, true)),
			route("POST", names[1], wire.Admin, "snapshot_extension:snapshot_manage", a.manageSnapshot),
		} {
			if from > 0 {
				r = since(from, r)
			}
			routes = append(routes, r)
		}
	}
	return routes
}

// manageableView is a disk that is, or could be, a volume or snapshot.
func manageableView(m volume.Manageable, snapshots, detailed bool) wire.M {
	out := wire.M{"reference": wire.M{"source-name": m.Name}, "size": m.SizeGB, "safe_to_manage": m.KnownAs == ""}
	if snapshots {
		out["source_reference"] = wire.M{"source-name": orNull(m.Source)}
	}
	if detailed {
		out["cinder_id"], out["extra_info"], out["reason_not_safe"] = orNull(m.KnownAs), nil, nil
		if m.KnownAs != "" {
			out["reason_not_safe"] = "already managed"
		}
	}
	return out
}

func (a *api) listManageable(member string, snapshots, detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		q := r.URL.Query()
		host := q.Get("host")
		if host == "" || q.Get("cluster") != "" {
			return nil, errHostOrCluster(q.Get("cluster"))
		}
		l, err := parseList(r, "host", "cluster")
		if err != nil {
			return nil, err
		}
		list, err := a.svc.Manageables(r.Context(), host, snapshots)
		if err != nil {
			return nil, err
		}
		if list, err = pageManageables(list, l); err != nil {
			return nil, err
		}
		views := []wire.M{}
		for _, m := range list {
			views = append(views, manageableView(m, snapshots, detailed))
		}
		return wire.JSON(wire.M{member: views}), nil
	}
}

// errHostOrCluster says that a place must be named, and that there are no
// clusters here.
func errHostOrCluster(cluster string) error {
	if cluster != "" {
		return cloud.E("cinder.manage", cloud.Unavailable, "Cluster '%s' not found", cluster)
	}
	return cloud.E("cinder.manage", cloud.Invalid, "Host field is missing.")
}

// pageManageables sorts and cuts a list that no database sorts. The default is by
// reference, falling.
func pageManageables(list []volume.Manageable, l volume.List) ([]volume.Manageable, error) {
	const op = "cinder.manage"
	order := append(slices.Clone(l.Sort), volume.Sort{Key: "reference", Desc: true})
	for _, s := range order {
		if s.Key != "reference" && s.Key != "size" {
			return nil, cloud.E(op, cloud.Invalid, "Invalid sort keys passed: %s", s.Key)
		}
	}
	slices.SortStableFunc(list, func(x, y volume.Manageable) int {
		for _, s := range order {
			c := strings.Compare(x.Name, y.Name)
			if s.Key == "size" {
				c = cmp.Compare(x.SizeGB, y.SizeGB)
			}
			if s.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if l.Marker != "" { // a reference, as Python or JSON prints it
		m, err := parseDict(l.Marker)
		i := slices.IndexFunc(list, func(v volume.Manageable) bool { return v.Name == m["source-name"] })
		if err != nil || i < 0 {
			return nil, cloud.E(op, cloud.Invalid, "marker not found: %s", l.Marker)
		}
		list = list[i+1:]
	}
	list = list[min(l.Offset, len(list)):]
	return list[:min(l.Limit, len(list))], nil
}

// reference reads a disk's name out of a reference.
func reference(raw json.RawMessage) (string, error) {
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err == nil {
		if name, ok := m["source-name"].(string); ok && name != "" {
			return name, nil
		}
	}
	return "", cloud.E("cinder.manage", cloud.Invalid, "Invalid input for field/attribute ref. It must have a source-name, as the lists of what can be managed show it")
}

func (a *api) manageVolume(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Name, Description, Host, Cluster *string
		Type                             *string             `json:"volume_type"`
		Zone                             *string             `json:"availability_zone"`
		Bootable                         wire.Opt[wire.Bool] `json:"bootable"`
		Metadata                         map[string]string   `json:"metadata"`
		Ref                              json.RawMessage     `json:"ref"`
	}
	const known = "description availability_zone bootable volume_type name host ref metadata"
	if err := strictObject(r, "volume", &in, known, at(16, "cluster")); err != nil {
		return nil, err
	}
	if text(in.Host) == "" {
		return nil, errHostOrCluster(text(in.Cluster))
	}
	name, err := reference(in.Ref)
	if err := wire.First(err, checkName(in.Name, in.Description), checkMetadata(in.Metadata)); err != nil {
		return nil, err
	}
	d, err := a.svc.Manage(r.Context(), r.Caller, text(in.Host), name, volume.Wanted{
		Name: trimmed(in.Name), Description: trimmed(in.Description), Type: text(in.Type), Zone: text(in.Zone), Metadata: in.Metadata,
	}, bool(in.Bootable.Or(false)))
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"volume": volumeView(r, d, false)}), nil
}

func (a *api) manageSnapshot(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Name, Description *string
		VolumeID          string            `json:"volume_id"`
		Metadata          map[string]string `json:"metadata"`
		Ref               json.RawMessage   `json:"ref"`
	}
	if err := strictObject(r, "snapshot", &in, "description metadata name volume_id ref"); err != nil {
		return nil, err
	}
	name, err := reference(in.Ref)
	if err := wire.First(wire.UUID("volume_id", in.VolumeID), err, checkName(in.Name, in.Description), checkMetadata(in.Metadata)); err != nil {
		return nil, err
	}
	s, err := a.svc.ManageSnapshot(r.Context(), r.Caller, name, volume.NewSnapshot{
		VolumeID: in.VolumeID, Name: text(in.Name), Description: text(in.Description), Metadata: in.Metadata,
	})
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"snapshot": snapshotView(r, s, false)}), nil
}
