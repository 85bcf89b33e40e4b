package cinder

import (
	"encoding/base64"
	"encoding/json"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) backupRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/backups", wire.Reader, "backup:get_all", a.listBackups(false)),
		route("GET", "/backups/detail", wire.Reader, "backup:get_all", a.listBackups(true)),
		route("POST", "/backups", wire.Member, "backup:create", a.createBackup),
		route("POST", "/backups/import_record", wire.Admin, "backup:backup-import", a.importBackup),
		route("GET", "/backups/{id}", wire.Reader, "backup:get", a.showBackup),
		since(9, route("PUT", "/backups/{id}", wire.Member, "backup:update", a.updateBackup)),
		route("DELETE", "/backups/{id}", wire.Member, "backup:delete", a.deleteBackup),
		route("POST", "/backups/{id}/restore", wire.Member, "backup:restore", a.restoreBackup),
		route("GET", "/backups/{id}/export_record", wire.Admin, "backup:export-import", a.exportBackup),
		route("POST", "/backups/{id}/action", wire.Admin, "volume_extension:backup_admin_actions", a.backupAction),
	}
}

// backupFilters are what lists of backups can be narrowed by.
var backupFilters = []string{"name", "status", "volume_id"}

func backupSummary(r *wire.Request, id, name string) wire.M {
	return wire.M{"id": id, "name": orNull(name), "links": links(r, "/backups/"+id)}
}

func backupView(r *wire.Request, b volume.Backup) wire.M {
	m := backupSummary(r, b.ID, b.Name)
	more := wire.M{
		"status": b.Status(), "size": b.SizeGB, "object_count": b.Objects, "availability_zone": orNull(b.AvailabilityZone), "container": orNull(b.Container),
		"created_at": stamp(b.CreatedAt), "updated_at": stamp(b.UpdatedAt), "description": orNull(b.Description), "fail_reason": orNull(b.Fault),
		"volume_id": b.VolumeID, "is_incremental": b.ParentID != "", "has_dependent_backups": b.Dependent, "snapshot_id": orNull(b.SnapshotID),
		"data_timestamp": stamp(b.DataAt),
	}
	for k, v := range more {
		m[k] = v
	}
	if r.Caller.IsAdmin() && r.Version.AtLeast(18) {
		m["os-backup-project-attr:project_id"] = b.ProjectID
	}
	if r.Version.AtLeast(43) {
		m["metadata"] = orEmpty(b.Metadata)
	}
	if b.Key != nil && r.Version.AtLeast(64) {
		m["encryption_key_id"] = b.Key.ID
	}
	if r.Caller.IsAdmin() && r.Version.AtLeast(56) {
		m["user_id"] = b.UserID
	}
	return m
}

func (a *api) listBackups(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, backupFilters...)
		if err != nil {
			return nil, err
		}
		list, more, total, err := a.svc.Backups(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "backups", list, more, total, func(b volume.Backup) string { return b.ID }, func(b volume.Backup) wire.M {
			if detailed {
				return backupView(r, b)
			}
			return backupSummary(r, b.ID, b.Name)
		}), nil
	}
}

func (a *api) createBackup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		VolumeID    string              `json:"volume_id"`
		Container   *string             `json:"container"`
		Name        *string             `json:"name"`
		Description *string             `json:"description"`
		Incremental wire.Opt[wire.Bool] `json:"incremental"`
		Force       wire.Opt[wire.Bool] `json:"force"`
		SnapshotID  *string             `json:"snapshot_id"`
		Metadata    map[string]string   `json:"metadata"`
		Zone        *string             `json:"availability_zone"`
	}
	const known = "volume_id container name description incremental force snapshot_id"
	if err := strictObject(r, "backup", &in, known, at(43, "metadata"), at(51, "availability_zone")); err != nil {
		return nil, err
	}
	err := wire.First(wire.UUID("volume_id", in.VolumeID), needUUID("snapshot_id", text(in.SnapshotID)), checkName(in.Name, in.Description), checkMetadata(in.Metadata),
		wire.Length("container", text(in.Container), 0, 255))
	if err != nil {
		return nil, err
	}
	b, err := a.svc.CreateBackup(r.Context(), r.Caller, volume.NewBackup{
		VolumeID: in.VolumeID, SnapshotID: text(in.SnapshotID), Name: trimmed(in.Name), Description: trimmed(in.Description), Container: text(in.Container),
		Zone: text(in.Zone), Metadata: in.Metadata, Incremental: bool(in.Incremental.Or(false)), Force: bool(in.Force.Or(false)),
	})
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"backup": backupSummary(r, b.ID, b.Name)}), nil
}

func (a *api) showBackup(r *wire.Request) (*wire.Response, error) {
	b, err := a.svc.Backup(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"backup": backupView(r, b)}), nil
}

func (a *api) updateBackup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Name        *string           `json:"name"`
		Description *string           `json:"description"`
		Metadata    map[string]string `json:"metadata"`
	}
	if err := strictObject(r, "backup", &in, "name description", at(43, "metadata")); err != nil {
		return nil, err
	}
	if in.Name == nil && in.Description == nil && in.Metadata == nil {
		return nil, cloud.E("cinder.updateBackup", cloud.Invalid, "Must specify 'name' or 'description' to update.")
	}
	if err := wire.First(checkName(in.Name, in.Description), checkMetadata(in.Metadata)); err != nil {
		return nil, err
	}
	b, err := a.svc.UpdateBackup(r.Context(), r.Caller, r.PathValue("id"), volume.Changes{Name: in.Name, Description: in.Description, Metadata: in.Metadata})
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"backup": backupSummary(r, b.ID, b.Name)}), nil
}

func (a *api) deleteBackup(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteBackup(r.Context(), r.Caller, r.PathValue("id"), false)
}

func (a *api) restoreBackup(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Name     *string `json:"name"`
		VolumeID *string `json:"volume_id"`
	}
	if err := strictObject(r, "restore", &in, "name volume_id"); err != nil {
		return nil, err
	}
	if err := wire.First(needUUID("volume_id", text(in.VolumeID)), checkName(in.Name, nil)); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	d, err := a.svc.Restore(r.Context(), r.Caller, id, text(in.VolumeID), trimmed(in.Name))
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"restore": wire.M{"backup_id": id, "volume_id": d.ID, "volume_name": d.Name}}), nil
}

// exportBackup gives a record, which nobody but an import reads.
func (a *api) exportBackup(r *wire.Request) (*wire.Response, error) {
	record, service, err := a.svc.ExportBackup(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"backup-record": wire.M{"backup_service": service, "backup_url": base64.StdEncoding.EncodeToString(body)}}), nil
}

func (a *api) importBackup(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.importBackup"
	var in struct {
		Service string `json:"backup_service"`
		URL     string `json:"backup_url"`
	}
	if err := strictObject(r, "backup-record", &in, "backup_service backup_url"); err != nil {
		return nil, err
	}
	if err := wire.First(wire.Length("backup_service", in.Service, 1, 255), wire.Length("backup_url", in.URL, 1, 1<<20)); err != nil {
		return nil, err
	}
	var record volume.BackupRecord
	body, err := base64.StdEncoding.DecodeString(in.URL)
	if err == nil {
		err = json.Unmarshal(body, &record)
	}
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "Invalid input received: Can't parse backup record.")
	}
	if err := wire.First(checkName(&record.Name, &record.Description), checkMetadata(record.Metadata)); err != nil {
		return nil, err
	}
	b, err := a.svc.ImportBackup(r.Context(), r.Caller, in.Service, record)
	if err != nil {
		return nil, err
	}
	return wire.Created(wire.M{"backup": backupSummary(r, b.ID, b.Name)}), nil
}

func (a *api) backupAction(r *wire.Request) (*wire.Response, error) {
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	switch name {
	case "os-reset_status":
		in, err := params[struct{ Status string }](raw)
		if err := wire.First(err, wire.OneOf("status", in.Status, "available", "error")); err != nil {
			return nil, err
		}
		return wire.Accepted(nil), a.svc.ResetBackup(r.Context(), r.Caller, id, in.Status)
	case "os-force_delete":
		return wire.Accepted(nil), a.svc.DeleteBackup(r.Context(), r.Caller, id, true)
	}
	return nil, unknownAction(name)
}
