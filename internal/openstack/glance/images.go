package glance

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// stamp is a time as glance writes it: to whole seconds.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

// render is an image as JSON: its properties are beside its attributes.
func render(img cloud.Image) wire.M {
	self := "/v2/images/" + img.ID
	m := wire.M{}
	for name, value := range img.Properties {
		m[name] = value
	}
	tags := img.Tags
	if tags == nil {
		tags = []string{}
	}
	if img.Status == cloud.ImageUploading || img.Status == cloud.ImageImporting {
		img.Size, img.VirtualSize, img.Checksum, img.HashAlgo, img.HashValue = -1, -1, "", "", "" // of staged bytes, not yet the image's
	}
	attributes := wire.M{
		"id": img.ID, "name": orNull(img.Name), "status": img.Status, "visibility": img.Visibility, "owner": orNull(img.ProjectID),
		"container_format": orNull(img.ContainerFormat), "disk_format": orNull(img.DiskFormat),
		"size": known(img.Size), "virtual_size": known(img.VirtualSize), "checksum": orNull(img.Checksum),
		"os_hash_algo": orNull(img.HashAlgo), "os_hash_value": orNull(img.HashValue), "min_disk": img.MinDiskGB, "min_ram": img.MinRAMMB,
		"protected": img.Protected, "os_hidden": img.Hidden, "tags": tags, "created_at": stamp(img.CreatedAt), "updated_at": stamp(img.UpdatedAt),
		"self": self, "file": self + "/file", "schema": "/v2/schemas/image",
	}
	maps.Copy(m, attributes)
	return m
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func known(size int64) any {
	if size < 0 {
		return nil
	}
	return size
}

func (h handlers) create(r *wire.Request) (*wire.Response, error) {
	var attributes map[string]any
	if err := r.Decode(&attributes); err != nil {
		return nil, err
	}
	img, err := h.images.Create(r.Context(), r.Caller, attributes)
	if err != nil {
		return nil, err
	}
	resp := wire.Created(render(img))
	resp.Header = http.Header{
		"Location": {r.Link("/v2/images/" + img.ID)}, "OpenStack-image-import-methods": {strings.Join(h.images.ImportMethods(), ",")},
	}
	return resp, nil
}

// show answers to an id, and to an alias such as debian:latest, which clients ask for
// in the place of an id before they look for a name.
func (h handlers) show(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("image")
	img, err := h.images.Get(r.Context(), r.Caller, id)
	if cloud.Is(err, cloud.NotFound) && strings.Contains(id, ":") {
		img, err = h.images.Alias(r.Context(), r.Caller, id)
	}
	if err != nil {
		return nil, err
	}
	return wire.JSON(render(img)), nil
}

func (h handlers) update(r *wire.Request) (*wire.Response, error) {
	var ops []map[string]json.RawMessage
	old, err := patchFormat(r.Header.Get("Content-Type"))
	if err == nil {
		err = r.Decode(&ops)
	}
	if err != nil {
		return nil, err
	}
	changes, err := parsePatch(ops, old)
	if err != nil {
		return nil, err
	}
	img, err := h.images.Update(r.Context(), r.Caller, r.PathValue("image"), changes)
	if err != nil {
		return nil, err
	}
	return wire.JSON(render(img)), nil
}

// done answers 204 to what has no answer.
func done(err error) (*wire.Response, error) {
	if err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}

func (h handlers) remove(r *wire.Request) (*wire.Response, error) {
	return done(h.images.Delete(r.Context(), r.Caller, r.PathValue("image")))
}

func (h handlers) deactivate(r *wire.Request) (*wire.Response, error) {
	return done(h.images.Deactivate(r.Context(), r.Caller, r.PathValue("image")))
}

func (h handlers) reactivate(r *wire.Request) (*wire.Response, error) {
	return done(h.images.Reactivate(r.Context(), r.Caller, r.PathValue("image")))
}

func (h handlers) addTag(r *wire.Request) (*wire.Response, error) {
	return done(h.images.AddTag(r.Context(), r.Caller, r.PathValue("image"), r.PathValue("tag")))
}

func (h handlers) removeTag(r *wire.Request) (*wire.Response, error) {
	return done(h.images.RemoveTag(r.Context(), r.Caller, r.PathValue("image"), r.PathValue("tag")))
}
