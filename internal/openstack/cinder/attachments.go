package cinder

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

func (a *api) attachmentRoutes() []wire.Route {
	return []wire.Route{
		since(27, route("GET", "/attachments", wire.Reader, "volume:attachment_list", a.listAttachments(false))),
		since(27, route("GET", "/attachments/detail", wire.Reader, "volume:attachment_list", a.listAttachments(true))),
		since(27, route("POST", "/attachments", wire.Member, "volume:attachment_create", a.createAttachment)),
		since(27, route("GET", "/attachments/{id}", wire.Reader, "volume:attachment_get", a.showAttachment)),
		since(27, route("PUT", "/attachments/{id}", wire.Member, "volume:attachment_update", a.updateAttachment)),
		since(27, route("DELETE", "/attachments/{id}", wire.Member, "volume:attachment_delete", a.deleteAttachment)),
		since(44, route("POST", "/attachments/{id}/action", wire.Member, "volume:attachment_complete", a.completeAttachment)),
	}
}

func attachmentSummary(at cloud.VolumeAttachment) wire.M {
	return wire.M{"id": at.ID, "status": at.State, "instance": orNull(at.ServerID), "volume_id": at.VolumeID}
}

// attachmentView is an attachment with the way to the volume, if it has a
// connector.
func (a *api) attachmentView(r *wire.Request, at cloud.VolumeAttachment) (wire.M, error) {
	m := attachmentSummary(at)
	m["attach_mode"], m["attached_at"], m["detached_at"], m["connection_info"] = "rw", nil, nil, wire.M{}
	if at.ReadOnly {
		m["attach_mode"] = "ro"
	}
	if at.AttachedAt != nil {
		m["attached_at"] = stamp(*at.AttachedAt)
	}
	if at.Connector == nil {
		return m, nil
	}
	conn, err := a.svc.Connect(r.Context(), r.Caller, at.VolumeID)
	if err != nil {
		return nil, err
	}
	info := connectionView(conn, at.ReadOnly)
	data := info["data"].(wire.M)
	data["driver_volume_type"], data["attachment_id"] = info["driver_volume_type"], at.ID
	m["connection_info"] = data
	return m, nil
}

func (a *api) attachmentReply(r *wire.Request, at cloud.VolumeAttachment, err error) (*wire.Response, error) {
	if err != nil {
		return nil, err
	}
	m, err := a.attachmentView(r, at)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"attachment": m}), nil
}

func (a *api) listAttachments(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, "volume_id", "instance_id", "status", "attach_status", "instance_uuid", "id")
		if err != nil {
			return nil, err
		}
		list, more, err := a.svc.Attachments(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		view := attachmentSummary
		if detailed {
			view = func(at cloud.VolumeAttachment) wire.M {
				m, verr := a.attachmentView(r, at)
				if verr != nil && err == nil {
					err = verr
				}
				return m
			}
		}
		body := listBody(r, "attachments", list, more, -1, func(at cloud.VolumeAttachment) string { return at.ID }, view)
		return body, err
	}
}

func (a *api) createAttachment(r *wire.Request) (*wire.Response, error) {
	var in struct {
		VolumeID  string         `json:"volume_uuid"`
		ServerID  *string        `json:"instance_uuid"`
		Connector map[string]any `json:"connector"`
		Mode      string         `json:"mode"`
	}
	if err := strictObject(r, "attachment", &in, "volume_uuid instance_uuid connector", at(54, "mode")); err != nil {
		return nil, err
	}
	if err := wire.First(wire.UUID("volume_uuid", in.VolumeID), needUUID("instance_uuid", text(in.ServerID))); err != nil {
		return nil, err
	}
	if in.Mode != "" {
		if err := wire.OneOf("mode", in.Mode, "rw", "ro"); err != nil {
			return nil, err
		}
	}
	if len(in.Connector) == 0 {
		in.Connector = nil
	}
	at, err := a.svc.CreateAttachment(r.Context(), r.Caller, volume.NewAttachment{VolumeID: in.VolumeID, ServerID: text(in.ServerID), Mode: in.Mode, Connector: in.Connector})
	return a.attachmentReply(r, at, err)
}

func (a *api) showAttachment(r *wire.Request) (*wire.Response, error) {
	at, err := a.svc.Attachment(r.Context(), r.Caller, r.PathValue("id"))
	return a.attachmentReply(r, at, err)
}

func (a *api) updateAttachment(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Connector map[string]any `json:"connector"`
	}
	if err := strictObject(r, "attachment", &in, "connector"); err != nil {
		return nil, err
	}
	if len(in.Connector) == 0 {
		return nil, cloud.E("cinder.updateAttachment", cloud.Invalid, "'connector' is a required property")
	}
	at, err := a.svc.UpdateAttachment(r.Context(), r.Caller, r.PathValue("id"), in.Connector)
	return a.attachmentReply(r, at, err)
}

func (a *api) deleteAttachment(r *wire.Request) (*wire.Response, error) {
	left, err := a.svc.DeleteAttachment(r.Context(), r.Caller, r.PathValue("id"))
	list := []wire.M{}
	for _, at := range left {
		list = append(list, attachmentSummary(at))
	}
	return wire.JSON(wire.M{"attachments": list}), err
}

func (a *api) completeAttachment(r *wire.Request) (*wire.Response, error) {
	name, _, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	if name != "os-complete" {
		return nil, unknownAction(name)
	}
	return wire.NoContent(), a.svc.CompleteAttachment(r.Context(), r.Caller, r.PathValue("id"))
}
