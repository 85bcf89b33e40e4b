package nova

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// deviceBody is a disk in block_device_mapping, of its first form or its second.
type deviceBody struct {
	VirtualName string             `json:"virtual_name"`
	Source      string             `json:"source_type"`
	Destination string             `json:"destination_type"`
	UUID        string             `json:"uuid"`
	ImageID     string             `json:"image_id"`
	VolumeID    string             `json:"volume_id"`
	SnapshotID  string             `json:"snapshot_id"`
	Size        wire.Opt[wire.Int] `json:"volume_size"`
	Device      string             `json:"device_name"`
	Delete      wire.Bool          `json:"delete_on_termination"`
	NoDevice    json.RawMessage    `json:"no_device"`
	GuestFormat string             `json:"guest_format"`
	Type        string             `json:"device_type"`
	Bus         string             `json:"disk_bus"`
	BootIndex   json.RawMessage    `json:"boot_index"`
	Tag         string             `json:"tag"`
	VolumeType  *string            `json:"volume_type"`
}

// device is what both forms have in common.
func (d deviceBody) device() compute.BlockDevice {
	return compute.BlockDevice{
		BootIndex: -1, Size: int(d.Size.Or(0)), Device: d.Device, DeleteOnTermination: bool(d.Delete), NoDevice: truth(d.NoDevice), Tag: d.Tag,
		GuestFormat: d.GuestFormat, Type: d.Type, Bus: d.Bus,
	}
}

// truth is what Python takes a JSON value for.
func truth(raw json.RawMessage) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "false", "0", `""`, "[]", "{}":
		return false
	}
	return true
}

// devicesOf reads block_device_mapping_v2.
func devicesOf(in []deviceBody) ([]compute.BlockDevice, error) {
	var out []compute.BlockDevice
	for _, d := range in {
		v := d.device()
		v.Source, v.Destination, v.ID = d.Source, d.Destination, d.UUID
		if d.VolumeType != nil {
			v.VolumeType = *d.VolumeType
		}
		switch { // a single member may stand for the type and the id of a source
		case v.ID != "":
		case d.ImageID != "":
			v.Source, v.ID = "image", d.ImageID
		case d.VolumeID != "":
			v.Source, v.ID = "volume", d.VolumeID
		case d.SnapshotID != "":
			v.Source, v.ID = "snapshot", d.SnapshotID
		}
		var index wire.Int
		if len(d.BootIndex) > 0 && string(d.BootIndex) != "null" {
			if err := json.Unmarshal(d.BootIndex, &index); err != nil {
				return nil, cloud.E("nova.createServer", cloud.Invalid, "Block Device Mapping is Invalid: Boot index is invalid.")
			}
			v.BootIndex = int(index)
		}
		out = append(out, v)
	}
	return out, nil
}

// ephemeralName is what ephemeral disks are called in the first form.
var ephemeralName = regexp.MustCompile(`^ephemeral([0-9]|[1-9][0-9]+)$`)

// legacyDevices reads block_device_mapping, of the first form, as nova makes the
// second of it (nova/block_device.py, from_legacy_mapping): the disk that is named
// as the root disk is the one to boot from, where the image is not.
func legacyDevices(in []deviceBody, image string) ([]compute.BlockDevice, error) {
	var out []compute.BlockDevice
	root := false
	for _, d := range in {
		v := d.device()
		switch {
		case d.VirtualName == "swap" || ephemeralName.MatchString(d.VirtualName):
			v.Source, v.Destination, v.DeleteOnTermination = "blank", "local", true
			if d.VirtualName == "swap" {
				v.GuestFormat = "swap"
			}
		case d.SnapshotID != "":
			v.Source, v.Destination, v.ID = "snapshot", "volume", d.SnapshotID
		case d.VolumeID != "":
			v.Source, v.Destination, v.ID = "volume", "volume", d.VolumeID
		case !v.NoDevice:
			return nil, cloud.E("nova.createServer", cloud.Invalid, "Block Device Mapping is Invalid: Unrecognized legacy format.")
		}
		if v.Destination == "volume" && strings.TrimPrefix(d.Device, "/dev/") == "vda" {
			v.BootIndex, root = 0, true
		}
		out = append(out, v)
	}
	if !root && image != "" {
		out = append([]compute.BlockDevice{{Source: "image", Destination: "local", ID: image, DeleteOnTermination: true}}, out...)
	}
	return out, nil
}
