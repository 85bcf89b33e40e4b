package compute

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// BlockDevice is a disk that a request asks for (block_device_mapping_v2).
type BlockDevice struct {
	Source, Destination string // image, volume, snapshot, blank; local, volume
	ID                  string // of the source
	BootIndex           int    // 0 for the disk to boot from; below 0 for none
	Size                int    // in GB, of a swap disk in MB; 0 for what the source or the flavor says
	VolumeType          string
	Tag, Device, Bus    string
	GuestFormat         string // "swap", or how an ephemeral disk is formatted
	DeleteOnTermination bool
	NoDevice            bool // none by that device name, whatever the image says
	Type                string
	shared              bool // the client knows of volumes with several servers
}

func (d BlockDevice) swap() bool      { return d.blank() && d.GuestFormat == "swap" }
func (d BlockDevice) ephemeral() bool { return d.blank() && d.GuestFormat != "swap" }
func (d BlockDevice) blank() bool     { return d.Source == "blank" && d.Destination == "local" }
func (d BlockDevice) volume() bool    { return d.Destination == "volume" }

// invalidDevices is nova's InvalidBDMFormat.
func invalidDevices(op, why string, args ...any) error {
	return cloud.E(op, cloud.Invalid, "Block Device Mapping is Invalid: "+why, args...)
}

// check refuses what a device cannot mean (nova/block_device.py, from_api).
func (d BlockDevice) check(op string, imageNamed bool) error {
	switch {
	case d.NoDevice:
	case d.Source == "":
		return invalidDevices(op, "Some required fields are missing")
	case d.Source == "blank" && d.ID != "":
		return invalidDevices(op, "Invalid device UUID.")
	case d.Source != "blank" && d.ID == "":
		return invalidDevices(op, "Missing device UUID.")
	case d.cdrom():
		return d.checkDrive(op)
	case d.Source == "image" && d.Destination == "local" && !(imageNamed && d.BootIndex == 0):
		return invalidDevices(op, "Mapping image to local is not supported.")
	case d.Destination == "local" && d.VolumeType != "":
		return invalidDevices(op, "Specifying a volume_type with destination_type=local is not supported.")
	case d.Source == "volume" && d.VolumeType != "":
		return invalidDevices(op, "Specifying volume type to existing volume is not supported.")
	case (d.Source == "volume" || d.Source == "snapshot") && d.Destination == "local":
		return invalidDevices(op, "Mapping %s to local is not supported.", d.Source)
	case d.Bus != "" && !slices.Contains([]string{"virtio", "scsi", "ide"}, d.Bus):
		return invalidDevices(op, "The provided disk bus %s is not valid: there are virtio, scsi and ide.", d.Bus)
	case d.ephemeral() && d.GuestFormat != "" && d.GuestFormat != "ext4":
		return invalidDevices(op, "an ephemeral disk is formatted as ext4, not as %s.", d.GuestFormat)
	case d.Type != "" && d.Type != "disk":
		return invalidDevices(op, "The device type %s is not implemented: there are disk and cdrom.", d.Type)
	}
	return nil
}

// devices puts together what the request, its image and its flavor say of disks,
// and refuses what makes no server (nova/compute/api.py, _check_and_transform_bdm
// and _validate_bdm).
func (r CreateRequest) devices(op string, image *cloud.Image, f cloud.Flavor) ([]BlockDevice, error) {
	list := slices.Clone(r.Devices)
	for i := range list {
		list[i].settle()
		if err := list[i].check(op, r.ImageNamed); err != nil {
			return nil, err
		}
		if r.ImageID != "" && list[i].volume() && strings.TrimPrefix(list[i].Device, "/dev/") == "vda" && list[i].BootIndex != 0 {
			return nil, cloud.E(op, cloud.Invalid, "The volume cannot be assigned the same device name as the root device vda")
		}
	}
	if len(list) == 0 && r.ImageID != "" {
		list = []BlockDevice{{Source: "image", Destination: "local", ID: r.ImageID, DeleteOnTermination: true}}
	}
	mapped, err := imageDevices(op, image)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(mapped, func(d BlockDevice) bool { return d.BootIndex == 0 && !d.NoDevice }) {
		list = slices.DeleteFunc(list, func(d BlockDevice) bool { return d.BootIndex == 0 && d.Source == "image" })
	}
	for _, d := range mapped { // what the request says of a device name comes first
		if d.Device == "" || !slices.ContainsFunc(list, func(l BlockDevice) bool { return l.Device == d.Device }) {
			list = append(list, d)
		}
	}
	list = slices.DeleteFunc(list, func(d BlockDevice) bool { return d.NoDevice })
	if r.Max > 1 && slices.ContainsFunc(list, func(d BlockDevice) bool { return d.Source == "volume" }) {
		return nil, cloud.E(op, cloud.Invalid, "Cannot attach one or more volumes to multiple instances")
	}
	return list, fitDevices(op, list, f)
}

// settle says where a device is that does not say it, and writes its name whole.
func (d *BlockDevice) settle() {
	if d.Destination == "" {
		d.Destination = "local"
		if d.Source == "volume" || d.Source == "snapshot" {
			d.Destination = "volume"
		}
	}
	if d.cdrom() && d.Bus == "sata" {
		d.Bus = "ide" // both are AT Attachment to the guest
	}
	if d.Device != "" {
		d.Device = "/dev/" + strings.TrimPrefix(d.Device, "/dev/")
	}
}

// maxLocal is how many disks a server has on its node (nova's
// max_local_block_devices).
const maxLocal = 3

// fitDevices refuses disks that make no boot order, or that the flavor does not
// allow.
func fitDevices(op string, list []BlockDevice, f cloud.Flavor) error {
	var order []int
	ephemeral, swap, swaps, local := 0, 0, 0, 0
	for _, d := range list {
		if d.BootIndex >= 0 {
			order = append(order, d.BootIndex)
		}
		if !d.volume() {
			local++
		}
		switch {
		case d.volume() && d.Size == 0 && d.Source == "image":
			return cloud.E(op, cloud.Invalid, "Images with destination_type 'volume' need to have a non-zero size specified")
		case d.volume() && d.Size == 0 && d.Source == "blank":
			return cloud.E(op, cloud.Invalid, "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
		case d.swap():
			swap, swaps = d.Size, swaps+1
		case d.ephemeral() && d.Size == 0:
			ephemeral += f.EphemeralGB
		case d.ephemeral():
			ephemeral += d.Size
		}
	}
	slices.Sort(order)
	for i := range order {
		if order[i] != i {
			order = nil
			break
		}
	}
	switch {
	case len(order) == 0:
		return invalidDevices(op, "Boot sequence for the instance and image/block device mapping combination is not valid.")
	case ephemeral > f.EphemeralGB:
		return cloud.E(op, cloud.Invalid, "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, flavor ephemeral size will be used.")
	case swaps > 1:
		return invalidDevices(op, "More than one swap drive requested.")
	case swap > f.SwapMB:
		return cloud.E(op, cloud.Invalid, "Swap drive requested is larger than instance type allows.")
	case local > maxLocal:
		return invalidDevices(op, "You specified more local devices than the limit allows")
	}
	return nil
}

// scratchOf is the disks beside the root that devices ask for; nil for those of
// the flavor.
func scratchOf(list []BlockDevice, f cloud.Flavor) *cloud.Scratch {
	s := cloud.Scratch{EphemeralGB: f.EphemeralGB, SwapMB: f.SwapMB}
	total := 0
	for _, d := range list {
		switch size := cmp.Or(d.Size, f.EphemeralGB); {
		case d.swap() && d.Size > 0:
			s.SwapMB = d.Size
		case d.ephemeral() && size > 0:
			s.Ephemeral, total = append(s.Ephemeral, size), total+size
		}
	}
	if total > 0 {
		s.EphemeralGB = total
	}
	if len(s.Ephemeral) == 1 {
		s.Ephemeral = nil
	}
	if s.EphemeralGB == f.EphemeralGB && s.SwapMB == f.SwapMB && s.Ephemeral == nil {
		return nil
	}
	return &s
}

// mapping is a disk in an image's property block_device_mapping, as nova writes it
// into the image of a server with volumes.
type mapping struct {
	Source              string  `json:"source_type"`
	Destination         string  `json:"destination_type"`
	GuestFormat         *string `json:"guest_format"`
	Type                *string `json:"device_type"`
	Bus                 *string `json:"disk_bus"`
	BootIndex           *int    `json:"boot_index"`
	Device              *string `json:"device_name"`
	DeleteOnTermination bool    `json:"delete_on_termination"`
	SnapshotID          *string `json:"snapshot_id"`
	VolumeID            *string `json:"volume_id"`
	Size                *int    `json:"volume_size"`
	ImageID             *string `json:"image_id"`
	NoDevice            *bool   `json:"no_device"`
	Tag                 *string `json:"tag"`
	VolumeType          *string `json:"volume_type"`
}

func (m mapping) device() BlockDevice {
	d := BlockDevice{
		Source: m.Source, Destination: m.Destination, GuestFormat: or(m.GuestFormat, ""), Bus: or(m.Bus, ""), Type: or(m.Type, ""),
		BootIndex: or(m.BootIndex, -1), Device: or(m.Device, ""), DeleteOnTermination: m.DeleteOnTermination, Size: or(m.Size, 0),
		NoDevice: or(m.NoDevice, false), Tag: or(m.Tag, ""), VolumeType: or(m.VolumeType, ""),
	}
	switch m.Source {
	case "snapshot":
		d.ID = or(m.SnapshotID, "")
	case "volume":
		d.ID = or(m.VolumeID, "")
	case "image":
		d.ID = or(m.ImageID, "")
	}
	return d
}

func or[T any](p *T, none T) T {
	if p == nil {
		return none
	}
	return *p
}

// imageDevices are the disks that an image says a server of it has.
func imageDevices(op string, image *cloud.Image) (list []BlockDevice, err error) {
	if image == nil || image.Properties["block_device_mapping"] == "" {
		return nil, nil
	}
	if v2 := strings.ToLower(image.Properties["bdm_v2"]); v2 != "true" && v2 != "1" {
		return nil, unacceptable(op, image.ID, "its block_device_mapping is of the first form: set bdm_v2 and write it in the second")
	}
	var all []mapping
	if err := json.Unmarshal([]byte(image.Properties["block_device_mapping"]), &all); err != nil {
		return nil, unacceptable(op, image.ID, "its property block_device_mapping cannot be read: "+err.Error())
	}
	for _, m := range all {
		d := m.device()
		d.settle()
		if d.Source == "image" && d.Destination == "local" && !d.cdrom() {
			continue // the image of the server that it was made of
		}
		if err := d.check(op, true); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// mappedImage is the image whose word on disks counts: the request's, or the one
// that its boot volume is made of; nil for none.
func (r CreateRequest) mappedImage(tx *store.Tx, op string, c cloud.Caller) (*cloud.Image, error) {
	id := r.ImageID
	for _, d := range r.Devices {
		if id == "" && d.Source == "image" && d.BootIndex == 0 && !d.NoDevice {
			id = d.ID
		}
	}
	if id == "" {
		return nil, nil
	}
	image, err := imageTx(tx, op, c, id)
	if err != nil && r.ImageID == "" {
		err = invalidDevices(op, "failed to get image %s.", id)
	}
	return &image, err
}
