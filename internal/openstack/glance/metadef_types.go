package glance

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image/metadef"
)

func readAssociation(body map[string]any) cloud.MetadefResourceType {
	return cloud.MetadefResourceType{Name: str(body["name"]), Prefix: str(body["prefix"]), PropertiesTarget: str(body["properties_target"])}
}

func renderAssociation(t cloud.MetadefResourceType) wire.M {
	m := wire.M{"name": t.Name, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.UpdatedAt)}
	some(m, "prefix", t.Prefix)
	some(m, "properties_target", t.PropertiesTarget)
	return m
}

func renderAssociations(types []cloud.MetadefResourceType) []wire.M {
	list := make([]wire.M, len(types))
	for i, t := range types {
		list[i] = renderAssociation(t)
	}
	return list
}

func (h metadefs) resourceTypes(r *wire.Request) (*wire.Response, error) {
	names, err := h.defs.ResourceTypes(r.Context())
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(names))
	for i, name := range names {
		list[i] = wire.M{"name": name}
	}
	return wire.JSON(wire.M{"resource_types": list}), nil
}

func (h metadefs) associations(r *wire.Request) (*wire.Response, error) {
	w, err := h.defs.Get(r.Context(), r.Caller, r.PathValue("namespace"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"resource_type_associations": renderAssociations(w.ResourceTypes)}), nil
}

func (h metadefs) associate(r *wire.Request) (*wire.Response, error) {
	body, err := h.resource.decode(r)
	if err != nil {
		return nil, err
	}
	t, err := h.defs.Associate(r.Context(), r.Caller, r.PathValue("namespace"), readAssociation(body))
	if err != nil {
		return nil, err
	}
	return wire.Created(renderAssociation(t)), nil
}

func (h metadefs) dissociate(r *wire.Request) (*wire.Response, error) {
	return done(h.defs.Dissociate(r.Context(), r.Caller, r.PathValue("namespace"), r.PathValue("type")))
}

// prefixFor is what a namespace's property names begin with on a kind of
// resource; "" for none.
func prefixFor(ns cloud.MetadefNamespace, resourceType string) string {
	i := slices.IndexFunc(ns.ResourceTypes, func(t cloud.MetadefResourceType) bool { return t.Name == resourceType })
	if i < 0 {
		return ""
	}
	return ns.ResourceTypes[i].Prefix
}

// prefixed names the properties of a namespace as a resource has them.
func prefixed(m wire.M, w metadef.Whole, prefix string) {
	if properties := w.Of(cloud.MetadefProperty); len(properties) > 0 {
		m["properties"] = renderProperties(properties, prefix)
	}
	objects, _ := m["objects"].([]wire.M)
	for _, o := range objects {
		if properties, ok := o["properties"].(map[string]any); ok {
			renamed := map[string]any{}
			for name, p := range properties {
				renamed[prefix+name] = p
			}
			o["properties"] = renamed
		}
		if required, ok := o["required"].([]any); ok {
			renamed := make([]any, len(required))
			for i, name := range required {
				renamed[i] = prefix + str(name)
			}
			o["required"] = renamed
		}
	}
}
