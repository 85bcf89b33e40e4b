package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/disk"
)

func oldGlance() oldTool {
	return oldTool{name: "glance", about: "Answer to the glance command of 2012 and of today", verbs: []oldVerb{
		{name: "add", takes: "name=NAME disk_format=FORMAT container_format=FORMAT [is_public=True] [PROPERTY=VALUE …] < FILE", gone: true, do: glanceAdd},
		{name: "index", gone: true, do: glanceList},
		{name: "details", gone: true, do: glanceList},
		{name: "show", takes: "ID", gone: true, do: glanceShow},
		{name: "delete", takes: "ID", gone: true, do: glanceDelete},
		{name: "image-create", takes: "--name NAME --disk-format FORMAT --container-format FORMAT [--property KEY=VALUE] --file FILE", do: glanceCreate},
		{name: "image-list", do: glanceList},
		{name: "image-show", takes: "ID", do: glanceShow},
		{name: "image-delete", takes: "ID", do: glanceDelete},
		say("update", "ID KEY=VALUE …", "openstack", "image", "set", "--property", "KEY=VALUE", "ID"),
		say("member-images", "PROJECT", "openstack", "image", "list", "--shared"),
		say("image-members", "ID", "openstack", "image", "member", "list", "ID"),
		say("clear", "", "openstack", "image", "delete", "ID"),
	}}
}

// glanceAdd is 'glance add KEY=VALUE … < FILE', of which what is no field of an
// image is a property.
func glanceAdd(o *oldCall) ([]string, error) {
	line, err := parseOld(o.args, nil, []string{"f", "force", "v", "verbose"})
	if err != nil {
		return nil, err
	}
	fields, err := pairs(line.words)
	if err != nil {
		return nil, err
	}
	want := images.CreateOpts{Properties: map[string]string{}}
	today := []string{"openstack", "image", "create"}
	for _, f := range fields {
		words, err := glanceField(&want, f[0], f[1])
		if err != nil {
			return nil, err
		}
		today = append(today, words...)
	}
	info, err := o.in.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return nil, fmt.Errorf("the image's data are wanted from the input: glance add … < FILE")
	}
	if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", o.in.Fd())); err == nil && info.Mode().IsRegular() {
		today = append(today, "--file", name)
	}
	return append(today, want.Name), o.upload(want, o.in, info.Size())
}

// glanceField lays one of the old fields into an image and gives its words of
// today.
func glanceField(want *images.CreateOpts, key, value string) (words []string, err error) {
	key = strings.ReplaceAll(key, "-", "_")
	option := "--" + strings.ReplaceAll(key, "_", "-")
	switch key {
	case "name":
		want.Name = value
		return nil, nil
	case "id":
		want.ID = value
	case "disk_format":
		want.DiskFormat = value
	case "container_format":
		want.ContainerFormat = value
	case "min_disk":
		want.MinDisk, err = strconv.Atoi(value)
	case "min_ram":
		want.MinRAM, err = strconv.Atoi(value)
	case "protected":
		on, err := strconv.ParseBool(strings.ToLower(value))
		if want.Protected = &on; !on {
			return nil, err
		}
		return []string{option}, err
	case "is_public", "visibility":
		v := images.ImageVisibilityPrivate
		if value == "public" || strings.EqualFold(value, "true") {
			v = images.ImageVisibilityPublic
		}
		want.Visibility = &v
		return []string{"--" + string(v)}, nil
	case "location", "copy_from":
		return nil, fmt.Errorf("%s=%s: today an image is fetched by 'glance image-create-via-import --import-method web-download --uri %s'", key, value, value)
	case "size", "checksum", "store", "type": // what the service finds by itself
		return nil, nil
	default:
		want.Properties[key] = value
		return []string{"--property", key + "=" + value}, nil
	}
	return []string{option, value}, err
}

// glanceCreate is 'glance image-create', where no client is installed.
func glanceCreate(o *oldCall) ([]string, error) {
	plain := []string{"name", "disk-format", "container-format", "min-disk", "min-ram", "id", "is-public", "visibility", "protected", "kernel-id", "ramdisk-id", "location", "copy-from"}
	line, err := parseOld(o.args, append(plain, "property", "file"), []string{"progress", "human-readable"})
	if err != nil {
		return nil, err
	}
	want := images.CreateOpts{Properties: map[string]string{}}
	today := []string{"openstack", "image", "create"}
	for _, key := range plain {
		if value := line.first(key); value != "" {
			words, err := glanceField(&want, key, value)
			if err != nil {
				return nil, err
			}
			today = append(today, words...)
		}
	}
	properties, err := pairs(line.options["property"])
	if err != nil {
		return nil, err
	}
	for _, p := range properties {
		want.Properties[p[0]] = p[1]
		today = append(today, "--property", p[0]+"="+p[1])
	}
	in := interface {
		io.Reader
		Stat() (os.FileInfo, error)
	}(o.in)
	if file := line.first("file"); file != "" {
		f, err := disk.OpenStream(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in, today = f, append(today, "--file", file)
	}
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	return append(today, want.Name), o.upload(want, in, info.Size())
}

// upload makes an image of what is read. A failed upload takes its image away
// again.
func (o *oldCall) upload(want images.CreateOpts, from io.Reader, size int64) error {
	glance, err := o.service(openstack.NewImageV2)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "Uploading image '%s'\n", want.Name)
	made, err := images.Create(o.ctx, glance, want).Extract()
	if err != nil {
		return refusal(err)
	}
	meter := &meter{Reader: from, w: o.progress, name: want.Name, total: size, began: time.Now()}
	if err := imagedata.Upload(o.ctx, glance, made.ID, meter).ExtractErr(); err != nil {
		_ = images.Delete(context.WithoutCancel(o.ctx), glance, made.ID)
		return fmt.Errorf("the upload failed: %w", refusal(err))
	}
	meter.end()
	fmt.Fprintf(o.out, "Added new image with ID: %s\n", made.ID)
	return nil
}

func glanceList(o *oldCall) ([]string, error) {
	today := []string{"openstack", "image", "list"}
	glance, err := o.service(openstack.NewImageV2)
	if err != nil {
		return nil, err
	}
	pages, err := images.List(glance, nil).AllPages(o.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all, err := images.ExtractImages(pages)
	var rows [][]string
	for _, i := range all {
		rows = append(rows, []string{i.ID, i.Name, i.DiskFormat, i.ContainerFormat, strconv.FormatInt(i.SizeBytes, 10)})
	}
	if err != nil {
		return nil, err
	}
	return today, columns(o.out, "ID Name Disk-Format Container-Format Size", rows)
}

func glanceShow(o *oldCall) ([]string, error) {
	return o.showOf(openstack.NewImageV2, "image", "images", "")
}

func glanceDelete(o *oldCall) ([]string, error) {
	return o.deleteOf(openstack.NewImageV2, "image", "images")
}

// newService makes a client of an API.
type newService func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)

// showOf prints a thing of an API in a box; within is the key it stands under.
func (o *oldCall) showOf(api newService, noun, path, within string) ([]string, error) {
	sc, id, err := o.named(api, noun, path)
	if err != nil {
		return nil, err
	}
	thing := map[string]any{}
	if _, err := sc.Get(o.ctx, sc.ServiceURL(path, id), &thing, nil); err != nil { //nolint:bodyclose // read into thing and closed
		return nil, refusal(err)
	}
	if inner, ok := thing[within].(map[string]any); ok {
		thing = inner
	}
	box(o.out, properties(thing))
	return []string{"openstack", noun, "show", id}, nil
}

// deleteOf deletes a thing of an API.
func (o *oldCall) deleteOf(api newService, noun, path string) ([]string, error) {
	sc, id, err := o.named(api, noun, path)
	if err != nil {
		return nil, err
	}
	_, err = sc.Delete(o.ctx, sc.ServiceURL(path, id), &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted, http.StatusNoContent}}) //nolint:bodyclose // a body that nobody asked for is drained and closed
	return []string{"openstack", noun, "delete", id}, refusal(err)
}
