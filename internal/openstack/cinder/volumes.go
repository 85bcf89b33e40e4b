package cinder

import (
	"maps"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) volumeRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/volumes", wire.Reader, "volume:get_all", a.listVolumes(false)),
		route("GET", "/volumes/detail", wire.Reader, "volume:get_all", a.listVolumes(true)),
		since(12, route("GET", "/volumes/summary", wire.Reader, "volume:get_all", a.volumeSummary)),
		route("POST", "/volumes", wire.Member, "volume:create", a.createVolume),
		route("GET", "/volumes/{id}", wire.Reader, "volume:get", a.showVolume),
		route("PUT", "/volumes/{id}", wire.Member, "volume:update", a.updateVolume),
		route("DELETE", "/volumes/{id}", wire.Member, "volume:delete", a.deleteVolume),
		route("POST", "/volumes/{id}/action", wire.Member, "volume_extension:volume_actions", a.volumeAction),
		route("GET", "/volumes/{id}/metadata", wire.Reader, "volume:get_volume_metadata", a.showMetadata),
		route("POST", "/volumes/{id}/metadata", wire.Member, "volume:create_volume_metadata", a.setMetadata(false)),
		route("PUT", "/volumes/{id}/metadata", wire.Member, "volume:update_volume_metadata", a.setMetadata(true)),
		route("GET", "/volumes/{id}/metadata/{key}", wire.Reader, "volume:get_volume_metadata", a.showMetadataItem),
		route("PUT", "/volumes/{id}/metadata/{key}", wire.Member, "volume:update_volume_metadata", a.setMetadataItem),
		route("DELETE", "/volumes/{id}/metadata/{key}", wire.Member, "volume:delete_volume_metadata", a.dropMetadata),
	}
}

// volumeFilters are what lists of volumes can be narrowed by.
var volumeFilters = []string{"name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "volume_type_id",
	"snapshot_id", "source_volid", "id", "host", "user_id", "project_id", "created_at", "updated_at", "description", "multiattach", "display_name", "glance_metadata", "consumes_quota"}

func (a *api) listVolumes(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, volumeFilters...)
		if err != nil {
			return nil, err
		}
		if err := readBootable(r, &l); err != nil {
			return nil, err
		}
		list, more, total, err := a.svc.Volumes(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		view := func(d volume.Detail) wire.M { return volumeSummaryView(r, d) }
		if detailed {
			view = func(d volume.Detail) wire.M { return volumeView(r, d, true) }
		}
		return listBody(r, "volumes", list, more, total, func(d volume.Detail) string { return d.ID }, view), nil
	}
}

// readBootable reads the filter bootable: up to 3.1 all but false is true, as of
// 3.2 what is neither is refused.
func readBootable(r *wire.Request, l *volume.List) error {
	value, ok := l.Equal["bootable"]
	if !ok {
		return nil
	}
	yes, err := wire.ParseBool("bootable", value)
	switch {
	case !r.Version.AtLeast(2):
		yes = value != "false" && value != "False"
	case err != nil:
		return cloud.E("cinder.list", cloud.Invalid, "Invalid input received: bootable=%s", value)
	}
	l.Equal["bootable"] = strconv.FormatBool(yes)
	return nil
}

func volumeSummaryView(r *wire.Request, d volume.Detail) wire.M {
	return wire.M{"id": d.ID, "name": orNull(d.Name), "links": links(r, "/volumes/"+d.ID)}
}

// volumeView is a volume in the request's microversion; whole says with what the
// extensions add to it when it is shown.
func volumeView(r *wire.Request, d volume.Detail, whole bool) wire.M {
	admin := r.Caller.IsAdmin()
	metadata := orEmpty(maps.Clone(d.Metadata))
	if d.ReadOnlySet {
		metadata["readonly"] = map[bool]string{true: "True", false: "False"}[d.ReadOnly]
	}
	m := wire.M{
		"id": d.ID, "status": d.Status, "size": d.SizeGB, "availability_zone": orNull(d.AvailabilityZone), "created_at": stamp(d.CreatedAt),
		"updated_at": stamp(d.UpdatedAt), "name": orNull(d.Name), "description": orNull(d.Description), "volume_type": orNull(d.TypeName),
		"snapshot_id": orNull(d.SnapshotID), "source_volid": orNull(d.SourceID), "metadata": metadata, "links": links(r, "/volumes/"+d.ID),
		"user_id": d.UserID, "bootable": strconv.FormatBool(d.Bootable), "encrypted": d.Key != nil, "replication_status": nil,
		"consistencygroup_id": nil, "multiattach": d.Multiattach, "attachments": attached(r, d),
	}
	if admin {
		m["migration_status"] = orNull(d.MigrationStatus)
	}
	if r.Version.AtLeast(13) {
		m["group_id"] = orNull(d.GroupID)
	}
	if admin && r.Version.AtLeast(21) {
		m["provider_id"] = nil
	}
	if r.Version.AtLeast(48) {
		m["shared_targets"], m["service_uuid"] = false, nil
	}
	if admin && r.Version.AtLeast(61) {
		m["cluster_name"] = nil
	}
	if r.Version.AtLeast(63) {
		m["volume_type_id"] = orNull(d.TypeID)
	}
	if d.Key != nil && r.Version.AtLeast(64) {
		m["encryption_key_id"] = d.Key.ID
	}
	if r.Version.AtLeast(65) {
		m["consumes_quota"] = true
	}
	if whole {
		extend(r, d, m)
	}
	return m
}

// extend adds what cinder's extensions do.
func extend(r *wire.Request, d volume.Detail, m wire.M) {
	m["os-vol-tenant-attr:tenant_id"] = d.ProjectID
	if d.ImageMetadata != nil {
		m["volume_image_metadata"] = d.ImageMetadata
	}
	if r.Caller.IsAdmin() {
		m["os-vol-host-attr:host"] = nil
		if d.Node != "" {
			m["os-vol-host-attr:host"] = cloud.VolumeHost(d.Node, d.Pool)
		}
		m["os-vol-mig-status-attr:migstat"], m["os-vol-mig-status-attr:name_id"] = orNull(d.MigrationStatus), nil
	}
}

// attached are the attachments that are complete.
func attached(r *wire.Request, d volume.Detail) []wire.M {
	list := []wire.M{}
	for _, at := range d.Attachments {
		if at.State != cloud.AttachmentAttached {
			continue
		}
		m := wire.M{
			"id": d.ID, "attachment_id": at.ID, "volume_id": d.ID, "server_id": orNull(at.ServerID), "host_name": nil, "device": orNull(at.Device),
			"attached_at": nil,
		}
		if r.Caller.IsAdmin() {
			m["host_name"] = orNull(at.Host)
		}
		if at.AttachedAt != nil {
			m["attached_at"] = stamp(*at.AttachedAt)
		}
		list = append(list, m)
	}
	return list
}

func (a *api) volumeSummary(r *wire.Request) (*wire.Response, error) {
	l, err := parseList(r, volumeFilters...)
	if err != nil {
		return nil, err
	}
	l.Limit = -1
	list, _, _, err := a.svc.Volumes(r.Context(), r.Caller, l)
	if err != nil {
		return nil, err
	}
	size, distinct := 0, map[string][]string{}
	for _, d := range list {
		size += d.SizeGB
		for k, v := range d.Metadata {
			distinct[k] = appendNew(distinct[k], v)
		}
	}
	summary := wire.M{"total_count": len(list), "total_size": size}
	if r.Version.AtLeast(36) {
		summary["metadata"] = distinct
	}
	return wire.JSON(wire.M{"volume-summary": summary}), nil
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// createIn is the body of a create.
type createIn struct {
	Name             *string             `json:"name"`
	DisplayName      *string             `json:"display_name"`
	Description      *string             `json:"description"`
	DisplayDesc      *string             `json:"display_description"`
	Size             wire.Opt[wire.Int]  `json:"size"`
	Type             *string             `json:"volume_type"`
	Zone             *string             `json:"availability_zone"`
	Metadata         map[string]string   `json:"metadata"`
	SnapshotID       *string             `json:"snapshot_id"`
	SourceID         *string             `json:"source_volid"`
	ImageRef         wire.Opt[any]       `json:"imageRef"`
	ImageID          *string             `json:"image_id"`
	BackupID         *string             `json:"backup_id"`
	GroupID          *string             `json:"group_id"`
	ConsistencyGroup *string             `json:"consistencygroup_id"`
	Multiattach      wire.Opt[wire.Bool] `json:"multiattach"`
	Hints            map[string]any      `json:"scheduler_hints"`
	_                struct{}            `json:"-"`
}

func (a *api) createVolume(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.createVolume"
	var in createIn
	if err := readNewVolume(r, &in); err != nil {
		return nil, err
	}
	image, err := imageOf(in)
	if err != nil {
		return nil, err
	}
	want := volume.Wanted{
		Name: text(in.Name, in.DisplayName), Description: text(in.Description, in.DisplayDesc), Type: text(in.Type), Zone: text(in.Zone),
		SizeGB: int(in.Size.Or(0)), ImageID: image, SnapshotID: text(in.SnapshotID), SourceID: text(in.SourceID), Metadata: in.Metadata,
		Multiattach: bool(in.Multiattach.Or(false)), FollowImages: r.Version.AtLeast(46), GroupID: text(in.ConsistencyGroup),
	}
	if r.Version.AtLeast(13) && in.GroupID != nil {
		want.GroupID = text(in.GroupID)
	}
	if r.Version.AtLeast(47) {
		want.BackupID = text(in.BackupID)
	}
	if want.Multiattach && r.Version.AtLeast(50) {
		return nil, cloud.E(op, cloud.Invalid, "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. "+
			"Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.")
	}
	err = wire.First(checkName(&want.Name, &want.Description), checkMetadata(in.Metadata), needUUID("snapshot_id", want.SnapshotID),
		needUUID("source_volid", want.SourceID), needUUID("group_id", want.GroupID), needUUID("backup_id", want.BackupID))
	switch {
	case err != nil:
		return nil, err
	case in.Size.Set && !in.Size.Null && want.SizeGB < 1:
		return nil, cloud.E(op, cloud.Invalid, "Invalid input for field/attribute size. Value: %d. It must be at least 1", want.SizeGB)
	case want.SizeGB == 0 && want.SnapshotID == "" && want.SourceID == "" && want.BackupID == "":
		return nil, cloud.E(op, cloud.Invalid, "Invalid input received: the size of a volume is needed, in GB, unless it is made from a volume or a snapshot.")
	case count(want.ImageID, want.SnapshotID, want.SourceID, want.BackupID) > 1:
		return nil, cloud.E(op, cloud.Invalid, "Invalid input received: a volume is made from one of imageRef, snapshot_id, source_volid and backup_id.")
	}
	d, err := a.svc.Create(r.Context(), r.Caller, want)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"volume": volumeView(r, d, false)}), nil
}

// newVolumeMembers are those that the body of a create has.
const newVolumeMembers = "name display_name description display_description size volume_type availability_zone metadata snapshot_id source_volid imageRef " +
	"image_id consistencygroup_id multiattach"

// readNewVolume reads a create; as of 3.53 with no member that it does not have.
func readNewVolume(r *wire.Request, in *createIn) error {
	if !r.Version.AtLeast(53) {
		return onlyObject(r, "volume", in)
	}
	return strictObject(r, "volume", in, newVolumeMembers, at(13, "group_id"), at(47, "backup_id"))
}

func count(texts ...string) (n int) {
	for _, t := range texts {
		if t != "" {
			n++
		}
	}
	return n
}

// text is the first text that is there; "" for none.
func text(texts ...*string) string {
	for _, t := range texts {
		if t != nil {
			return *t
		}
	}
	return ""
}

// imageOf reads imageRef, which may be an id, an address that ends in one, or an
// object with an id.
func imageOf(in createIn) (string, error) {
	id := text(in.ImageID)
	switch ref := in.ImageRef.Value.(type) {
	case string:
		id = ref
	case map[string]any:
		id, _ = ref["id"].(string)
	}
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			id = id[i+1:]
			break
		}
	}
	if id != "" && !cloud.IsID(id) {
		return "", cloud.E("cinder.createVolume", cloud.Invalid, "Invalid image identifier or unable to access requested image.")
	}
	return id, nil
}

func (a *api) showVolume(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"volume": volumeView(r, d, true)}), nil
}

// changesIn is the body of an update.
type changesIn struct {
	Name        *string           `json:"name"`
	DisplayName *string           `json:"display_name"`
	Description *string           `json:"description"`
	DisplayDesc *string           `json:"display_description"`
	Metadata    map[string]string `json:"metadata"`
}

// changes reads an update of a volume or snapshot.
func changes(r *wire.Request, noun string) (volume.Changes, error) {
	var in changesIn
	known := "name display_name description display_description"
	if noun == "volume" {
		known += " metadata"
	}
	if err := strictObject(r, noun, &in, known); err != nil {
		return volume.Changes{}, err
	}
	ch := volume.Changes{Name: first(in.Name, in.DisplayName), Description: first(in.Description, in.DisplayDesc), Metadata: in.Metadata}
	if ch.Name == nil && ch.Description == nil && ch.Metadata == nil {
		return ch, cloud.E("cinder.update", cloud.Invalid, "Must specify 'name' or 'description' to update.")
	}
	return ch, wire.First(checkName(ch.Name, ch.Description), checkMetadata(ch.Metadata))
}

func first(texts ...*string) *string {
	for _, t := range texts {
		if t != nil {
			return t
		}
	}
	return nil
}

func (a *api) updateVolume(r *wire.Request) (*wire.Response, error) {
	ch, err := changes(r, "volume")
	if err != nil {
		return nil, err
	}
	d, err := a.svc.Update(r.Context(), r.Caller, r.PathValue("id"), ch)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"volume": volumeView(r, d, false)}), nil
}

func (a *api) deleteVolume(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	cascade, force := false, false
	for name, into := range map[string]*bool{"cascade": &cascade, "force": &force} {
		if !q.Has(name) || name == "force" && !r.Version.AtLeast(23) {
			continue
		}
		v, err := wire.ParseBool(name, q.Get(name))
		if err != nil {
			return nil, err
		}
		*into = v
	}
	if force && !r.Caller.IsAdmin() {
		return nil, wire.Denied("volume_extension:volume_admin_actions:force_delete")
	}
	return wire.Accepted(nil), a.svc.Delete(r.Context(), r.Caller, r.PathValue("id"), cascade, force)
}
