package cinder

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// actionIn reads a body with one member: the action.
func actionIn(r *wire.Request) (name string, raw json.RawMessage, err error) {
	var in map[string]json.RawMessage
	if err := r.Decode(&in); err != nil {
		return "", nil, err
	}
	if len(in) != 1 {
		return "", nil, cloud.E("cinder.action", cloud.Invalid, "There must be one action in the body, not %d.", len(in))
	}
	for name, raw = range in {
	}
	return name, raw, nil
}

func unknownAction(name string) error {
	return cloud.E("cinder.action", cloud.Invalid, "There is no such action: %s", name)
}

func malformed(err error) error {
	var said *cloud.Error
	if errors.As(err, &said) {
		return err
	}
	return cloud.E("cinder.action", cloud.Invalid, "Malformed request body: %v", err)
}

// adminActions are those that an operator alone may do.
var adminActions = []string{"os-reset_status", "os-force_delete", "os-force_detach", "os-unmanage", "os-migrate_volume", "os-migrate_volume_completion"}

// actionsSince are those that came with a microversion.
var actionsSince = map[string]int{"revert": 40, "os-reimage": 68}

// act does an action on a volume with the JSON of its parameters.
type act func(a *api, r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error)

// acts are the actions on volumes.
func acts() map[string]act {
	return map[string]act{
		"os-reserve":   plain(func(a *api, r *wire.Request, id string) error { return a.svc.Reserve(r.Context(), r.Caller, id) }),
		"os-unreserve": plain(func(a *api, r *wire.Request, id string) error { return a.svc.Unreserve(r.Context(), r.Caller, id) }),
		"os-begin_detaching": plain(func(a *api, r *wire.Request, id string) error {
			return a.svc.BeginDetaching(r.Context(), r.Caller, id)
		}),
		"os-roll_detaching": plain(func(a *api, r *wire.Request, id string) error { return a.svc.RollDetaching(r.Context(), r.Caller, id) }),
		"os-terminate_connection": plain(func(a *api, r *wire.Request, id string) error {
			_, err := a.svc.Get(r.Context(), r.Caller, id)
			return err
		}),
		"os-force_delete": plain(func(a *api, r *wire.Request, id string) error {
			return a.svc.Delete(r.Context(), r.Caller, id, true, true)
		}),
		"os-attach": (*api).attach, "os-detach": (*api).detach, "os-force_detach": (*api).detach, "os-extend": (*api).extend,
		"os-set_bootable": (*api).setBootable, "os-update_readonly_flag": (*api).setReadOnly, "os-retype": (*api).retype,
		"os-reset_status": (*api).resetStatus, "os-volume_upload_image": (*api).upload, "os-initialize_connection": (*api).connect,
		"os-set_image_metadata": (*api).setImageMetadata, "os-unset_image_metadata": (*api).unsetImageMetadata,
		"os-show_image_metadata": (*api).showImageMetadata, "revert": (*api).revert, "os-reimage": (*api).reimage,
		"os-unmanage":       plain(func(a *api, r *wire.Request, id string) error { return a.svc.Unmanage(r.Context(), r.Caller, id) }),
		"os-migrate_volume": (*api).migrate, "os-migrate_volume_completion": (*api).completeMigration,
	}
}

// plain is an action without parameters that answers 202.
func plain(do func(a *api, r *wire.Request, id string) error) act {
	return func(a *api, r *wire.Request, id string, _ json.RawMessage) (*wire.Response, error) {
		return wire.Accepted(nil), do(a, r, id)
	}
}

func (a *api) volumeAction(r *wire.Request) (*wire.Response, error) {
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	do := acts()[name]
	switch {
	case do == nil, actionsSince[name] > 0 && !r.Version.AtLeast(actionsSince[name]):
		return nil, unknownAction(name)
	case slices.Contains(adminActions, name) && !r.Caller.IsAdmin():
		return nil, wire.Denied("volume_extension:volume_admin_actions:" + name)
	}
	if err := checkAction(name, raw); err != nil {
		return nil, err
	}
	return do(a, r, r.PathValue("id"), raw)
}

// params reads the parameters of an action.
func params[T any](raw json.RawMessage) (in T, err error) {
	if err := json.Unmarshal(raw, &in); err != nil {
		return in, malformed(err)
	}
	return in, nil
}

func (a *api) attach(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Server *string `json:"instance_uuid"`
		Host   *string `json:"host_name"`
		Device *string `json:"mountpoint"`
		Mode   string  `json:"mode"`
	}](raw)
	if err != nil {
		return nil, err
	}
	server, host := text(in.Server), text(in.Host)
	switch {
	case server == "" && host == "":
		return nil, cloud.E("cinder.attach", cloud.Invalid, "Invalid request to attach volume to an invalid target: name an instance_uuid or a host_name.")
	case in.Mode != "" && in.Mode != "rw" && in.Mode != "ro":
		return nil, cloud.E("cinder.attach", cloud.Invalid, "Invalid request to attach volume with an invalid mode. Attaching mode should be 'rw' or 'ro'")
	}
	if err := needUUID("instance_uuid", server); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Attach(r.Context(), r.Caller, id, server, host, text(in.Device), in.Mode == "ro")
}

// attachmentIn names an attachment.
type attachmentIn struct {
	ID *string `json:"attachment_id"`
}

func (a *api) detach(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[attachmentIn](raw)
	if err != nil {
		return nil, err
	}
	if id := text(in.ID); id != "" && !cloud.IsID(id) {
		return nil, cloud.E("cinder.detach", cloud.Invalid, "Invalid input for field/attribute attachment_id. Value: %s. '%s' is not a 'uuid'", id, id)
	}
	return wire.Accepted(nil), a.svc.Detach(r.Context(), r.Caller, id, text(in.ID))
}

func (a *api) extend(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Size wire.Opt[wire.Int] `json:"new_size"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if in.Size.Set && !in.Size.Null && in.Size.Value < 1 {
		return nil, cloud.E("cinder.extend", cloud.Invalid, "Invalid input for field/attribute new_size. Value: %d. %d is less than the minimum of 1", in.Size.Value, in.Size.Value)
	}
	if !in.Size.Set || in.Size.Null {
		return nil, cloud.E("cinder.extend", cloud.Invalid, "Invalid input for field/attribute new_size. It must be a number of GB that is at least 1")
	}
	return wire.Accepted(nil), a.svc.Extend(r.Context(), r.Caller, id, int(in.Size.Value), r.Version.AtLeast(42))
}

func (a *api) setBootable(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Bootable wire.Opt[wire.Bool] `json:"bootable"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if !in.Bootable.Set {
		return nil, cloud.E("cinder.setBootable", cloud.Invalid, "'bootable' is a required property")
	}
	return wire.JSON(nil), a.svc.SetBootable(r.Context(), r.Caller, id, bool(in.Bootable.Value))
}

func (a *api) setReadOnly(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		ReadOnly wire.Opt[wire.Bool] `json:"readonly"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if !in.ReadOnly.Set {
		return nil, cloud.E("cinder.setReadOnly", cloud.Invalid, "'readonly' is a required property")
	}
	return wire.Accepted(nil), a.svc.SetReadOnly(r.Context(), r.Caller, id, bool(in.ReadOnly.Value))
}

func (a *api) retype(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Type   string `json:"new_type"`
		Policy string `json:"migration_policy"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if in.Policy != "" {
		if err := wire.OneOf("migration_policy", in.Policy, "on-demand", "never"); err != nil {
			return nil, err
		}
	}
	if err := wire.Length("new_type", in.Type, 1, 255); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.Retype(r.Context(), r.Caller, id, in.Type, in.Policy == "on-demand")
}

// volumeStatuses are those that an operator may set.
var volumeStatuses = []string{"creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing", "attaching", "detaching",
	"in-use", "maintenance", "reserved", "error_extending", "error_restoring"}

func (a *api) resetStatus(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Status *string `json:"status"`
		Attach *string `json:"attach_status"`
		Migr   *string `json:"migration_status"`
	}](raw)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Status == nil && in.Attach == nil && in.Migr == nil:
		return nil, cloud.E("cinder.resetStatus", cloud.Invalid, "Must specify 'status', 'attach_status' or 'migration_status' for update.")
	case in.Status != nil:
		err = wire.OneOf("status", *in.Status, volumeStatuses...)
	}
	if in.Attach != nil {
		err = wire.First(err, wire.OneOf("attach_status", *in.Attach, "attached", "detached"))
	}
	if err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.ResetStatus(r.Context(), r.Caller, id, text(in.Status), text(in.Attach))
}

func (a *api) upload(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Name       string              `json:"image_name"`
		Force      wire.Opt[wire.Bool] `json:"force"`
		Container  string              `json:"container_format"`
		Disk       string              `json:"disk_format"`
		Visibility string              `json:"visibility"`
		Protected  wire.Opt[wire.Bool] `json:"protected"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if err := wire.Length("image_name", in.Name, 1, 255); err != nil {
		return nil, err
	}
	want := volume.NewImage{Name: in.Name, ContainerFormat: in.Container, DiskFormat: in.Disk, Force: bool(in.Force.Or(false))}
	if want.ContainerFormat == "" {
		want.ContainerFormat = "bare"
	}
	if want.DiskFormat == "" {
		want.DiskFormat = "raw"
	}
	if r.Version.AtLeast(1) {
		want.Visibility, want.Protected = in.Visibility, bool(in.Protected.Or(false))
	}
	d, img, err := a.svc.Upload(r.Context(), r.Caller, id, want)
	if err != nil {
		return nil, err
	}
	m := wire.M{
		"id": d.ID, "updated_at": stamp(d.UpdatedAt), "status": d.Status, "display_description": orNull(d.Description), "size": d.SizeGB,
		"volume_type": nil, "image_id": img.ID, "container_format": img.ContainerFormat, "disk_format": img.DiskFormat, "image_name": img.Name,
	}
	if d.TypeName != "" {
		m["volume_type"] = wire.M{"id": d.TypeID, "name": d.TypeName}
	}
	if r.Version.AtLeast(1) {
		m["visibility"], m["protected"] = string(img.Visibility), img.Protected
	}
	return wire.Accepted(wire.M{"os-volume_upload_image": m}), nil
}

// connect tells a host how it reaches a volume: as a file of the node it is on.
func (a *api) connect(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct {
		Connector map[string]any `json:"connector"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if in.Connector == nil {
		return nil, cloud.E("cinder.connect", cloud.Invalid, "'connector' is a required property")
	}
	conn, err := a.svc.Connect(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"connection_info": connectionView(conn, conn.Volume.ReadOnly)}), nil
}

func connectionView(conn volume.Connection, readOnly bool) wire.M {
	mode := "rw"
	if readOnly {
		mode = "ro"
	}
	var qos any
	if conn.QoS != nil {
		qos = conn.QoS
	}
	return wire.M{"driver_volume_type": "local", "data": wire.M{
		"device_path": conn.Volume.Seen.Path, "format": conn.Volume.Seen.Format, "node": conn.Volume.Node, "access_mode": mode,
		"qos_specs": qos, "encrypted": conn.Volume.Key != nil, "volume_id": conn.Volume.ID,
	}}
}

func (a *api) setImageMetadata(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct{ Metadata map[string]string }](raw)
	if err != nil {
		return nil, err
	}
	if err := checkMetadata(in.Metadata); err != nil {
		return nil, err
	}
	d, err := a.svc.SetImageMetadata(r.Context(), r.Caller, id, in.Metadata)
	return wire.JSON(wire.M{"metadata": orEmpty(maps.Clone(d.ImageMetadata))}), err
}

func (a *api) unsetImageMetadata(r *wire.Request, id string, raw json.RawMessage) (*wire.Response, error) {
	in, err := params[struct{ Key string }](raw)
	if err != nil {
		return nil, err
	}
	return wire.JSON(nil), a.svc.DropImageMetadata(r.Context(), r.Caller, id, in.Key)
}

func (a *api) showImageMetadata(r *wire.Request, id string, _ json.RawMessage) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, id)
	return wire.JSON(wire.M{"metadata": orEmpty(d.ImageMetadata)}), err
}
