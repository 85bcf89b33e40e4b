package nova

import (
	"net/http"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// volumeRoutes are nova's own words for volumes and snapshots, up to 2.35: what
// cinder has, for clients of before.
func (a *api) volumeRoutes() []wire.Route {
	volumes, snapshots := "/os-volumes", "/os-snapshots"
	return []wire.Route{
		until(35, route("GET", volumes, wire.Reader, "os-volumes:list", a.oldVolumes)),
		until(35, route("POST", volumes, wire.Member, "os-volumes:create", a.createOldVolume)),
		until(35, route("GET", volumes+"/detail", wire.Reader, "os-volumes:detail", a.oldVolumes)),
		until(35, route("DELETE", volumes, wire.Member, "os-volumes:delete", nothingNamed)),
		until(35, route("GET", volumes+"/{id}", wire.Reader, "os-volumes:show", a.oldVolume)),
		until(35, route("DELETE", volumes+"/{id}", wire.Member, "os-volumes:delete", a.deleteOldVolume)),
		until(35, route("GET", snapshots, wire.Reader, "os-volumes:snapshots:list", a.oldSnapshots)),
		until(35, route("POST", snapshots, wire.Member, "os-volumes:snapshots:create", a.createOldSnapshot)),
		until(35, route("GET", snapshots+"/detail", wire.Reader, "os-volumes:snapshots:detail", a.oldSnapshots)),
		until(35, route("GET", snapshots+"/{id}", wire.Reader, "os-volumes:snapshots:show", a.oldSnapshot)),
		until(35, route("DELETE", snapshots+"/{id}", wire.Member, "os-volumes:snapshots:delete", a.deleteOldSnapshot)),
	}
}

// nothingNamed is for a path that ends where an id should be: nova finds no such
// resource.
func nothingNamed(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.volumes", cloud.NotFound, "The resource could not be found.")
}

// oldVolumeView is a volume as nova said it.
func oldVolumeView(d volume.Detail) wire.M {
	attachments := []wire.M{{}} // one empty object for none: so nova has it
	for _, at := range d.Attachments {
		if at.State != cloud.AttachmentAttached || at.ServerID == "" {
			continue
		}
		m := wire.M{"id": d.ID, "volumeId": d.ID, "serverId": at.ServerID}
		if at.Device != "" {
			m["device"] = at.Device
		}
		attachments = []wire.M{m}
		break
	}
	return wire.M{
		"id": d.ID, "status": d.Status, "size": d.SizeGB, "availabilityZone": d.AvailabilityZone, "createdAt": stampMicro(d.CreatedAt),
		"attachments": attachments, "displayName": orNull(d.Name), "displayDescription": orNull(d.Description), "volumeType": orNull(d.TypeName),
		"snapshotId": orNull(d.SnapshotID), "metadata": orEmpty(d.Metadata),
	}
}

func (a *api) oldVolumes(r *wire.Request) (*wire.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/") {
		return nothingNamed(r)
	}
	from, to, err := slice(r)
	if err != nil {
		return nil, err
	}
	list, err := a.svc.OldVolumes(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	views := []wire.M{}
	for _, d := range list[min(from, len(list)):min(to, len(list))] {
		views = append(views, oldVolumeView(d))
	}
	return wire.JSON(wire.M{"volumes": views}), nil
}

func (a *api) oldVolume(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.OldVolume(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"volume": oldVolumeView(d)}), nil
}

func (a *api) createOldVolume(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Volume struct {
			Type        string            `json:"volume_type"`
			Metadata    map[string]string `json:"metadata"`
			SnapshotID  string            `json:"snapshot_id"`
			Size        wire.Int          `json:"size"`
			Zone        string            `json:"availability_zone"`
			Name        string            `json:"display_name"`
			Description string            `json:"display_description"`
		}
	}
	if err := a.schemas.decode(r, "attachments.json#/oldVolume", &in); err != nil {
		return nil, err
	}
	v := in.Volume
	d, err := a.svc.CreateOldVolume(r.Context(), r.Caller, volume.Wanted{
		Name: v.Name, Description: v.Description, Type: v.Type, Zone: v.Zone, SizeGB: int(v.Size), SnapshotID: v.SnapshotID, Metadata: v.Metadata,
	})
	if err != nil {
		return nil, err
	}
	resp := wire.JSON(wire.M{"volume": oldVolumeView(d)})
	resp.Header = http.Header{"Location": {r.Link("/v2.1/os-volumes/" + d.ID)}}
	return resp, nil
}

func (a *api) deleteOldVolume(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteOldVolume(r.Context(), r.Caller, r.PathValue("id"))
}

func oldSnapshotView(s cloud.Snapshot) wire.M {
	return wire.M{
		"id": s.ID, "volumeId": s.VolumeID, "status": s.Status(), "size": s.SizeGB, "createdAt": stampMicro(s.CreatedAt),
		"displayName": orNull(s.Name), "displayDescription": orNull(s.Description),
	}
}

func (a *api) oldSnapshots(r *wire.Request) (*wire.Response, error) {
	from, to, err := slice(r)
	if err != nil {
		return nil, err
	}
	list, err := a.svc.OldSnapshots(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	views := []wire.M{}
	for _, s := range list[min(from, len(list)):min(to, len(list))] {
		views = append(views, oldSnapshotView(s))
	}
	return wire.JSON(wire.M{"snapshots": views}), nil
}

func (a *api) oldSnapshot(r *wire.Request) (*wire.Response, error) {
	s, err := a.svc.OldSnapshot(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"snapshot": oldSnapshotView(s)}), nil
}

func (a *api) createOldSnapshot(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Snapshot struct {
			VolumeID    string    `json:"volume_id"`
			Force       wire.Bool `json:"force"`
			Name        string    `json:"display_name"`
			Description string    `json:"display_description"`
		}
	}
	if err := a.schemas.decode(r, "attachments.json#/oldSnapshot", &in); err != nil {
		return nil, err
	}
	v := in.Snapshot
	s, err := a.svc.CreateOldSnapshot(r.Context(), r.Caller, volume.NewSnapshot{VolumeID: v.VolumeID, Name: v.Name, Description: v.Description, Force: bool(v.Force)})
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"snapshot": oldSnapshotView(s)}), nil
}

func (a *api) deleteOldSnapshot(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteOldSnapshot(r.Context(), r.Caller, r.PathValue("id"))
}
