package wire

import (
	"mime"
	"slices"
	"strings"

	"hearth/internal/cloud"
)

// withoutProject takes the project's id out of a path such as
// /compute/v2.1/{project_id}/servers: nova has each of its routes with and without
// one (nova/api/openstack/__init__.py, ProjectMapper), and clients whose catalog
// was written years ago ask with it.
func (api *API) withoutProject(segs []string) (rest []string, project string) {
	for _, below := range api.Projects {
		head, _ := segments(api.Prefix + below)
		n := len(head)
		if len(segs) > n+1 && slices.Equal(segs[:n], head) && isProject(segs[n]) {
			return slices.Concat(head, segs[n+1:]), segs[n]
		}
	}
	return segs, ""
}

// isProject tells whether a segment is a project's id: 32 hexadecimal digits, with
// or without dashes.
func isProject(s string) bool {
	return len(s) >= 32 && len(s) <= 36 && strings.Trim(s, "0123456789abcdef-") == ""
}

// ofProject refuses a path with another project than the token's.
func (v *visit) ofProject() error {
	if p := v.req.Project; p != "" && v.req.Caller.ProjectID != p {
		return cloud.E("wire.project", cloud.Invalid, "Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", p, v.req.Caller.ProjectID)
	}
	return nil
}

// Media makes a judge of Content-Type that knows only some types, as nova and
// cinder have it: another is MediaType. A request without the header passes.
func Media(types ...string) func(*Request) error {
	return func(r *Request) error {
		header := r.Header.Get("Content-Type")
		if header == "" {
			return nil
		}
		if got, _, err := mime.ParseMediaType(header); err != nil || !slices.Contains(types, got) {
			return cloud.E("wire.media", cloud.MediaType, "Unsupported Content-Type")
		}
		return nil
	}
}
