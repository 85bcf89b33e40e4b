package nova

import (
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// attachmentRoutes are a server's volumes.
func (a *api) attachmentRoutes() []wire.Route {
	list := "/servers/{id}/os-volume_attachments"
	return []wire.Route{
		route("GET", list, wire.Reader, "os-volumes-attachments:index", a.listVolumeAttachments),
		route("POST", list, wire.Member, "os-volumes-attachments:create", a.attachVolume),
		route("GET", list+"/{volume}", wire.Reader, "os-volumes-attachments:show", a.showVolumeAttachment),
		route("PUT", list+"/{volume}", wire.Member, "os-volumes-attachments:update", a.updateVolumeAttachment),
		route("DELETE", list+"/{volume}", wire.Member, "os-volumes-attachments:delete", a.detachVolume),
	}
}

// attachmentView is an attachment: its id was the volume's until 2.88.
func attachmentView(r *wire.Request, at cloud.VolumeAttachment) wire.M {
	m := wire.M{"volumeId": at.VolumeID, "serverId": at.ServerID}
	if at.Device != "" {
		m["device"] = at.Device
	}
	if r.Version.AtLeast(70) {
		m["tag"] = orNull(at.Tag)
	}
	if r.Version.AtLeast(79) {
		m["delete_on_termination"] = at.DeleteOnTermination
	}
	if r.Version.AtLeast(89) {
		m["attachment_id"], m["bdm_uuid"] = at.ID, at.ID
	} else {
		m["id"] = at.VolumeID
	}
	return m
}

func (a *api) listVolumeAttachments(r *wire.Request) (*wire.Response, error) {
	if err := strict(r, "limit", "offset"); err != nil {
		return nil, err
	}
	from, to, err := slice(r)
	if err != nil {
		return nil, err
	}
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views := []wire.M{}
	for _, at := range d.Volumes[min(from, len(d.Volumes)):min(to, len(d.Volumes))] {
		views = append(views, attachmentView(r, at))
	}
	return wire.JSON(wire.M{"volumeAttachments": views}), nil
}

// slice reads offset and limit (nova/api/openstack/common.py, limited).
func slice(r *wire.Request) (from, to int, err error) {
	limit := MaxLimit
	for name, into := range map[string]*int{"offset": &from, "limit": &limit} {
		said := r.URL.Query().Get(name)
		if !r.URL.Query().Has(name) {
			continue
		}
		n, err := strconv.Atoi(said)
		if err != nil || n < 0 {
			return 0, 0, cloud.E("nova.limited", cloud.Invalid, "Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name, said, said)
		}
		*into = min(n, 1<<30)
	}
	if limit == 0 {
		limit = MaxLimit
	}
	return from, from + min(limit, MaxLimit), nil
}

func (a *api) showVolumeAttachment(r *wire.Request) (*wire.Response, error) {
	at, err := a.svc.Attachment(r.Context(), r.Caller, r.PathValue("id"), r.PathValue("volume"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"volumeAttachment": attachmentView(r, at)}), nil
}

// volumeAttachmentIn is the body of a create or an update.
type volumeAttachmentIn struct {
	Attachment struct {
		VolumeID string `json:"volumeId"`
		ID       *string
		ServerID *string `json:"serverId"`
		Device   *string
		Tag      *string
		Delete   wire.Opt[wire.Bool] `json:"delete_on_termination"`
	} `json:"volumeAttachment"`
}

func (a *api) attachVolume(r *wire.Request) (*wire.Response, error) {
	var in volumeAttachmentIn
	if err := a.schemas.decode(r, "attachments.json#/createVolume", &in); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if err := a.shelvedSince(r, id, "attach_volume"); err != nil {
		return nil, err
	}
	ask := compute.VolumeAsk{VolumeID: in.Attachment.VolumeID, DeleteOnTermination: bool(in.Attachment.Delete.Or(false)), Multiattach: r.Version.AtLeast(60)}
	if in.Attachment.Device != nil {
		ask.Device = *in.Attachment.Device
	}
	if in.Attachment.Tag != nil {
		ask.Tag = *in.Attachment.Tag
	}
	at, err := a.svc.AttachVolume(r.Context(), actor(r), id, ask)
	if err != nil {
		return nil, err
	}
	m := wire.M{"id": at.VolumeID, "serverId": at.ServerID, "volumeId": at.VolumeID, "device": at.Device}
	if r.Version.AtLeast(70) {
		m["tag"] = orNull(at.Tag)
	}
	if r.Version.AtLeast(79) {
		m["delete_on_termination"] = at.DeleteOnTermination
	}
	return wire.JSON(wire.M{"volumeAttachment": m}), nil
}

// shelvedSince refuses what a shelved server lets be done from 2.20 on only.
func (a *api) shelvedSince(r *wire.Request, id, method string) error {
	if r.Version.AtLeast(20) {
		return nil
	}
	d, err := a.svc.Server(r.Context(), r.Caller, id)
	if err != nil {
		return err
	}
	if state := d.VMState(); state == "shelved" || state == "shelved_offloaded" {
		return cloud.E("nova."+method, cloud.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", method, id, state)
	}
	return nil
}

// updateVolumeAttachment changes an attachment from 2.85 on, and by another
// volumeId, which was all there was before, has the guest's disk be another volume.
func (a *api) updateVolumeAttachment(r *wire.Request) (*wire.Response, error) {
	var in volumeAttachmentIn
	if err := a.schemas.decode(r, "attachments.json#/updateVolume", &in); err != nil {
		return nil, err
	}
	id, volume, v := r.PathValue("id"), r.PathValue("volume"), in.Attachment
	swap := v.VolumeID != volume || !r.Version.AtLeast(85)
	if swap {
		if err := operatorOnly(r, "os-volumes-attachments:swap"); err != nil {
			return nil, err
		}
	}
	if r.Version.AtLeast(85) {
		u := compute.AttachmentUpdate{ID: v.ID, ServerID: v.ServerID, Device: v.Device, Tag: v.Tag}
		if v.Delete.Set {
			b := bool(v.Delete.Value)
			u.DeleteOnTermination = &b
		}
		if err := a.svc.UpdateAttachment(r.Context(), actor(r), id, volume, u); err != nil {
			return nil, err
		}
	}
	if swap {
		return wire.Accepted(nil), a.svc.SwapVolume(r.Context(), actor(r), id, volume, v.VolumeID)
	}
	return wire.Accepted(nil), nil
}

func (a *api) detachVolume(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	if err := a.shelvedSince(r, id, "detach_volume"); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.DetachVolume(r.Context(), actor(r), id, r.PathValue("volume"))
}
