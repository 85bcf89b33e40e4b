package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"hearth/test/outside"
)

//go:embed tempest.conf.template
var confTemplate string

//go:embed sitecustomize.py
var siteCustomize []byte

// loggingConf makes Tempest's log; %s is the file.
const loggingConf = `[loggers]
keys=root
[handlers]
keys=file
[formatters]
keys=context
[logger_root]
level=DEBUG
handlers=file
[handler_file]
class=FileHandler
args=('%s', 'a')
formatter=context
[formatter_context]
class=oslo_log.formatters.ContextFormatter
`

// workspace is where Tempest runs.
type workspace struct {
	dir    string
	env    []string
	wanted []string // the tests that must have run; nil: whatever was found
}

func (w *workspace) log() string { return filepath.Join(w.dir, "tempest.log") }

// settings fill tempest.conf.template.
type settings struct {
	Workspace, Base                         string
	Operator                                outside.Operator
	Image, ImageAlt, ImageFile, ImageFormat string
	Flavor, FlavorAlt                       string
	PublicID, PublicName, PrivateName       string
	ComputeMax, VolumeMax, PlacementMax     string
	Extensions, HTTPImage                   string
	Xen, Compliance, Guests                 bool
	User                                    string
	Backend, Vendor, Hypervisor             string
}

// prepare gives the cloud images and flavors and writes Tempest's settings from
// what the cloud says of itself: its versions, its extensions, its networks.
func (c *theCloud) prepare(ctx context.Context, m mode) (*workspace, error) {
	cl, err := c.Login(ctx)
	if err != nil {
		return nil, err
	}
	op, err := c.Operator()
	if err != nil {
		return nil, err
	}
	s := settings{Workspace: filepath.Join(c.Work, "tempest"), Base: cl.Base, Operator: op, Xen: m.xen, Compliance: m.compliance, Guests: m.guests}
	if s.ImageFile, s.ImageFormat, s.User, err = c.imageFile(ctx, m); err != nil {
		return nil, err
	}
	steps := []func(context.Context, *outside.Client) error{s.images, s.flavors, s.networks, s.versions, s.extensions, s.pools}
	for _, step := range steps {
		if err := step(ctx, cl); err != nil {
			return nil, err
		}
	}
	if s.HTTPImage, err = serve(ctx, s.ImageFile); err != nil {
		return nil, err
	}
	return s.write(ctx)
}

// images uploads the two images: the same bytes twice will do.
func (s *settings) images(ctx context.Context, cl *outside.Client) error {
	for name, id := range map[string]*string{"conformance": &s.Image, "conformance-alt": &s.ImageAlt} {
		var made struct{ ID string }
		err := cl.Do(ctx, http.MethodPost, "/image/v2/images", map[string]any{"name": name, "disk_format": s.ImageFormat, "container_format": "bare", "visibility": "public", "hw_qemu_guest_agent": "yes"}, &made)
		if err != nil {
			return err
		}
		f, err := os.Open(s.ImageFile)
		if err != nil {
			return err
		}
		err = cl.Upload(ctx, "/image/v2/images/"+made.ID+"/file", f)
		_ = f.Close()
		if err != nil {
			return err
		}
		*id = made.ID
	}
	return nil
}

// flavors makes the two that guests of the suite need: the second is larger in
// all, for resizes.
func (s *settings) flavors(ctx context.Context, cl *outside.Client) error {
	for _, f := range []struct {
		name      string
		ram, disk int
		id        *string
	}{{"conformance", 192, 1, &s.Flavor}, {"conformance-alt", 256, 2, &s.FlavorAlt}} {
		var made struct{ Flavor struct{ ID string } }
		if err := cl.Do(ctx, http.MethodPost, "/compute/v2.1/flavors", map[string]any{"flavor": map[string]any{"name": f.name, "ram": f.ram, "disk": f.disk, "vcpus": 1}}, &made); err != nil {
			return err
		}
		*f.id = made.Flavor.ID
	}
	return nil
}

// networks finds those that every cloud begins with, and what kind of host it is.
func (s *settings) networks(ctx context.Context, cl *outside.Client) error {
	s.PublicName, s.PrivateName = "public", "private"
	var found struct{ Networks []struct{ ID string } }
	if err := cl.Get(ctx, "/network/v2.0/networks?name="+s.PublicName, &found); err != nil {
		return err
	}
	if len(found.Networks) != 1 {
		return fmt.Errorf("%d networks are called %s, not one", len(found.Networks), s.PublicName)
	}
	s.PublicID = found.Networks[0].ID
	var hosts struct {
		Hypervisors []struct {
			Type string `json:"hypervisor_type"`
		}
	}
	if err := cl.Get(ctx, "/compute/v2.1/os-hypervisors/detail", &hosts); err != nil {
		return err
	}
	for _, h := range hosts.Hypervisors {
		s.Hypervisor = h.Type
	}
	return nil
}

// versions asks each API how far its microversions go.
func (s *settings) versions(ctx context.Context, cl *outside.Client) error {
	for path, max := range map[string]*string{"/compute/": &s.ComputeMax, "/volume/": &s.VolumeMax, "/placement/": &s.PlacementMax} {
		var doc struct {
			Versions []struct {
				Version    string
				MaxVersion string `json:"max_version"`
			}
		}
		// A cloud without placement answers 404; the suite then leaves it out.
		if err := cl.Get(ctx, path, &doc); err != nil && path != "/placement/" {
			return err
		}
		for _, v := range doc.Versions {
			*max = v.Version + v.MaxVersion
		}
	}
	return nil
}

// extensions asks neutron what it has, so that tests of the rest are skipped.
func (s *settings) extensions(ctx context.Context, cl *outside.Client) error {
	var found struct{ Extensions []struct{ Alias string } }
	if err := cl.Get(ctx, "/network/v2.0/extensions", &found); err != nil {
		return err
	}
	var all []string
	for _, e := range found.Extensions {
		all = append(all, e.Alias)
	}
	slices.Sort(all)
	s.Extensions = strings.Join(all, ",")
	return nil
}

// pools asks cinder what it is made of.
func (s *settings) pools(ctx context.Context, cl *outside.Client) error {
	var found struct {
		Pools []struct {
			Capabilities struct {
				Backend string `json:"volume_backend_name"`
				Vendor  string `json:"vendor_name"`
			}
		}
	}
	if err := cl.Get(ctx, "/volume/v3/scheduler-stats/get_pools?detail=True", &found); err != nil {
		return err
	}
	for _, p := range found.Pools {
		s.Backend, s.Vendor = p.Capabilities.Backend, p.Capabilities.Vendor
	}
	return nil
}

// serve offers a file over HTTP for the tests of web-download.
func serve(ctx context.Context, file string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })}
	go func() { _ = srv.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + l.Addr().String() + "/test.img", nil
}

// write makes the workspace.
func (s *settings) write(ctx context.Context) (*workspace, error) {
	// Debian's python comes first: stestr starts python3 by its name.
	python := s.Workspace + ".python"
	if err := os.MkdirAll(python, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(python, "sitecustomize.py"), siteCustomize, 0o600); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "PYTHONPATH="+python, "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONWARNINGS=ignore", "OS_TEST_TIMEOUT=1200", "OS_LOG_CAPTURE=0")
	cmd := exec.CommandContext(ctx, "/usr/bin/tempest", "init", "--workspace-path", s.Workspace+".yaml", s.Workspace)
	cmd.Env, cmd.Dir = env, filepath.Dir(s.Workspace) // it writes a log where it stands
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tempest init ('make deps' installs tempest): %w\n%s", err, out)
	}
	t, err := template.New("tempest.conf").Parse(confTemplate)
	if err != nil {
		return nil, err
	}
	var conf bytes.Buffer
	if err := t.Execute(&conf, s); err != nil {
		return nil, err
	}
	w := &workspace{dir: s.Workspace, env: env}
	if err := os.WriteFile(filepath.Join(w.dir, "etc", "logging.conf"), fmt.Appendf(nil, loggingConf, w.log()), 0o600); err != nil {
		return nil, err
	}
	return w, os.WriteFile(filepath.Join(s.Workspace, "etc", "tempest.conf"), conf.Bytes(), 0o600)
}
