package main

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// newOSDefPush is 'hearth os-def push'.
func newOSDefPush(in within) *cobra.Command {
	var privileged bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "push NAME FOLDER", Short: "Hand a definition that others wrote for Ganeti to the cloud, whose nodes run its scripts", Args: cobra.ExactArgs(2),
		Long: "Hand the folder of a Ganeti definition of operating systems (create, verify, ganeti_api_version,\n" +
			"variants.list, parameters.list …) to the cloud as the next version of a definition. Its archive\n" +
			"becomes an image of this name; a server of it is made by its create, which the node runs with\n" +
			"the environment of version 20 of Ganeti's interface. Only administrators may.\n\n" +
			"  hearth os-def push debootstrap /usr/share/ganeti/os/debootstrap --privileged\n" +
			"  openstack server create --image debootstrap --property hearth:os_variant=default --property hearth:os:suite=trixie …",
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			c, ok := kept.(*inCloud)
			if !ok {
				return errors.New("definitions of others are pushed to a cloud: set OS_CLOUD or the OS_ variables; here, 'hearth deploy --os-dir FOLDER' runs one where it lies")
			}
			if limit < 0 || limit%time.Minute != 0 {
				return fmt.Errorf("--limit %s: it is a number of whole minutes, such as 90m", limit)
			}
			ref, err := c.Push(args[0], args[1], privileged, int(limit/time.Minute))
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), ref)
			return nil
		},
	}
	cmd.Flags().BoolVar(&privileged, "privileged", false, "its scripts are root of the node, for those that make devices, loops or chroots; else they see the node's programs and their own folder alone")
	cmd.Flags().DurationVar(&limit, "limit", 0, "how long a script may take (default 1h)")
	return cmd
}

// Push keeps a folder as the next version of a foreign definition and gives its
// NAME@VERSION; the same as the newest makes none. The archive comes first: a definition
// that is there has its archive.
func (c *inCloud) Push(name, dir string, privileged bool, minutes int) (ref string, err error) {
	f, err := ganeti.Describe(dir)
	if err != nil {
		return "", err
	}
	f.Privileged, f.Minutes = privileged, minutes
	archive, err := os.CreateTemp("", "hearth-push-*.tar.gz")
	if err != nil {
		return "", err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	h := sha512.New()
	if err := ganeti.Pack(c.ctx, io.MultiWriter(archive, h), dir); err != nil {
		return "", err
	}
	f.Digest = "sha512:" + hex.EncodeToString(h.Sum(nil))
	d := &osdef.Definition{Name: name, Foreign: f}
	if err := d.Check(); err != nil {
		return "", err
	}
	glance, err := openstack.NewImageV2(c.client, gophercloud.EndpointOpts{Region: c.region})
	if err != nil {
		return "", err
	}
	id, fresh, err := c.archive(glance, d, archive)
	if err != nil {
		return "", err
	}
	made, err := c.Put(d)
	if err != nil {
		if fresh {
			_ = images.Delete(context.WithoutCancel(c.ctx), glance, id)
		}
		return "", err
	}
	ref = fmt.Sprintf("%s@%d", made.Name, made.Version)
	return ref, c.offer(glance, name, ref, id, made.Version)
}

// archives lists the images with archives of a foreign definition, hidden ones too.
func (c *inCloud) archives(glance *gophercloud.ServiceClient, name string) (list []images.Image, err error) {
	for _, hidden := range []bool{false, true} {
		pages, err := images.List(glance, images.ListOpts{Name: name, Hidden: hidden, Limit: 1000}).AllPages(c.ctx)
		if err != nil {
			return nil, refusal(err)
		}
		all, err := images.ExtractImages(pages)
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if of, _ := i.Properties[cloud.PropertyOSArchive].(string); strings.HasPrefix(of, name+"@") {
				list = append(list, i)
			}
		}
	}
	return list, nil
}

// archive uploads an archive, which nobody is offered yet, and gives the image's id; one
// that is there already is not uploaded twice, and not fresh.
func (c *inCloud) archive(glance *gophercloud.ServiceClient, d *osdef.Definition, f *os.File) (id string, fresh bool, err error) {
	have, err := c.archives(glance, d.Name)
	if err != nil {
		return "", false, err
	}
	for _, i := range have {
		if sum, _ := i.Properties["os_hash_value"].(string); "sha512:"+sum == d.Foreign.Digest && i.Status == images.ImageStatusActive {
			return i.ID, false, nil
		}
	}
	hidden, private := true, images.ImageVisibilityPrivate
	made, err := images.Create(c.ctx, glance, images.CreateOpts{Name: d.Name, DiskFormat: "raw", ContainerFormat: "bare", Visibility: &private, Hidden: &hidden,
		Properties: map[string]string{cloud.PropertyOSArchive: d.Name + "@"}}).Extract()
	if err != nil {
		return "", false, refusal(err)
	}
	_, err = f.Seek(0, io.SeekStart)
	if err == nil {
		err = imagedata.Upload(c.ctx, glance, made.ID, f).ExtractErr()
	}
	if err != nil {
		_ = images.Delete(context.WithoutCancel(c.ctx), glance, made.ID)
		return "", false, refusal(err)
	}
	return made.ID, true, nil
}

// offer shows the image of a version to all as the one of its name, and hides those of
// the other versions, which servers are still made of by their ids.
func (c *inCloud) offer(glance *gophercloud.ServiceClient, name, ref, id string, version int) error {
	set := func(property, value string) images.Patch {
		return images.UpdateImageProperty{Op: images.AddOp, Name: property, Value: value}
	}
	shown := images.UpdateOpts{set(cloud.PropertyOSArchive, ref), set(cloud.PropertyOSDefinition, ref), set("os_version", strconv.Itoa(version)),
		images.UpdateVisibility{Visibility: images.ImageVisibilityPublic}, images.ReplaceImageHidden{NewHidden: false}}
	if _, err := images.Update(c.ctx, glance, id, shown).Extract(); err != nil {
		return refusal(err)
	}
	all, err := c.archives(glance, name)
	for _, i := range all {
		if i.ID == id || i.Hidden {
			continue
		}
		if _, err := images.Update(c.ctx, glance, i.ID, images.UpdateOpts{images.ReplaceImageHidden{NewHidden: true}}).Extract(); err != nil {
			return refusal(err)
		}
	}
	return err
}
