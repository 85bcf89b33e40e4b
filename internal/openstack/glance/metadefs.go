package glance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image/metadef"
)

// metadefs are the operations on metadata definitions.
type metadefs struct {
	defs                                             *metadef.Service
	namespace, object, property, tag, tags, resource shape
}

func newMetadefs(defs *metadef.Service) metadefs {
	many := collection("tags", tagSchema)()
	many["required"] = []string{"tags"}
	return metadefs{
		defs: defs, namespace: newShape(namespaceSchema()), object: newShape(objectSchema()), property: newShape(propertySchema()),
		tag: newShape(tagSchema()), tags: newShape(many), resource: newShape(resourceTypeSchema()),
	}
}

const namespacePath = "/v2/metadefs/namespaces"

func (h metadefs) routes() []wire.Route {
	read := func(name string) wire.Policy { return wire.Allow(wire.Reader, name) }
	write := func(name string) wire.Policy { return wire.Allow(wire.Admin, name) }
	one := namespacePath + "/{namespace}"
	list := []wire.Route{
		{Method: "GET", Path: namespacePath, Policy: read("get_metadef_namespaces"), Handler: h.list},
		{Method: "POST", Path: namespacePath, Policy: write("add_metadef_namespace"), Handler: h.create},
		{Method: "GET", Path: one, Policy: read("get_metadef_namespace"), Handler: h.show},
		{Method: "PUT", Path: one, Policy: write("modify_metadef_namespace"), Handler: h.update},
		{Method: "DELETE", Path: one, Policy: write("delete_metadef_namespace"), Handler: h.remove},

		{Method: "GET", Path: "/v2/metadefs/resource_types", Policy: read("list_metadef_resource_types"), Handler: h.resourceTypes},
		{Method: "GET", Path: one + "/resource_types", Policy: read("get_metadef_resource_type"), Handler: h.associations},
		{Method: "POST", Path: one + "/resource_types", Policy: write("add_metadef_resource_type_association"), Handler: h.associate},
		{Method: "DELETE", Path: one + "/resource_types/{type}", Policy: write("remove_metadef_resource_type_association"), Handler: h.dissociate},

		{Method: "POST", Path: one + "/tags", Policy: write("add_metadef_tags"), Handler: h.addTags},
		{Method: "POST", Path: one + "/tags/{name}", Policy: write("add_metadef_tag"), Handler: h.addTag},
	}
	for _, k := range []struct{ plural, singular string }{{"objects", "object"}, {"properties", "property"}, {"tags", "tag"}} {
		kind := cloud.MetadefKind(k.singular)
		list = append(list,
			wire.Route{Method: "GET", Path: one + "/" + k.plural, Policy: read("get_metadef_" + k.plural), Handler: h.items(kind)},
			wire.Route{Method: "DELETE", Path: one + "/" + k.plural, Policy: write("delete_metadef_" + k.plural), Handler: h.removeItems(kind)},
			wire.Route{Method: "GET", Path: one + "/" + k.plural + "/{name}", Policy: read("get_metadef_" + k.singular), Handler: h.item(kind)},
			wire.Route{Method: "PUT", Path: one + "/" + k.plural + "/{name}", Policy: write("modify_metadef_" + k.singular), Handler: h.setItem(kind)},
			wire.Route{Method: "DELETE", Path: one + "/" + k.plural + "/{name}", Policy: write("delete_metadef_" + k.singular), Handler: h.removeItem(kind)},
		)
		if kind != cloud.MetadefTag {
			list = append(list, wire.Route{Method: "POST", Path: one + "/" + k.plural, Policy: write("add_metadef_" + k.singular), Handler: h.addItem(kind)})
		}
	}
	for name, of := range map[string]func() wire.M{
		"namespace": namespaceSchema, "namespaces": collection("namespaces", namespaceSchema), "object": objectSchema, "objects": collection("objects", objectSchema),
		"property": propertySchema, "properties": propertiesSchema, "tag": tagSchema, "tags": collection("tags", tagSchema),
		"resource_type": resourceTypeSchema, "resource_types": collection("resource_type_associations", resourceTypeSchema),
	} {
		list = append(list, wire.Route{Method: "GET", Path: "/v2/schemas/metadefs/" + name, Policy: wire.Allow(wire.Anyone, "get_schema"), Handler: schema(of)})
	}
	slices.SortFunc(list, func(a, b wire.Route) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return list
}

func renderNamespace(ns cloud.MetadefNamespace) wire.M {
	visibility := "private"
	if ns.Public {
		visibility = "public"
	}
	m := wire.M{
		"namespace": ns.Name, "visibility": visibility, "protected": ns.Protected, "owner": ns.ProjectID,
		"created_at": stamp(ns.CreatedAt), "updated_at": stamp(ns.UpdatedAt),
		"self": namespacePath + "/" + url.PathEscape(ns.Name), "schema": "/v2/schemas/metadefs/namespace",
	}
	some(m, "display_name", ns.DisplayName)
	some(m, "description", ns.Description)
	if len(ns.ResourceTypes) > 0 {
		m["resource_type_associations"] = renderAssociations(ns.ResourceTypes)
	}
	return m
}

// some sets what is not empty: glance leaves the rest out.
func some(m wire.M, name, value string) {
	if value != "" {
		m[name] = value
	}
}

func renderWhole(w metadef.Whole) wire.M {
	m := renderNamespace(w.MetadefNamespace)
	for kind, name := range map[cloud.MetadefKind]string{cloud.MetadefObject: "objects", cloud.MetadefTag: "tags"} {
		var list []wire.M
		for _, i := range w.Of(kind) {
			list = append(list, renderListed(w.Name, i))
		}
		if list != nil {
			m[name] = list
		}
	}
	if properties := w.Of(cloud.MetadefProperty); len(properties) > 0 {
		m["properties"] = renderProperties(properties, "")
	}
	return m
}

func (h metadefs) list(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	page, err := wire.ParsePage(url.Values{"limit": q["limit"], "marker": q["marker"]}, pageMost)
	if err != nil {
		return nil, err
	}
	f := metadef.Filter{Marker: page.Marker, Limit: page.Limit, OldestFirst: q.Get("sort_dir") == "asc"}
	if q.Get("limit") == "" {
		f.Limit = pageSize
	}
	if v := q.Get("visibility"); v != "" {
		public := v == "public"
		f.Public = &public
		if v != "public" && v != "private" {
			return nil, invalid("Invalid visibility value: %s", v)
		}
	}
	if v := q.Get("resource_types"); v != "" {
		f.ResourceTypes = strings.Split(v, ",")
	}
	namespaces, more, err := h.defs.List(r.Context(), r.Caller, f)
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(namespaces))
	for i, ns := range namespaces {
		list[i] = renderNamespace(ns)
	}
	q.Del("marker")
	body := wire.M{"namespaces": list, "schema": "/v2/schemas/metadefs/namespaces", "first": withQuery(namespacePath, q)}
	if more {
		q.Set("marker", namespaces[len(namespaces)-1].Name)
		body["next"] = withQuery(namespacePath, q)
	}
	return wire.JSON(body), nil
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// readNamespace is the namespace that a body describes.
func readNamespace(body map[string]any) cloud.MetadefNamespace {
	ns := cloud.MetadefNamespace{
		Name: str(body["namespace"]), DisplayName: str(body["display_name"]), Description: str(body["description"]),
		ProjectID: str(body["owner"]), Public: body["visibility"] == "public", Protected: body["protected"] == true,
	}
	list, _ := body["resource_type_associations"].([]any)
	for _, raw := range list {
		ns.ResourceTypes = append(ns.ResourceTypes, readAssociation(raw.(map[string]any)))
	}
	return ns
}

// str is a value that the schema says is text, or is not there.
func str(v any) string {
	s, _ := v.(string)
	return s
}

func (h metadefs) create(r *wire.Request) (*wire.Response, error) {
	body, err := h.namespace.decode(r)
	if err != nil {
		return nil, err
	}
	w := metadef.Whole{MetadefNamespace: readNamespace(body)}
	for kind, name := range map[cloud.MetadefKind]string{cloud.MetadefObject: "objects", cloud.MetadefTag: "tags"} {
		list, _ := body[name].([]any)
		for _, raw := range list {
			w.Items = append(w.Items, readItem(kind, raw.(map[string]any)))
		}
	}
	properties, _ := body["properties"].(map[string]any)
	for name, raw := range properties {
		i := readItem(cloud.MetadefProperty, raw.(map[string]any))
		i.Name = name
		w.Items = append(w.Items, i)
	}
	if w, err = h.defs.Create(r.Context(), r.Caller, w); err != nil {
		return nil, err
	}
	resp := wire.Created(renderWhole(w))
	resp.Header = http.Header{"Location": {r.Link(namespacePath + "/" + url.PathEscape(w.Name))}}
	return resp, nil
}

func (h metadefs) show(r *wire.Request) (*wire.Response, error) {
	w, err := h.defs.Get(r.Context(), r.Caller, r.PathValue("namespace"))
	if err != nil {
		return nil, err
	}
	m := renderWhole(w)
	if prefix := prefixFor(w.MetadefNamespace, r.URL.Query().Get("resource_type")); prefix != "" {
		prefixed(m, w, prefix)
	}
	return wire.JSON(m), nil
}

func (h metadefs) update(r *wire.Request) (*wire.Response, error) {
	body, err := h.namespace.decode(r)
	if err != nil {
		return nil, err
	}
	ns, err := h.defs.Update(r.Context(), r.Caller, r.PathValue("namespace"), readNamespace(body))
	if err != nil {
		return nil, err
	}
	ns.ResourceTypes = nil // glance does not say them here
	return wire.JSON(renderNamespace(ns)), nil
}

func (h metadefs) remove(r *wire.Request) (*wire.Response, error) {
	return done(h.defs.Delete(r.Context(), r.Caller, r.PathValue("namespace")))
}
