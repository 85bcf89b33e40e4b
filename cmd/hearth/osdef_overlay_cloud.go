package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/cloud"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// overlayVersion is an overlay in the cloud: a hidden image.
type overlayVersion struct {
	images.Image
	version int
}

// overlays lists those of a name, or all (""), by name and version.
func (c *inCloud) overlays(glance *gophercloud.ServiceClient, name string) (list []overlayVersion, err error) {
	pages, err := images.List(glance, images.ListOpts{Name: name, Hidden: true, Limit: 1000}).AllPages(c.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all, err := images.ExtractImages(pages)
	for _, i := range all {
		text, _ := i.Properties[cloud.PropertyOverlay].(string)
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			list = append(list, overlayVersion{i, n})
		}
	}
	slices.SortFunc(list, func(a, b overlayVersion) int {
		if d := strings.Compare(a.Name, b.Name); d != 0 {
			return d
		}
		return a.version - b.version
	})
	return list, err
}

// PutOverlay makes an image of a tree of files: the next version of an overlay, and
// gives its NAME@VERSION; the same as the newest makes none. An administrator's is for
// the servers of all projects, another's for those of his own.
func (c *inCloud) PutOverlay(ctx context.Context, name string, from tree.Source) (string, error) {
	glance, err := openstack.NewImageV2(c.client, gophercloud.EndpointOpts{Region: c.region})
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	left, err := tarball.Write(ctx, &archive, tarball.Gzip, from)
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		return "", fmt.Errorf("the overlay has sockets: %s", strings.Join(left, ", "))
	}
	have, err := c.overlays(glance, name)
	if err != nil {
		return "", err
	}
	next, sum := 1, sha512.Sum512(archive.Bytes())
	if n := len(have); n > 0 {
		newest := have[n-1]
		if got, _ := newest.Properties["os_hash_value"].(string); got == hex.EncodeToString(sum[:]) {
			return fmt.Sprintf("%s@%d", name, newest.version), nil
		}
		next = newest.version + 1
	}
	hidden, public := true, images.ImageVisibilityPublic
	o := images.CreateOpts{Name: name, DiskFormat: "raw", ContainerFormat: "bare", Visibility: &public, Hidden: &hidden, Properties: map[string]string{cloud.PropertyOverlay: strconv.Itoa(next)}}
	made, err := images.Create(ctx, glance, o).Extract()
	if gophercloud.ResponseCodeIs(err, 403) {
		o.Visibility = nil
		made, err = images.Create(ctx, glance, o).Extract()
	}
	if err != nil {
		return "", refusal(err)
	}
	if err := imagedata.Upload(ctx, glance, made.ID, &archive).ExtractErr(); err != nil {
		_ = images.Delete(context.WithoutCancel(ctx), glance, made.ID)
		return "", refusal(err)
	}
	return fmt.Sprintf("%s@%d", name, next), nil
}

func (c *inCloud) listOverlays(w io.Writer) error {
	glance, err := openstack.NewImageV2(c.client, gophercloud.EndpointOpts{Region: c.region})
	if err != nil {
		return err
	}
	list, err := c.overlays(glance, "")
	for _, o := range list {
		fmt.Fprintf(w, "%s@%d\n", o.Name, o.version)
	}
	return err
}
