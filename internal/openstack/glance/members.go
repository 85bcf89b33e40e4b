package glance

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func renderMember(m cloud.ImageMember) wire.M {
	return wire.M{
		"image_id": m.ImageID, "member_id": m.ProjectID, "status": m.Status, "schema": "/v2/schemas/member",
		"created_at": stamp(m.CreatedAt), "updated_at": stamp(m.UpdatedAt),
	}
}

func answerMember(m cloud.ImageMember, err error) (*wire.Response, error) {
	if err != nil {
		return nil, err
	}
	return wire.JSON(renderMember(m)), nil
}

func (h handlers) members(r *wire.Request) (*wire.Response, error) {
	members, err := h.images.Members(r.Context(), r.Caller, r.PathValue("image"))
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(members))
	for i, m := range members {
		list[i] = renderMember(m)
	}
	return wire.JSON(wire.M{"members": list, "schema": "/v2/schemas/members"}), nil
}

func (h handlers) member(r *wire.Request) (*wire.Response, error) {
	return answerMember(h.images.Member(r.Context(), r.Caller, r.PathValue("image"), r.PathValue("member")))
}

func (h handlers) addMember(r *wire.Request) (*wire.Response, error) {
	var body struct{ Member string }
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return answerMember(h.images.AddMember(r.Context(), r.Caller, r.PathValue("image"), body.Member))
}

func (h handlers) setMember(r *wire.Request) (*wire.Response, error) {
	var body struct{ Status string }
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return answerMember(h.images.SetMember(r.Context(), r.Caller, r.PathValue("image"), r.PathValue("member"), body.Status))
}

func (h handlers) removeMember(r *wire.Request) (*wire.Response, error) {
	return done(h.images.RemoveMember(r.Context(), r.Caller, r.PathValue("image"), r.PathValue("member")))
}
