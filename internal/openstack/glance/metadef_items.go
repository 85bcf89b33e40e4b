package glance

import (
	"maps"
	"net/url"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// readItem is the definition that a body describes.
func readItem(kind cloud.MetadefKind, body map[string]any) cloud.MetadefItem {
	def := maps.Clone(body)
	delete(def, "name")
	return cloud.MetadefItem{Kind: kind, Name: str(body["name"]), Definition: def}
}

// renderItem is a definition by itself.
func renderItem(namespace string, i cloud.MetadefItem) wire.M {
	m := wire.M{}
	maps.Copy(m, i.Definition)
	m["name"] = i.Name
	if i.Kind != cloud.MetadefProperty {
		m["created_at"], m["updated_at"] = stamp(i.CreatedAt), stamp(i.UpdatedAt)
	}
	if i.Kind == cloud.MetadefObject {
		m["self"] = namespacePath + "/" + url.PathEscape(namespace) + "/objects/" + url.PathEscape(i.Name)
		m["schema"] = "/v2/schemas/metadefs/object"
	}
	return m
}

// renderListed is a definition among others: of a tag there is its name only.
func renderListed(namespace string, i cloud.MetadefItem) wire.M {
	if i.Kind == cloud.MetadefTag {
		return wire.M{"name": i.Name}
	}
	return renderItem(namespace, i)
}

// renderProperties is an object with a member for each property, whose names
// are not said again.
func renderProperties(items []cloud.MetadefItem, prefix string) wire.M {
	m := wire.M{}
	for _, i := range items {
		m[prefix+i.Name] = i.Definition
	}
	return m
}

func (h metadefs) shapeOf(kind cloud.MetadefKind) shape {
	return map[cloud.MetadefKind]shape{cloud.MetadefObject: h.object, cloud.MetadefProperty: h.property, cloud.MetadefTag: h.tag}[kind]
}

func (h metadefs) items(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		page, err := wire.ParsePage(r.URL.Query(), pageMost)
		if err != nil {
			return nil, err
		}
		if kind == cloud.MetadefProperty {
			page.Limit = 0 // an object has no pages
		}
		namespace := r.PathValue("namespace")
		found, err := h.defs.Items(r.Context(), r.Caller, namespace, kind, page.Marker, page.Limit)
		if err != nil {
			return nil, err
		}
		if kind == cloud.MetadefProperty {
			return wire.JSON(wire.M{"properties": renderProperties(found, "")}), nil
		}
		list := make([]wire.M, len(found))
		for n, i := range found {
			list[n] = renderListed(namespace, i)
		}
		if kind == cloud.MetadefObject {
			return wire.JSON(wire.M{"objects": list, "schema": "v2/schemas/metadefs/objects"}), nil
		}
		return wire.JSON(wire.M{"tags": list}), nil
	}
}

func (h metadefs) item(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		namespace, name := r.PathValue("namespace"), r.PathValue("name")
		if t := r.URL.Query().Get("resource_type"); t != "" && kind == cloud.MetadefProperty {
			w, err := h.defs.Get(r.Context(), r.Caller, namespace)
			if err != nil {
				return nil, err
			}
			prefix := prefixFor(w.MetadefNamespace, t)
			plain, ok := strings.CutPrefix(name, prefix)
			if prefix == "" || !ok {
				return nil, cloud.E("glance.metadef", cloud.NotFound, "Property %s does not start with the expected resource type association prefix of '%s'.", name, prefix)
			}
			name = plain
		}
		i, err := h.defs.Item(r.Context(), r.Caller, namespace, kind, name)
		if err != nil {
			return nil, err
		}
		return wire.JSON(renderItem(namespace, i)), nil
	}
}

// add puts definitions in, and answers with the first.
func (h metadefs) add(r *wire.Request, item cloud.MetadefItem) (*wire.Response, error) {
	namespace := r.PathValue("namespace")
	added, err := h.defs.Add(r.Context(), r.Caller, namespace, item.Kind, []cloud.MetadefItem{item}, false)
	if err != nil {
		return nil, err
	}
	return wire.Created(renderItem(namespace, added[0])), nil
}

func (h metadefs) addItem(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		body, err := h.shapeOf(kind).decode(r)
		if err != nil {
			return nil, err
		}
		return h.add(r, readItem(kind, body))
	}
}

func (h metadefs) addTag(r *wire.Request) (*wire.Response, error) {
	name := r.PathValue("name")
	if err := h.tag.compiled.Validate(map[string]any{"name": name}); err != nil {
		return nil, invalid("The name of a tag has 80 characters at most.")
	}
	return h.add(r, cloud.MetadefItem{Kind: cloud.MetadefTag, Name: name})
}

// addTags sets the tags of a namespace; those that were there go, unless the
// request says to append.
func (h metadefs) addTags(r *wire.Request) (*wire.Response, error) {
	body, err := h.tags.decode(r)
	if err != nil {
		return nil, err
	}
	keep := false
	if v := r.Header.Get("X-Openstack-Append"); v != "" {
		keep, err = wire.ParseBool("X-Openstack-Append", v)
	}
	if err != nil {
		return nil, err
	}
	var items []cloud.MetadefItem
	raw, _ := body["tags"].([]any)
	for _, t := range raw {
		items = append(items, readItem(cloud.MetadefTag, t.(map[string]any)))
	}
	if _, err := h.defs.Add(r.Context(), r.Caller, r.PathValue("namespace"), cloud.MetadefTag, items, !keep); err != nil {
		return nil, err
	}
	list := make([]wire.M, len(items))
	for n, i := range items {
		list[n] = wire.M{"name": i.Name}
	}
	return wire.Created(wire.M{"tags": list}), nil
}

func (h metadefs) setItem(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		body, err := h.shapeOf(kind).decode(r)
		if err != nil {
			return nil, err
		}
		namespace := r.PathValue("namespace")
		i, err := h.defs.Set(r.Context(), r.Caller, namespace, kind, r.PathValue("name"), readItem(kind, body))
		if err != nil {
			return nil, err
		}
		return wire.JSON(renderItem(namespace, i)), nil
	}
}

func (h metadefs) removeItem(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		return done(h.defs.Remove(r.Context(), r.Caller, r.PathValue("namespace"), kind, r.PathValue("name")))
	}
}

func (h metadefs) removeItems(kind cloud.MetadefKind) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		return done(h.defs.RemoveAll(r.Context(), r.Caller, r.PathValue("namespace"), kind))
	}
}
