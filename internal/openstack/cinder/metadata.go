package cinder

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) showMetadata(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return tagged(r, d.Metadata), nil
}

// tagged is metadata with its ETag, as of 3.15.
func tagged(r *wire.Request, m map[string]string) *wire.Response {
	resp := wire.JSON(wire.M{"metadata": orEmpty(m)})
	if r.Version.AtLeast(15) {
		resp.Header = http.Header{"Etag": {etag(m)}}
	}
	return resp
}

// etag tells states of metadata apart.
func etag(m map[string]string) string {
	body, err := json.Marshal(orEmpty(m)) // with sorted keys
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", md5.Sum(body))
}

// unchanged is Precondition when a request counts on metadata that has changed.
func (a *api) unchanged(r *wire.Request) error {
	wanted := r.Header.Get("If-Match")
	if wanted == "" || wanted == "*" || !r.Version.AtLeast(15) {
		return nil
	}
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return err
	}
	for tag := range strings.SplitSeq(wanted, ",") {
		if strings.Trim(strings.TrimSpace(tag), `"`) == etag(d.Metadata) {
			return nil
		}
	}
	return cloud.E("cinder.metadata", cloud.Precondition, "The metadata of the volume %s have changed meanwhile: read them again.", d.ID)
}

// metadataIn reads {"metadata": {…}}.
func metadataIn(r *wire.Request) (map[string]string, error) {
	m := map[string]string{}
	if err := onlyObject(r, "metadata", &m); err != nil {
		return nil, err
	}
	return m, checkMetadata(m)
}

func (a *api) setMetadata(replace bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		m, err := metadataIn(r)
		if err != nil {
			return nil, err
		}
		if err := a.unchanged(r); err != nil {
			return nil, err
		}
		d, err := a.svc.SetMetadata(r.Context(), r.Caller, r.PathValue("id"), m, replace)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"metadata": orEmpty(d.Metadata)}), nil
	}
}

func (a *api) showMetadataItem(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return item(r, "meta", d.Metadata)
}

// item shows one key.
func item(r *wire.Request, member string, m map[string]string) (*wire.Response, error) {
	key := r.PathValue("key")
	v, ok := m[key]
	if !ok {
		return nil, cloud.E("cinder.metadata", cloud.NotFound, "Metadata item was not found: %s.", key)
	}
	return wire.JSON(wire.M{member: wire.M{key: v}}), nil
}

// itemIn reads {"meta": {key: value}}, whose key is that of the path.
func itemIn(r *wire.Request) (map[string]string, error) {
	m := map[string]string{}
	if err := r.DecodeObject("meta", &m); err != nil {
		return nil, err
	}
	if _, ok := m[r.PathValue("key")]; !ok || len(m) != 1 {
		return nil, cloud.E("cinder.metadata", cloud.Invalid, "Request body and URI mismatch: the body has one item, whose key is that of the address.")
	}
	return m, checkMetadata(m)
}

func (a *api) setMetadataItem(r *wire.Request) (*wire.Response, error) {
	m, err := itemIn(r)
	if err != nil {
		return nil, err
	}
	_, err = a.svc.SetMetadata(r.Context(), r.Caller, r.PathValue("id"), m, false)
	return wire.JSON(wire.M{"meta": m}), err
}

func (a *api) dropMetadata(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(nil), a.svc.DropMetadata(r.Context(), r.Caller, r.PathValue("id"), r.PathValue("key"))
}
