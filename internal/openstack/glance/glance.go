// Package glance says what service/image does in the words of OpenStack's Image
// API v2 (https://docs.openstack.org/api-ref/image/v2/). It renders images as
// glance does, paths below the endpoint included: clients put them together.
package glance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// Prefix is where the API is.
const Prefix = "/image"

// handlers are the operations on a service.
type handlers struct{ images *image.Service }

// noID answers the address of an image without its id, which clients make of an
// empty one: to glance it is an image that is not there, not the list.
func noID(next wire.Handler) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/") {
			return nil, cloud.E("glance.image", cloud.NotFound, "No image found with ID ")
		}
		return next(r)
	}
}

// noDelete answers that the list of images cannot be deleted.
func noDelete(r *wire.Request) (*wire.Response, error) {
	return nil, cloud.E("glance.images", cloud.Invalid, "%w", &wire.MethodError{Method: r.Method, Allow: []string{"GET", "HEAD", "POST"}})
}

// API is the Image API of a service.
func API(images *image.Service) wire.API {
	h := handlers{images}
	routes := slices.Concat(h.routes(), h.importRoutes(), h.logRoutes(), h.cacheRoutes(), newMetadefs(images.Definitions()).routes())
	return wire.API{Name: "image", Prefix: Prefix, Fault: wire.GlanceFault, Routes: routes}
}

func (h handlers) routes() []wire.Route {
	read := func(name string) wire.Policy { return wire.Allow(wire.Reader, name) }
	write := func(name string) wire.Policy { return wire.Allow(wire.Member, name) }
	open := func(name string) wire.Policy { return wire.Allow(wire.Public, name) }
	return []wire.Route{
		{Method: "GET", Path: "", Policy: open("versions"), Handler: versions(http.StatusMultipleChoices)},
		{Method: "GET", Path: "/versions", Policy: open("versions"), Handler: versions(http.StatusOK)},

		{Method: "GET", Path: "/v2/images", Policy: read("get_images"), Handler: noID(h.list)},
		{Method: "POST", Path: "/v2/images", Policy: write("add_image"), Handler: h.create},
		{Method: "DELETE", Path: "/v2/images", Policy: write("delete_image"), Handler: noID(noDelete)},
		{Method: "GET", Path: "/v2/images/{image}", Policy: read("get_image"), Handler: h.show},
		{Method: "PATCH", Path: "/v2/images/{image}", Policy: write("modify_image"), Handler: h.update},
		{Method: "DELETE", Path: "/v2/images/{image}", Policy: write("delete_image"), Handler: h.remove},
		{Method: "PUT", Path: "/v2/images/{image}/file", Policy: write("upload_image"), Handler: h.upload},
		{Method: "GET", Path: "/v2/images/{image}/file", Policy: read("download_image"), Handler: h.download},
		{Method: "POST", Path: "/v2/images/{image}/actions/deactivate", Policy: write("deactivate"), Handler: h.deactivate},
		{Method: "POST", Path: "/v2/images/{image}/actions/reactivate", Policy: write("reactivate"), Handler: h.reactivate},
		{Method: "PUT", Path: "/v2/images/{image}/tags/{tag}", Policy: write("modify_image"), Handler: h.addTag},
		{Method: "DELETE", Path: "/v2/images/{image}/tags/{tag}", Policy: write("modify_image"), Handler: h.removeTag},

		{Method: "GET", Path: "/v2/images/{image}/members", Policy: read("get_members"), Handler: h.members},
		{Method: "POST", Path: "/v2/images/{image}/members", Policy: write("add_member"), Handler: h.addMember},
		{Method: "GET", Path: "/v2/images/{image}/members/{member}", Policy: read("get_member"), Handler: h.member},
		{Method: "PUT", Path: "/v2/images/{image}/members/{member}", Policy: write("modify_member"), Handler: h.setMember},
		{Method: "DELETE", Path: "/v2/images/{image}/members/{member}", Policy: write("delete_member"), Handler: h.removeMember},

		{Method: "GET", Path: "/v2/schemas/image", Policy: wire.Allow(wire.Anyone, "get_schema"), Handler: schema(imageSchema)},
		{Method: "GET", Path: "/v2/schemas/images", Policy: wire.Allow(wire.Anyone, "get_schema"), Handler: schema(imagesSchema)},
		{Method: "GET", Path: "/v2/schemas/member", Policy: wire.Allow(wire.Anyone, "get_schema"), Handler: schema(memberSchema)},
		{Method: "GET", Path: "/v2/schemas/members", Policy: wire.Allow(wire.Anyone, "get_schema"), Handler: schema(membersSchema)},

		{Method: "GET", Path: "/v2/info/stores", Policy: wire.Allow(wire.Anyone, "get_stores_info"), Handler: storesInfo},
		{Method: "GET", Path: "/v2/info/stores/detail", Policy: wire.Allow(wire.Admin, "stores_info_detail"), Handler: storesInfo},
		{Method: "GET", Path: "/v2/info/usage", Policy: read("get_image"), Handler: h.usage},
	}
}

// minors are the minor versions that glance lists where there is one store and a
// cache, newest first: 2.8 and 2.10 to 2.13 are of several stores.
var minors = []int{16, 15, 14, 9, 7, 6, 5, 4, 3, 2, 1, 0}

// versions lists the versions. Glance answers 300 at its root but 200 at
// /versions, where its client takes a 300 for a failure.
func versions(status int) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		list := make([]wire.M, len(minors))
		for i, minor := range minors {
			status := "SUPPORTED"
			if i == 0 {
				status = "CURRENT"
			}
			list[i] = wire.M{"id": fmt.Sprintf("v2.%d", minor), "status": status, "links": []wire.M{{"rel": "self", "href": r.BaseURL + Prefix + "/v2/"}}}
		}
		return &wire.Response{Status: status, Body: wire.M{"versions": list}}, nil
	}
}

// storesInfo says that there is one store, which needs no name: glance answers
// so where the operator has not set up several.
func storesInfo(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("glance.stores", cloud.NotFound, "Multi backend is not configured at this site.")
}

// usage tells what the project uses of its quotas.
func (h handlers) usage(r *wire.Request) (*wire.Response, error) {
	list, err := h.images.Usage(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	body := wire.M{}
	for _, u := range list {
		body[u.Name] = wire.M{"usage": u.Used, "limit": u.Limit}
	}
	return wire.JSON(wire.M{"usage": body}), nil
}
