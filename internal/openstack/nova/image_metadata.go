package nova

import (
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) imageMetadata(r *wire.Request) (*wire.Response, error) {
	i, err := a.svc.ImageByID(r.Context(), r.Caller, r.PathValue("id"))
	return wire.JSON(wire.M{"metadata": orEmpty(i.Properties)}), err
}

// setImageMetadata adds properties, or replaces all by them.
func (a *api) setImageMetadata(replace bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		var in struct{ Metadata map[string]string }
		if err := a.schemas.decode(r, "metadata.json#/all", &in); err != nil {
			return nil, err
		}
		all, err := a.svc.ChangeImage(r.Context(), r.Caller, r.PathValue("id"), func(p map[string]string) error {
			if replace {
				clear(p)
			}
			maps.Copy(p, in.Metadata)
			return nil
		})
		return wire.JSON(wire.M{"metadata": orEmpty(all)}), err
	}
}

// noImageItem says that an image has no such property.
func noImageItem() error {
	return cloud.E("nova.imageMetadata", cloud.NotFound, "Metadata item was not found")
}

func (a *api) imageItem(r *wire.Request) (*wire.Response, error) {
	i, err := a.svc.ImageByID(r.Context(), r.Caller, r.PathValue("id"))
	key := r.PathValue("key")
	v, ok := i.Properties[key]
	if err == nil && !ok {
		err = noImageItem()
	}
	return wire.JSON(wire.M{"meta": wire.M{key: v}}), err
}

func (a *api) setImageItem(r *wire.Request) (*wire.Response, error) {
	var in struct{ Meta map[string]string }
	if err := a.schemas.decode(r, "metadata.json#/item", &in); err != nil {
		return nil, err
	}
	key := r.PathValue("key")
	if _, ok := in.Meta[key]; !ok {
		return nil, cloud.E("nova.imageMetadata", cloud.Invalid, "Request body and URI mismatch")
	}
	_, err := a.svc.ChangeImage(r.Context(), r.Caller, r.PathValue("id"), func(p map[string]string) error {
		maps.Copy(p, in.Meta)
		return nil
	})
	return wire.JSON(wire.M{"meta": in.Meta}), err
}

func (a *api) deleteImageItem(r *wire.Request) (*wire.Response, error) {
	_, err := a.svc.ChangeImage(r.Context(), r.Caller, r.PathValue("id"), func(p map[string]string) error {
		if _, ok := p[r.PathValue("key")]; !ok {
			return noImageItem()
		}
		delete(p, r.PathValue("key"))
		return nil
	})
	return wire.NoContent(), err
}
