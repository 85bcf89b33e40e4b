package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
)

func oldCinder() oldTool {
	return oldTool{name: "cinder", about: "Answer to the cinder command", verbs: []oldVerb{
		{name: "create", takes: "[--image-id ID | --snapshot-id ID | --source-volid ID] [--display-name NAME] [--volume-type TYPE] SIZE", do: cinderCreate},
		{name: "list", do: cinderList},
		{name: "show", takes: "VOLUME", do: func(o *oldCall) ([]string, error) {
			return o.showOf(openstack.NewBlockStorageV3, "volume", "volumes", "volume")
		}},
		{name: "delete", takes: "VOLUME", do: func(o *oldCall) ([]string, error) {
			return o.deleteOf(openstack.NewBlockStorageV3, "volume", "volumes")
		}},
	}}
}

// cinderCreate is 'cinder create --image-id ID --display-name NAME SIZE'.
func cinderCreate(o *oldCall) ([]string, error) {
	line, err := parseOld(o.args, []string{
		"image-id", "image", "snapshot-id", "source-volid", "display-name", "name", "display-description", "description", "volume-type", "availability-zone", "metadata",
	}, nil)
	if err != nil {
		return nil, err
	}
	want := volumes.CreateOpts{
		Name: line.first("display-name", "name"), Description: line.first("display-description", "description"), ImageID: line.first("image-id", "image"),
		SnapshotID: line.first("snapshot-id"), SourceVolID: line.first("source-volid"), VolumeType: line.first("volume-type"), AvailabilityZone: line.first("availability-zone"),
	}
	today := []string{"openstack", "volume", "create"}
	for _, f := range [][2]string{
		{"--image", want.ImageID}, {"--snapshot", want.SnapshotID}, {"--source", want.SourceVolID}, {"--description", want.Description}, {"--type", want.VolumeType},
		{"--availability-zone", want.AvailabilityZone},
	} {
		if f[1] != "" {
			today = append(today, f[0], f[1])
		}
	}
	if len(line.words) > 0 || want.SnapshotID+want.SourceVolID == "" {
		size, err := line.one("size in GiB")
		if err != nil {
			return nil, err
		}
		if want.Size, err = strconv.Atoi(size); err != nil {
			return nil, fmt.Errorf("the size %q is no number of GiB", size)
		}
		today = append(today, "--size", size)
	}
	metadata, err := pairs(line.options["metadata"])
	if err != nil {
		return nil, err
	}
	for _, p := range metadata {
		if want.Metadata == nil {
			want.Metadata = map[string]string{}
		}
		want.Metadata[p[0]] = p[1]
		today = append(today, "--property", p[0]+"="+p[1])
	}
	cinder, err := o.service(openstack.NewBlockStorageV3)
	if err != nil {
		return nil, err
	}
	var made struct{ Volume map[string]any }
	if err := volumes.Create(o.ctx, cinder, want, nil).ExtractInto(&made); err != nil {
		return nil, refusal(err)
	}
	box(o.out, properties(made.Volume))
	return append(today, want.Name), nil
}

func cinderList(o *oldCall) ([]string, error) {
	cinder, err := o.service(openstack.NewBlockStorageV3)
	if err != nil {
		return nil, err
	}
	pages, err := volumes.List(cinder, volumes.ListOpts{}).AllPages(o.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all, err := volumes.ExtractVolumes(pages)
	var rows [][]string
	for _, v := range all {
		at := ""
		for _, a := range v.Attachments {
			at = a.ServerID
		}
		rows = append(rows, []string{v.ID, v.Status, v.Name, strconv.Itoa(v.Size), v.VolumeType, v.Bootable, at})
	}
	if err != nil {
		return nil, err
	}
	return []string{"openstack", "volume", "list"}, columns(o.out, "ID Status Display-Name Size Volume-Type Bootable Attached-to", rows)
}

// properties are the fields of a thing, in order.
func properties(thing map[string]any) (rows [][2]string) {
	for _, key := range slices.Sorted(maps.Keys(thing)) {
		text := fmt.Sprint(thing[key])
		if thing[key] == nil {
			text = ""
		}
		rows = append(rows, [2]string{key, text})
	}
	return rows
}

// named finds the thing of which the id or the name is the line's only word.
func (o *oldCall) named(api newService, noun, path string) (sc *gophercloud.ServiceClient, id string, err error) {
	line, err := parseOld(o.args, nil, []string{"f", "force"})
	if err != nil {
		return nil, "", err
	}
	word, err := line.one(noun)
	if err != nil {
		return nil, "", err
	}
	if sc, err = o.service(api); err != nil {
		return nil, "", err
	}
	id, err = o.idOf(sc, noun, path, word)
	return sc, id, err
}

// idOf finds a thing by its id, else by its name, of which there may be one.
func (o *oldCall) idOf(sc *gophercloud.ServiceClient, noun, path, word string) (string, error) {
	_, err := sc.Get(o.ctx, sc.ServiceURL(path, url.PathEscape(word)), nil, nil) //nolint:bodyclose // a body that nobody asked for is drained and closed
	if err == nil {
		return word, nil
	}
	if !gophercloud.ResponseCodeIs(err, http.StatusNotFound) && !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
		return "", refusal(err)
	}
	found := map[string]any{}
	if _, err := sc.Get(o.ctx, sc.ServiceURL(path)+"?name="+url.QueryEscape(word), &found, nil); err != nil { //nolint:bodyclose // read into found and closed
		return "", refusal(err)
	}
	var ids []string
	list, _ := found[path].([]any)
	for _, x := range list {
		if t, ok := x.(map[string]any); ok && t["name"] == word {
			ids = append(ids, fmt.Sprint(t["id"]))
		}
	}
	if len(ids) != 1 {
		return "", fmt.Errorf("%d %ss are called %s: %s", len(ids), noun, word, strings.Join(append(ids, "name one by its id"), ", "))
	}
	return ids[0], nil
}
