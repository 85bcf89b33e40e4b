package cinder

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) transferRoutes() []wire.Route {
	var routes []wire.Route
	for i, path := range []string{"/os-volume-transfer", "/volume-transfers"} {
		from := 55 * i // the second name came with 3.55
		for _, r := range []wire.Route{
			route("GET", path, wire.Reader, "volume:get_all_transfers", a.listTransfers(false)),
			route("GET", path+"/detail", wire.Reader, "volume:get_all_transfers", a.listTransfers(true)),
			route("POST", path, wire.Member, "volume:create_transfer", a.createTransfer),
			route("GET", path+"/{id}", wire.Reader, "volume:get_transfer", a.showTransfer),
			route("DELETE", path+"/{id}", wire.Member, "volume:delete_transfer", a.deleteTransfer),
			route("POST", path+"/{id}/accept", wire.Member, "volume:accept_transfer", a.acceptTransfer),
		} {
			if from > 0 {
				r = since(from, r)
			}
			routes = append(routes, r)
		}
	}
	return routes
}

func transferView(r *wire.Request, t cloud.VolumeTransfer, whole bool) wire.M {
	m := wire.M{"id": t.ID, "volume_id": t.VolumeID, "name": orNull(t.Name), "links": links(r, "/os-volume-transfer/"+t.ID)}
	if !whole {
		return m
	}
	m["created_at"] = stamp(t.CreatedAt)
	if r.Version.AtLeast(55) {
		m["no_snapshots"] = t.NoSnapshots
	}
	if r.Version.AtLeast(57) {
		m["source_project_id"], m["destination_project_id"], m["accepted"] = t.ProjectID, nil, false
	}
	return m
}

func (a *api) listTransfers(detailed bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		l, err := parseList(r, "id", "name", "volume_id")
		if err != nil {
			return nil, err
		}
		list, more, err := a.svc.Transfers(r.Context(), r.Caller, l)
		if err != nil {
			return nil, err
		}
		return listBody(r, "transfers", list, more, -1, func(t cloud.VolumeTransfer) string { return t.ID },
			func(t cloud.VolumeTransfer) wire.M { return transferView(r, t, detailed) }), nil
	}
}

func (a *api) createTransfer(r *wire.Request) (*wire.Response, error) {
	var in struct {
		VolumeID    string              `json:"volume_id"`
		Name        *string             `json:"name"`
		NoSnapshots wire.Opt[wire.Bool] `json:"no_snapshots"`
	}
	if err := strictObject(r, "transfer", &in, "volume_id name", at(55, "no_snapshots")); err != nil {
		return nil, err
	}
	if err := wire.First(wire.UUID("volume_id", in.VolumeID), checkName(in.Name, nil)); err != nil {
		return nil, err
	}
	if d, err := a.svc.Get(r.Context(), r.Caller, in.VolumeID); err == nil && d.Key != nil && !r.Version.AtLeast(70) {
		return nil, cloud.E("cinder.transfer", cloud.Invalid, "Invalid volume: transferring encrypted volume is not supported (before microversion 3.70)")
	}
	t, key, err := a.svc.CreateTransfer(r.Context(), r.Caller, in.VolumeID, text(in.Name), r.Version.AtLeast(55) && bool(in.NoSnapshots.Or(false)))
	if err != nil {
		return nil, err
	}
	m := transferView(r, t, true)
	m["auth_key"] = key
	return wire.Accepted(wire.M{"transfer": m}), nil
}

func (a *api) showTransfer(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.Transfer(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"transfer": transferView(r, t, true)}), nil
}

func (a *api) deleteTransfer(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteTransfer(r.Context(), r.Caller, r.PathValue("id"))
}

func (a *api) acceptTransfer(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Key *string `json:"auth_key"`
	}
	if err := strictObject(r, "accept", &in, "auth_key"); err != nil {
		return nil, err
	}
	if in.Key == nil {
		return nil, cloud.E("cinder.accept", cloud.Invalid, "Invalid input for field/attribute accept. 'auth_key' is a required property")
	}
	t, err := a.svc.AcceptTransfer(r.Context(), r.Caller, r.PathValue("id"), *in.Key)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"transfer": transferView(r, t, false)}), nil
}

func (a *api) messageRoutes() []wire.Route {
	return []wire.Route{
		since(3, route("GET", "/messages", wire.Reader, "message:get_all", a.listMessages)),
		since(3, route("GET", "/messages/{id}", wire.Reader, "message:get", a.showMessage)),
		since(3, route("DELETE", "/messages/{id}", wire.Member, "message:delete", a.deleteMessage)),
	}
}

// messageFilters are what lists of messages can be narrowed by.
var messageFilters = []string{"event_id", "request_id", "resource_type", "resource_uuid", "message_level"}

func messageView(r *wire.Request, m cloud.VolumeMessage) wire.M {
	return wire.M{
		"id": m.ID, "event_id": m.EventID, "user_message": m.Text, "message_level": m.Level, "created_at": stamp(m.CreatedAt),
		"guaranteed_until": stamp(m.ExpiresAt), "request_id": m.RequestID, "resource_type": m.ResourceType, "resource_uuid": m.ResourceID,
		"links": links(r, "/messages/"+m.ID),
	}
}

func (a *api) listMessages(r *wire.Request) (*wire.Response, error) {
	l, err := parseList(r, messageFilters...)
	if err != nil {
		return nil, err
	}
	list, more, err := a.svc.Messages(r.Context(), r.Caller, l)
	if err != nil {
		return nil, err
	}
	return listBody(r, "messages", list, more, -1, func(m cloud.VolumeMessage) string { return m.ID },
		func(m cloud.VolumeMessage) wire.M { return messageView(r, m) }), nil
}

func (a *api) showMessage(r *wire.Request) (*wire.Response, error) {
	m, err := a.svc.Message(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"message": messageView(r, m)}), nil
}

func (a *api) deleteMessage(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteMessage(r.Context(), r.Caller, r.PathValue("id"))
}
