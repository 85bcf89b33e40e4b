package keystone

import (
	"net/http"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) tagRoutes() []wire.Route {
	read := or(systemReader, "of the project", ofProject)
	return []wire.Route{
		route("GET", "/v3/projects/{project_id}/tags", read, "list_project_tags", a.tags),
		route("PUT", "/v3/projects/{project_id}/tags", wire.Admin, "update_project_tags", a.setTags),
		route("DELETE", "/v3/projects/{project_id}/tags", wire.Admin, "delete_project_tags", a.deleteTags),
		route("GET", "/v3/projects/{project_id}/tags/{tag}", read, "get_project_tag", a.tag),
		route("PUT", "/v3/projects/{project_id}/tags/{tag}", wire.Admin, "create_project_tag", a.addTag),
		route("DELETE", "/v3/projects/{project_id}/tags/{tag}", wire.Admin, "delete_project_tag", a.deleteTag),
	}
}

// maxTags bounds the tags of a project.
const maxTags = 80

// checkTags wants at most 80 different tags of 1 to 255 characters without comma
// and slash.
func checkTags(tags []string) error {
	const op = "keystone.tags"
	if len(tags) > maxTags {
		return cloud.E(op, cloud.Invalid, "there are %d tags; a project can have %d", len(tags), maxTags)
	}
	for i, t := range tags {
		if err := wire.Length("tags", t, 1, 255); err != nil {
			return err
		}
		if strings.ContainsAny(t, ",/") || slices.Contains(tags[:i], t) {
			return cloud.E(op, cloud.Invalid, "the tag %q has a comma or a slash, or is there twice", t)
		}
	}
	return nil
}

// projectTags gives the tags of the request's project.
func (a *api) projectTags(r *wire.Request) ([]string, error) {
	id := r.PathValue("project_id")
	p, err := a.svc.Project(r.Context(), id)
	return tagsOf(p.Tags), missing(err, "project", id)
}

func (a *api) storeTags(r *wire.Request, tags []string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	_, err := a.svc.UpdateProject(r.Context(), r.PathValue("project_id"), identity.ProjectPatch{Tags: &tags})
	return err
}

func (a *api) tags(r *wire.Request) (*wire.Response, error) {
	tags, err := a.projectTags(r)
	return wire.JSON(wire.M{"tags": tags, "links": links(r)}), err
}

func (a *api) setTags(r *wire.Request) (*wire.Response, error) {
	var tags []string
	if err := r.DecodeObject("tags", &tags); err != nil {
		return nil, err
	}
	if _, err := a.projectTags(r); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"tags": tagsOf(tags), "links": links(r)}), a.storeTags(r, tags)
}

func (a *api) deleteTags(r *wire.Request) (*wire.Response, error) {
	if _, err := a.projectTags(r); err != nil {
		return nil, err
	}
	return done(a.storeTags(r, nil))
}

func (a *api) tag(r *wire.Request) (*wire.Response, error) {
	tags, err := a.projectTags(r)
	if tag := r.PathValue("tag"); err == nil && !slices.Contains(tags, tag) {
		err = missing(cloud.E("keystone.tag", cloud.NotFound, "no tag"), "project tag", tag)
	}
	return done(err)
}

func (a *api) addTag(r *wire.Request) (*wire.Response, error) {
	tags, err := a.projectTags(r)
	if err != nil {
		return nil, err
	}
	if err := a.storeTags(r, append(slices.Clone(tags), r.PathValue("tag"))); err != nil { // one that is there is refused
		return nil, err
	}
	h := http.Header{"Location": {r.Link(r.URL.EscapedPath())}}
	return &wire.Response{Status: http.StatusCreated, Header: h}, nil
}

func (a *api) deleteTag(r *wire.Request) (*wire.Response, error) {
	if _, err := a.tag(r); err != nil {
		return nil, err
	}
	tags, err := a.projectTags(r)
	if err != nil {
		return nil, err
	}
	return done(a.storeTags(r, slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == r.PathValue("tag") })))
}
