package cinder

import (
	"maps"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) qosRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/qos-specs", wire.Admin, "volume_extension:qos_specs_manage:get_all", a.listQoS),
		route("POST", "/qos-specs", wire.Admin, "volume_extension:qos_specs_manage:create", a.createQoS),
		route("GET", "/qos-specs/{id}", wire.Admin, "volume_extension:qos_specs_manage:get", a.showQoS),
		route("PUT", "/qos-specs/{id}", wire.Admin, "volume_extension:qos_specs_manage:update", a.setQoS),
		route("PUT", "/qos-specs/{id}/delete_keys", wire.Admin, "volume_extension:qos_specs_manage:update", a.dropQoSKeys),
		route("DELETE", "/qos-specs/{id}", wire.Admin, "volume_extension:qos_specs_manage:delete", a.deleteQoS),
		route("GET", "/qos-specs/{id}/associations", wire.Admin, "volume_extension:qos_specs_manage:get", a.qosTypes),
		route("GET", "/qos-specs/{id}/associate", wire.Admin, "volume_extension:qos_specs_manage:update", a.associate(true)),
		route("GET", "/qos-specs/{id}/disassociate", wire.Admin, "volume_extension:qos_specs_manage:update", a.associate(false)),
		route("GET", "/qos-specs/{id}/disassociate_all", wire.Admin, "volume_extension:qos_specs_manage:update", a.disassociateAll),
	}
}

func qosView(q cloud.VolumeQoS) wire.M {
	return wire.M{"id": q.ID, "name": q.Name, "consumer": q.Consumer, "specs": orEmpty(q.Specs)}
}

func qosReply(r *wire.Request, q cloud.VolumeQoS) *wire.Response {
	return wire.JSON(wire.M{"qos_specs": qosView(q), "links": links(r, "/qos-specs/"+q.ID)})
}

func (a *api) listQoS(r *wire.Request) (*wire.Response, error) {
	l, err := parseList(r, "id", "name", "consumer")
	if err != nil {
		return nil, err
	}
	list, more, err := a.svc.QoSList(r.Context(), l)
	if err != nil {
		return nil, err
	}
	return listBody(r, "qos_specs", list, more, -1, func(q cloud.VolumeQoS) string { return q.ID }, qosView), nil
}

func checkConsumer(consumer string) error {
	return wire.OneOf("consumer", consumer, "front-end", "back-end", "both")
}

func (a *api) createQoS(r *wire.Request) (*wire.Response, error) {
	in := map[string]any{}
	if err := onlyObject(r, "qos_specs", &in); err != nil {
		return nil, err
	}
	if _, ok := in["name"].(string); !ok {
		return nil, cloud.E("cinder.createQoS", cloud.Invalid, "Invalid input for field/attribute name. It is not of type 'string'")
	}
	q := cloud.VolumeQoS{Consumer: "back-end", Specs: map[string]string{}}
	for k, v := range in {
		switch k {
		case "name":
			q.Name = said(v)
		case "consumer":
			q.Consumer = said(v)
		default:
			text, err := specText(k, v)
			if err != nil {
				return nil, err
			}
			q.Specs[k] = text
		}
	}
	if err := wire.First(wire.Name("name", q.Name), checkConsumer(q.Consumer), checkSpecs(q.Specs)); err != nil {
		return nil, err
	}
	q, err := a.svc.CreateQoS(r.Context(), q)
	if err != nil {
		return nil, err
	}
	return qosReply(r, q), nil
}

// specText is a value as cinder keeps it when specs are made, where numbers are taken
// too: 1000000, not 1e+06.
func specText(key string, v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case bool:
		return map[bool]string{true: "True", false: "False"}[v], nil
	}
	return "", cloud.E("cinder.qos", cloud.Invalid, "Invalid input for field/attribute %s. Value: %v. It must be text or a number", key, v)
}

func (a *api) showQoS(r *wire.Request) (*wire.Response, error) {
	q, err := a.svc.QoS(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return qosReply(r, q), nil
}

func (a *api) setQoS(r *wire.Request) (*wire.Response, error) {
	in := map[string]any{}
	if err := onlyObject(r, "qos_specs", &in); err != nil {
		return nil, err
	}
	texts, consumer, err := qosTexts(in)
	if err != nil {
		return nil, err
	}
	_, err = a.svc.ChangeQoS(r.Context(), r.PathValue("id"), func(q *cloud.VolumeQoS) error {
		q.Specs = orEmpty(q.Specs)
		maps.Copy(q.Specs, texts)
		if consumer != nil {
			q.Consumer = *consumer
		}
		return checkConsumer(q.Consumer)
	})
	return wire.JSON(wire.M{"qos_specs": in}), err
}

func (a *api) dropQoSKeys(r *wire.Request) (*wire.Response, error) {
	var keys []string
	if err := onlyObject(r, "keys", &keys); err != nil {
		return nil, err
	}
	_, err := a.svc.ChangeQoS(r.Context(), r.PathValue("id"), func(q *cloud.VolumeQoS) error {
		for _, k := range keys {
			if _, ok := q.Specs[k]; !ok {
				return cloud.E("cinder.qos", cloud.Invalid, "QoS spec %s has no spec with key %s.", q.ID, k)
			}
			delete(q.Specs, k)
		}
		return nil
	})
	return wire.Accepted(nil), err
}

func (a *api) deleteQoS(r *wire.Request) (*wire.Response, error) {
	force := false
	if text := r.URL.Query().Get("force"); text != "" {
		v, err := wire.ParseBool("force", text)
		if err != nil {
			return nil, err
		}
		force = v
	}
	return wire.Accepted(nil), a.svc.DeleteQoS(r.Context(), r.PathValue("id"), force)
}

func (a *api) qosTypes(r *wire.Request) (*wire.Response, error) {
	types, err := a.svc.QoSTypes(r.Context(), r.PathValue("id"))
	list := []wire.M{}
	for _, t := range types {
		list = append(list, wire.M{"association_type": "volume_type", "name": t.Name, "id": t.ID})
	}
	return wire.JSON(wire.M{"qos_associations": list}), err
}

func (a *api) associate(on bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		id := r.URL.Query().Get("vol_type_id")
		if id == "" {
			return nil, cloud.E("cinder.qos", cloud.Invalid, "Volume Type id must not be None.")
		}
		return wire.Accepted(nil), a.svc.Associate(r.Context(), r.PathValue("id"), id, on)
	}
}

func (a *api) disassociateAll(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.Associate(r.Context(), r.PathValue("id"), "", false)
}

// qosTexts reads the values of a change, which are text, as cinder's schema has it; of
// them the consumer is apart. They are judged before whose they are.
func qosTexts(in map[string]any) (texts map[string]string, consumer *string, err error) {
	texts = map[string]string{}
	for k, v := range in {
		if k == "consumer" {
			who := said(v)
			consumer = &who
			continue
		}
		text, ok := v.(string)
		if !ok && v != nil {
			return nil, nil, cloud.E("cinder.setQoS", cloud.Invalid, "Invalid input for field/attribute %s. Value: %v. %v is not of type 'string', 'null'", k, v, v)
		}
		texts[k] = text
	}
	return texts, consumer, checkSpecs(texts)
}
