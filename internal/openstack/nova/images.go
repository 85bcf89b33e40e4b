package nova

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// imageRoutes are nova's own words for images, up to 2.35, and of their metadata,
// up to 2.38: what glance has, for clients of before.
func (a *api) imageRoutes() []wire.Route {
	return []wire.Route{
		until(35, route("GET", "/images", wire.Reader, "images", a.listImages(false))),
		until(35, route("GET", "/images/detail", wire.Reader, "images", a.listImages(true))),
		until(35, route("GET", "/images/{id}", wire.Reader, "images", a.showImage)),
		until(35, route("DELETE", "/images", wire.Member, "images", a.deleteNoImage)),
		until(35, route("DELETE", "/images/{id}", wire.Member, "images", a.deleteImage)),
		until(38, route("GET", "/images/{id}/metadata", wire.Reader, "image-metadata", a.imageMetadata)),
		until(38, route("POST", "/images/{id}/metadata", wire.Member, "image-metadata", a.setImageMetadata(false))),
		until(38, route("PUT", "/images/{id}/metadata", wire.Member, "image-metadata", a.setImageMetadata(true))),
		until(38, route("GET", "/images/{id}/metadata/{key}", wire.Reader, "image-metadata", a.imageItem)),
		until(38, route("PUT", "/images/{id}/metadata/{key}", wire.Member, "image-metadata", a.setImageItem)),
		until(38, route("DELETE", "/images/{id}/metadata/{key}", wire.Member, "image-metadata", a.deleteImageItem)),
	}
}

// imageStatus is nova's word for glance's (nova/image/glance.py and
// api/openstack/compute/views/images.py).
func imageStatus(s cloud.ImageStatus) string {
	switch s {
	case cloud.ImageActive:
		return "ACTIVE"
	case cloud.ImageQueued, cloud.ImageSaving:
		return "SAVING"
	case cloud.ImageKilled:
		return "ERROR"
	}
	return "UNKNOWN"
}

func imageLinks(r *wire.Request, id string) []wire.M {
	self, glance := linksTo(r, "/images/"+id), r.Link("/images/"+id)
	return []wire.M{
		{"rel": self[0].Rel, "href": self[0].Href}, {"rel": self[1].Rel, "href": self[1].Href},
		{"rel": "alternate", "type": "application/vnd.openstack.image", "href": glance},
	}
}

// imageShown is an image in nova's words.
func imageShown(r *wire.Request, i compute.Image) wire.M {
	m := wire.M{
		"id": i.ID, "name": i.Name, "status": imageStatus(i.Status), "progress": i.Progress(), "minDisk": i.MinDiskGB, "minRam": i.MinRAMMB,
		"created": stamp(i.CreatedAt), "updated": stamp(i.UpdatedAt), "metadata": orEmpty(i.Properties), "links": imageLinks(r, i.ID),
		"OS-EXT-IMG-SIZE:size": max(i.Size, 0),
	}
	if i.ServerID != "" {
		m["server"] = wire.M{"id": i.ServerID, "links": linksTo(r, "/servers/"+i.ServerID)}
	}
	if auto, err := strconv.ParseBool(i.Properties["auto_disk_config"]); err == nil {
		m["OS-DCF:diskConfig"] = "MANUAL"
		if auto {
			m["OS-DCF:diskConfig"] = "AUTO"
		}
	}
	return m
}

// imageWanted tells whether an image fits what the query asks for.
func imageWanted(r *wire.Request) (func(compute.Image) bool, error) {
	q := r.URL.Query()
	since := q.Get("changes-since")
	from, err := parseTime("changes-since", since)
	if since != "" && err != nil {
		return nil, err
	}
	server := q.Get("server")
	server = server[strings.LastIndex(server, "/")+1:]
	return func(i compute.Image) bool {
		kind := i.Properties["image_type"]
		switch {
		case since != "" && i.UpdatedAt.Before(from):
			return false
		case q.Get("name") != "" && q.Get("name") != i.Name:
			return false
		case q.Get("status") != "" && !strings.EqualFold(q.Get("status"), imageStatus(i.Status)):
			return false
		case server != "" && server != i.ServerID:
			return false
		case q.Get("type") != "" && q.Get("type") != kind:
			return false
		case q.Get("minDisk") != "" && q.Get("minDisk") != strconv.Itoa(i.MinDiskGB), q.Get("minRam") != "" && q.Get("minRam") != strconv.Itoa(i.MinRAMMB):
			return false
		}
		return true
	}, nil
}

func (a *api) listImages(details bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		wanted, err := imageWanted(r)
		if err != nil {
			return nil, err
		}
		limit, marker, err := page(r)
		if err != nil {
			return nil, err
		}
		list, err := a.svc.Images(r.Context(), r.Caller)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(i compute.Image) bool { return !wanted(i) })
		if marker != "" {
			at := slices.IndexFunc(list, func(i compute.Image) bool { return i.ID == marker })
			if at < 0 {
				return nil, cloud.E("nova.listImages", cloud.Invalid, "marker [%s] not found", marker)
			}
			list = list[at+1:]
		}
		body := wire.M{}
		if len(list) > limit {
			list = list[:limit]
			if limit > 0 {
				body["images_links"] = nextLinks(r, list[limit-1].ID)
			}
		}
		views := []wire.M{}
		for _, i := range list {
			if details {
				views = append(views, imageShown(r, i))
			} else {
				views = append(views, wire.M{"id": i.ID, "name": i.Name, "links": imageLinks(r, i.ID)})
			}
		}
		body["images"] = views
		return wire.JSON(body), nil
	}
}

func (a *api) showImage(r *wire.Request) (*wire.Response, error) {
	i, err := a.svc.ImageByID(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"image": imageShown(r, i)}), nil
}

func (a *api) deleteImage(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteImage(r.Context(), r.Caller, r.PathValue("id"))
}

// createImage makes an image of a server.
func (a *api) createImage(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Create struct {
			Name     string
			Metadata map[string]string
		} `json:"createImage"`
	}
	if err := a.read(r, raw, "createImage", &in); err != nil {
		return nil, err
	}
	image, err := a.svc.CreateImage(r.Context(), actor(r), id, in.Create.Name, in.Create.Metadata)
	return imageAnswer(r, image, err)
}

// imageAnswer names the image that a server's action makes.
func imageAnswer(r *wire.Request, image string, err error) (*wire.Response, error) {
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast(45) {
		return wire.Accepted(wire.M{"image_id": image}), nil
	}
	resp := wire.Accepted(nil)
	resp.Header = http.Header{"Location": {r.Link("/images/" + image)}}
	return resp, nil
}

// deleteNoImage is a delete that names no image: nova finds no such resource.
func (a *api) deleteNoImage(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.deleteImage", cloud.NotFound, "The resource could not be found: name an image by its id.")
}
