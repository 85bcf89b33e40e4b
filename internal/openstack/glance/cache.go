package glance

import (
	"net/http"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// cacheRoutes manage the images that nodes have in their caches.
func (h handlers) cacheRoutes() []wire.Route {
	const one = "/v2/cache/{image}"
	return []wire.Route{
		{Method: "GET", Path: "/v2/cache", Policy: wire.Allow(wire.Admin, "cache_list"), Handler: h.cacheState},
		{Method: "DELETE", Path: "/v2/cache", Policy: wire.Allow(wire.Admin, "cache_delete"), Handler: h.clearCache},
		{Method: "PUT", Path: one, Policy: wire.Allow(wire.Admin, "cache_image"), Handler: h.cacheImage},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Admin, "cache_delete"), Handler: h.uncacheImage},
	}
}

// seconds are how glance writes the times of its cache: since 1970, with parts; 0 for
// never.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

func (h handlers) cacheState(r *wire.Request) (*wire.Response, error) {
	cached, queued, err := h.images.CacheState(r.Context())
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(cached))
	for i, c := range cached {
		list[i] = wire.M{
			"image_id": c.ID, "size": c.Size, "hits": c.Hits, "last_accessed": seconds(c.UsedAt), "last_modified": seconds(c.ModifiedAt),
		}
	}
	if queued == nil {
		queued = []string{}
	}
	return wire.JSON(wire.M{"cached_images": list, "queued_images": queued}), nil
}

func (h handlers) cacheImage(r *wire.Request) (*wire.Response, error) {
	if err := h.images.CacheImage(r.Context(), r.Caller, r.PathValue("image")); err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusAccepted}, nil
}

func (h handlers) uncacheImage(r *wire.Request) (*wire.Response, error) {
	if err := h.images.UncacheImage(r.Context(), r.Caller, r.PathValue("image")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}

func (h handlers) clearCache(r *wire.Request) (*wire.Response, error) {
	target := strings.ToLower(r.Header.Get("X-Image-Cache-Clear-Target"))
	if target != "" && target != "cache" && target != "queue" {
		return nil, cloud.E("glance.cache", cloud.Invalid, "If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.")
	}
	if err := h.images.ClearCache(r.Context(), target != "queue", target != "cache"); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}
