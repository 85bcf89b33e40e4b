package image

import (
	"context"
	"io"
	"strings"
	"sync"

	"hearth/internal/cloud"
)

// visa is in whose name an image is fetched from elsewhere.
type visa struct {
	caller cloud.Caller
	token  string
}

// visas are those of the imports that wait, by task. They are secrets and are not
// written down: an import that was not done when the process ended is asked for
// again.
type visas struct {
	mu  sync.Mutex
	all map[string]visa
}

func (v *visas) put(task string, as visa) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		v.all = map[string]visa{}
	}
	v.all[task] = as
}

func (v *visas) take(task string) (visa, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	as, ok := v.all[task]
	delete(v.all, task)
	return as, ok
}

// carried are the beginnings of the names of properties that an image takes over
// from one that it is made of (glance's glance_download_properties).
var carried = []string{"hw_", "trait:", "os_distro", "os_secure_boot", "os_type"}

// fetchRemote makes an image of one of an image service of the catalog, formats and
// some of its properties included.
func (s *Service) fetchRemote(ctx context.Context, task cloud.ImageTask, img cloud.Image) error {
	const op = "image.Import"
	as, ok := s.visas.take(task.ID)
	if !ok {
		return cloud.E(op, cloud.Unavailable, "the image service was started anew before the image was fetched, and has no token to ask with any more: ask for the import again")
	}
	url, own, err := s.opts.Elsewhere.Endpoint(ctx, task.Remote.Region, task.Remote.Interface)
	if err != nil {
		return err
	}
	open := s.opts.Elsewhere.Open
	if own {
		open = func(ctx context.Context, _, _, id string) (map[string]any, io.ReadCloser, int64, error) {
			return s.openOwn(ctx, as.caller, id)
		}
	}
	var attributes map[string]any
	var body io.ReadCloser
	var length int64
	err = storyOf(ctx).step("open", func(note noter) error {
		note("image %s of region %s", task.Remote.ID, task.Remote.Region)
		attributes, body, length, err = open(ctx, url, as.token, task.Remote.ID)
		return err
	})
	if err != nil {
		return err
	}
	say := takeOver(attributes)
	if err := say(&img); err != nil { // its bytes are judged as what they are said to be
		_ = body.Close()
		return err
	}
	return s.fetchBody(ctx, task, img, body, length, say)
}

// openOwn reads an image of this service.
func (s *Service) openOwn(ctx context.Context, caller cloud.Caller, id string) (map[string]any, io.ReadCloser, int64, error) {
	img, data, err := s.Download(ctx, caller, id)
	switch {
	case err != nil:
		return nil, nil, 0, err
	case data == nil:
		return nil, nil, 0, cloud.E("image.Import", cloud.Invalid, "Image %s has no bytes: its status is %s.", id, img.Status)
	}
	attributes := map[string]any{"disk_format": img.DiskFormat, "container_format": img.ContainerFormat, "status": string(img.Status)}
	for name, value := range img.Properties {
		attributes[name] = value
	}
	return attributes, data, img.Size, nil
}

// takeOver gives an image what another service says of its own.
func takeOver(attributes map[string]any) func(*cloud.Image) error {
	return func(img *cloud.Image) error {
		for name, value := range attributes {
			ours := name == "disk_format" || name == "container_format"
			for _, prefix := range carried {
				ours = ours || strings.HasPrefix(name, prefix)
			}
			if !ours {
				continue
			}
			if err := set(img, name, value); err != nil {
				return err
			}
		}
		return nil
	}
}
