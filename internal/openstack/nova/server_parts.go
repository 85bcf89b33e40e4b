package nova

import (
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) serverPartRoutes() []wire.Route {
	meta, tags, acts := "/servers/{id}/metadata", "/servers/{id}/tags", "/servers/{id}/os-instance-actions"
	return []wire.Route{
		route("GET", meta, wire.Reader, "server-metadata:index", a.listMetadata),
		route("POST", meta, wire.Member, "server-metadata:create", a.setMetadata(false)),
		route("PUT", meta, wire.Member, "server-metadata:update_all", a.setMetadata(true)),
		route("GET", meta+"/{key}", wire.Reader, "server-metadata:show", a.showMetadata),
		route("PUT", meta+"/{key}", wire.Member, "server-metadata:update", a.setMetadataItem),
		route("DELETE", meta+"/{key}", wire.Member, "server-metadata:delete", a.deleteMetadata),
		since(26, route("GET", tags, wire.Reader, "os-server-tags:index", a.listTags)),
		since(26, route("PUT", tags, wire.Member, "os-server-tags:update_all", a.setTags)),
		since(26, route("DELETE", tags, wire.Member, "os-server-tags:delete_all", a.deleteTags)),
		since(26, route("GET", tags+"/{tag}", wire.Reader, "os-server-tags:show", a.showTag)),
		since(26, route("PUT", tags+"/{tag}", wire.Member, "os-server-tags:update", a.addTag)),
		since(26, route("DELETE", tags+"/{tag}", wire.Member, "os-server-tags:delete", a.deleteTag)),
		route("GET", "/servers/{id}/ips", wire.Reader, "ips:index", a.listAddresses),
		route("GET", "/servers/{id}/ips/{network}", wire.Reader, "ips:show", a.showAddresses),
		route("GET", acts, wire.Reader, "os-instance-actions:list", a.listActions),
		route("GET", acts+"/{request}", wire.Reader, "os-instance-actions:show", a.showAction),
	}
}

func (a *api) listMetadata(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"metadata": orEmpty(d.Metadata)}), nil
}

func (a *api) showMetadata(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	key := r.PathValue("key")
	value, ok := d.Metadata[key]
	if !ok {
		return nil, cloud.E("nova.showMetadata", cloud.NotFound, "Metadata item was not found")
	}
	return wire.JSON(wire.M{"meta": wire.M{key: value}}), nil
}

func (a *api) setMetadata(replace bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		var in struct{ Metadata map[string]string }
		if err := a.schemas.decode(r, "metadata.json#/all", &in); err != nil {
			return nil, err
		}
		all, err := a.svc.SetMetadata(r.Context(), actor(r), r.PathValue("id"), in.Metadata, replace)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"metadata": orEmpty(all)}), nil
	}
}

func (a *api) setMetadataItem(r *wire.Request) (*wire.Response, error) {
	var in struct{ Meta map[string]string }
	if err := a.schemas.decode(r, "metadata.json#/item", &in); err != nil {
		return nil, err
	}
	if _, ok := in.Meta[r.PathValue("key")]; !ok {
		return nil, cloud.E("nova.setMetadataItem", cloud.Invalid, "Request body and URI mismatch")
	}
	if _, err := a.svc.SetMetadata(r.Context(), actor(r), r.PathValue("id"), in.Meta, false); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"meta": in.Meta}), nil
}

func (a *api) deleteMetadata(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteMetadata(r.Context(), actor(r), r.PathValue("id"), r.PathValue("key"))
}

func (a *api) listTags(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return tagsView(d.Tags), nil
}

func tagsView(tags []string) *wire.Response {
	if tags == nil {
		tags = []string{}
	}
	return wire.JSON(wire.M{"tags": tags})
}

func (a *api) showTag(r *wire.Request) (*wire.Response, error) {
	id, tag := r.PathValue("id"), r.PathValue("tag")
	d, err := a.svc.Server(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.Tags, tag) {
		return nil, cloud.E("nova.showTag", cloud.NotFound, "Server %s has no tag '%s'", id, tag)
	}
	return wire.NoContent(), nil
}

func (a *api) setTags(r *wire.Request) (*wire.Response, error) {
	var in struct{ Tags []string }
	if err := a.schemas.decode(r, "metadata.json#/tags", &in); err != nil {
		return nil, err
	}
	tags, err := a.svc.SetTags(r.Context(), actor(r), r.PathValue("id"), in.Tags)
	if err != nil {
		return nil, err
	}
	return tagsView(tags), nil
}

func (a *api) addTag(r *wire.Request) (*wire.Response, error) {
	id, tag := r.PathValue("id"), r.PathValue("tag")
	if err := a.schemas.check(tag, "metadata.json#/tag", r.Version.Minor); err != nil {
		return nil, cloud.E("nova.addTag", cloud.Invalid, "Tag '%s' is invalid. It must be a non empty string without characters '/' and ','. Validation error message: %s", tag, cloud.Message(err))
	}
	added, err := a.svc.AddTag(r.Context(), actor(r), id, tag)
	if err != nil {
		return nil, err
	}
	if !added {
		return wire.NoContent(), nil
	}
	return &wire.Response{Status: http.StatusCreated, Header: http.Header{"Location": {r.Link("/v2.1/servers/" + id + "/tags/" + tag)}}}, nil
}

func (a *api) deleteTag(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteTag(r.Context(), actor(r), r.PathValue("id"), r.PathValue("tag"))
}

func (a *api) deleteTags(r *wire.Request) (*wire.Response, error) {
	_, err := a.svc.SetTags(r.Context(), actor(r), r.PathValue("id"), nil)
	return wire.NoContent(), err
}
