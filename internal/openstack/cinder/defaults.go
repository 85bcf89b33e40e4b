package cinder

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// defaultRoutes are the default types of projects, and what tells clients what
// the service can do.
func (a *api) defaultRoutes() []wire.Route {
	return []wire.Route{
		since(62, route("GET", "/default-types", wire.Admin, "volume_extension:default_get_all", a.listDefaultTypes)),
		since(62, route("GET", "/default-types/{id}", wire.Admin, "volume_extension:default_get", a.showDefaultType)),
		since(62, route("PUT", "/default-types/{id}", wire.Admin, "volume_extension:default_set_or_update", a.setDefaultType)),
		since(62, route("DELETE", "/default-types/{id}", wire.Admin, "volume_extension:default_unset", a.unsetDefaultType)),
		since(33, route("GET", "/resource_filters", wire.Reader, "volume:resource_filters", a.resourceFilters)),
		since(7, route("GET", "/clusters", wire.Admin, "clusters:get_all", a.listClusters)),
		since(7, route("GET", "/clusters/detail", wire.Admin, "clusters:get_all", a.listClusters)),
		since(7, route("GET", "/clusters/{id}", wire.Admin, "clusters:get", noCluster)),
		since(7, route("PUT", "/clusters/{action}", wire.Admin, "clusters:update", a.updateCluster)),
		since(24, route("POST", "/workers/cleanup", wire.Admin, "workers:cleanup", a.cleanup)),
	}
}

func defaultTypeView(d cloud.VolumeDefaultType) wire.M {
	return wire.M{"project_id": d.ProjectID, "volume_type_id": d.TypeID}
}

func (a *api) listDefaultTypes(r *wire.Request) (*wire.Response, error) {
	list, err := a.svc.DefaultTypes(r.Context(), "")
	views := []wire.M{}
	for _, d := range list {
		views = append(views, defaultTypeView(d))
	}
	return wire.JSON(wire.M{"default_types": views}), err
}

func (a *api) showDefaultType(r *wire.Request) (*wire.Response, error) {
	list, err := a.svc.DefaultTypes(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"default_type": defaultTypeView(list[0])}), nil
}

func (a *api) setDefaultType(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Type string `json:"volume_type"`
	}
	if err := strictObject(r, "default_type", &in, "volume_type"); err != nil {
		return nil, err
	}
	if err := wire.Name("volume_type", in.Type); err != nil {
		return nil, err
	}
	d, err := a.svc.SetDefaultType(r.Context(), r.Caller, r.PathValue("id"), in.Type)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"default_type": defaultTypeView(d)}), nil
}

func (a *api) unsetDefaultType(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.UnsetDefaultType(r.Context(), r.PathValue("id"))
}

// resourceFilter is what lists of a resource are narrowed by.
type resourceFilter struct {
	resource string
	filters  []string
}

func filterTable() []resourceFilter {
	return []resourceFilter{
		{"volume", volumeFilters}, {"backup", backupFilters}, {"snapshot", snapshotFilters}, {"group", groupFilters}, {"group_snapshot", groupSnapshotFilters},
		{"attachment", []string{"volume_id", "status", "instance_id", "attach_status"}}, {"message", messageFilters}, {"pool", poolFilters},
		{"volume_type", []string{"is_public", "extra_specs"}},
	}
}

func (a *api) resourceFilters(r *wire.Request) (*wire.Response, error) {
	asked := r.URL.Query().Get("resource")
	list := []wire.M{}
	for _, f := range filterTable() {
		if asked == "" || asked == f.resource {
			list = append(list, wire.M{"resource": f.resource, "filters": f.filters})
		}
	}
	return wire.JSON(wire.M{"resource_filters": list}), nil
}

// clusterFilters are what lists of clusters can be narrowed by.
var clusterFilters = []string{"name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts", "replication_status", "frozen", "active_backend_id"}

// listClusters tells that there are none: every node keeps its own volumes.
func (a *api) listClusters(r *wire.Request) (*wire.Response, error) {
	for name := range r.URL.Query() {
		i := slices.Index(clusterFilters, name)
		if i < 0 || i > 5 && !r.Version.AtLeast(26) {
			return nil, cloud.E("cinder.clusters", cloud.Invalid, "Invalid input received: Invalid filter keys: %s", name)
		}
	}
	return wire.JSON(wire.M{"clusters": []wire.M{}}), nil
}

func clusterNotFound(name string) error {
	return cloud.E("cinder.clusters", cloud.NotFound, "Cluster %s could not be found.", name)
}

func noCluster(r *wire.Request) (*wire.Response, error) {
	return nil, clusterNotFound(r.PathValue("id"))
}

func (a *api) updateCluster(r *wire.Request) (*wire.Response, error) {
	action := r.PathValue("action")
	if action != "enable" && action != "disable" {
		return nil, cloud.E("cinder.clusters", cloud.NotFound, "Unknown action %s", action)
	}
	var in struct{ Name string }
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := wire.Length("name", in.Name, 1, 255); err != nil {
		return nil, err
	}
	return nil, clusterNotFound(in.Name)
}

// cleanup tells which services cannot be tidied after: those of nodes that are
// away, for no other node has their disks. What is half done on the others, the
// housekeeper finishes anyway.
func (a *api) cleanup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Host, Binary *string
		Resource     *string `json:"resource_type"`
	}
	if r.ContentLength != 0 {
		if err := r.Decode(&in); err != nil {
			return nil, err
		}
	}
	if in.Resource != nil {
		if err := wire.OneOf("resource_type", *in.Resource, "Volume", "Snapshot", "volume", "snapshot"); err != nil {
			return nil, err
		}
	}
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	away := []wire.M{}
	for i, h := range hosts {
		if h.Up || in.Host != nil && nodeOf(*in.Host) != h.Name || in.Binary != nil && *in.Binary != binaryVolume {
			continue
		}
		for _, p := range h.Pools() {
			away = append(away, wire.M{"id": i + 1, "host": cloud.VolumeBackend(h.Name, p.Name), "binary": binaryVolume, "cluster_name": nil})
		}
	}
	return wire.Accepted(wire.M{"cleaning": []wire.M{}, "unavailable": away}), nil
}
