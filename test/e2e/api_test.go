package e2e

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// session is a login through gophercloud, which a test with many calls uses: the
// openstack command takes a second of processor time for each.
type session struct {
	t                                         *testing.T
	ctx                                       context.Context
	identity, image, compute, network, volume *gophercloud.ServiceClient
}

// session logs in as the local operator.
func (c *theCloud) session() *session {
	c.t.Helper()
	opts := gophercloud.AuthOptions{AllowReauth: true, DomainName: "Default"}
	for _, v := range c.env {
		key, value, _ := strings.Cut(v, "=")
		switch key {
		case "OS_AUTH_URL":
			opts.IdentityEndpoint = value
		case "OS_USERNAME":
			opts.Username = value
		case "OS_PASSWORD":
			opts.Password = value
		case "OS_PROJECT_NAME":
			opts.TenantName = value
		}
	}
	return c.dial(opts)
}

// tenant makes a project with a user in it who has a role, and logs in as that
// user.
func (c *theCloud) tenant(name, role string) *session {
	c.t.Helper()
	admin := c.session()
	project := must(projects.Create(admin.ctx, admin.identity, projects.CreateOpts{Name: name, DomainID: "default"}).Extract())(c.t)
	user := must(users.Create(admin.ctx, admin.identity, users.CreateOpts{Name: name, DomainID: "default", Password: "pw-" + project.ID}).Extract())(c.t)
	pages := must(roles.List(admin.identity, roles.ListOpts{Name: role}).AllPages(admin.ctx))(c.t)
	found := must(roles.ExtractRoles(pages))(c.t)
	if len(found) != 1 {
		c.t.Fatalf("%d roles are called %s", len(found), role)
	}
	err := roles.Assign(admin.ctx, admin.identity, found[0].ID, roles.AssignOpts{UserID: user.ID, ProjectID: project.ID}).ExtractErr()
	if err != nil {
		c.t.Fatal(err)
	}
	return c.dial(gophercloud.AuthOptions{IdentityEndpoint: c.authURL(), Username: name, DomainName: "Default", Password: "pw-" + project.ID, TenantName: name, AllowReauth: true})
}

func (c *theCloud) authURL() string {
	for _, v := range c.env {
		if url, ok := strings.CutPrefix(v, "OS_AUTH_URL="); ok {
			return url
		}
	}
	c.t.Fatal("no OS_AUTH_URL in what hearth openrc prints")
	return ""
}

func (c *theCloud) dial(opts gophercloud.AuthOptions) *session {
	c.t.Helper()
	s := &session{t: c.t, ctx: context.Background()}
	provider := must(openstack.AuthenticatedClient(s.ctx, opts))(c.t)
	where := gophercloud.EndpointOpts{Region: "RegionOne"}
	s.identity = must(openstack.NewIdentityV3(provider, where))(c.t)
	s.image = must(openstack.NewImageV2(provider, where))(c.t)
	s.compute = must(openstack.NewComputeV2(provider, where))(c.t)
	s.volume = must(openstack.NewBlockStorageV3(provider, where))(c.t)
	s.network = must(openstack.NewNetworkV2(provider, where))(c.t)
	return s
}

// in is the same session for a subtest.
func (s *session) in(t *testing.T) *session {
	sub := *s
	sub.t = t
	return &sub
}

// upload makes a public image of a file.
func (s *session) upload(name, format, path string, properties map[string]string) string {
	s.t.Helper()
	f := must(os.Open(path))(s.t)
	defer f.Close()
	container := "bare"
	if strings.HasPrefix(format, "a") {
		container = format
	}
	public := images.ImageVisibilityPublic
	img := must(images.Create(s.ctx, s.image, images.CreateOpts{Name: name, DiskFormat: format, ContainerFormat: container, Visibility: &public, Properties: properties}).Extract())(s.t)
	if err := imagedata.Upload(s.ctx, s.image, img.ID, f).ExtractErr(); err != nil {
		s.t.Fatalf("upload %s: %v", path, err)
	}
	return img.ID
}

// must gives a value, or ends the test with the error that came with it.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// gone tells whether an error is a 404.
func gone(err error) bool { return gophercloud.ResponseCodeIs(err, http.StatusNotFound) }

// eventually asks again and again until it is so, for at most patience: neither
// the APIs nor a guest can tell when.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", limit, what)
		}
	}
}
