package compute

import (
	"maps"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/service/placement"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// useDevices checks the disks of a request, puts what the server boots from into
// it, and gives those that are volumes.
func (s *Service) useDevices(tx *store.Tx, op string, c cloud.Caller, r CreateRequest, v *cloud.Server) (volumes []BlockDevice, err error) {
	if r.ImageID == "" && len(r.Devices) == 0 {
		return nil, cloud.E(op, cloud.Invalid, "Missing imageRef attribute")
	}
	image, err := r.mappedImage(tx, op, c)
	if err != nil {
		return nil, err
	}
	list, err := r.devices(op, image, v.Flavor)
	if err != nil {
		return nil, err
	}
	v.Scratch = scratchOf(list, v.Flavor)
	for _, d := range list {
		switch {
		case d.cdrom() && !d.volume():
			cd, err := drive(tx, op, c, d)
			if err != nil {
				return nil, err
			}
			v.CDs = append(v.CDs, cd)
		case d.volume() && d.BootIndex == 0:
			v.VolumeBoot, v.ImageID = true, r.ImageID
			if err := s.bootVolume(tx, op, c, d, v, installs(list)); err != nil {
				return nil, err
			}
		case d.BootIndex == 0 && r.ImageID != "" && d.ID != r.ImageID:
			return nil, invalidDevices(op, "the boot device's image %s is not the imageRef %s.", d.ID, r.ImageID)
		case d.BootIndex == 0 && d.Source != "image":
			return nil, invalidDevices(op, "a server boots from an image or a volume, not from a %s disk.", d.Source)
		case d.BootIndex == 0:
			if err := useImage(tx, op, c, d.ID, v); err != nil {
				return nil, err
			}
		}
		if d.volume() {
			d.shared = r.Multiattach
			volumes = append(volumes, d)
		}
	}
	return volumes, nil
}

// bootVolume puts what the image of a boot volume says into the server. The size
// of the flavor's root disk is none of it. It may be empty when the server is to be
// installed.
func (s *Service) bootVolume(tx *store.Tx, op string, c cloud.Caller, d BlockDevice, v *cloud.Server, installed bool) error {
	image, err := s.sourceImage(tx, op, c, d, v.ImageID != "" || installed)
	if err != nil {
		return err
	}
	if err := inherit(tx, op, c, image, v); err != nil {
		return err
	}
	f := v.Flavor
	f.RootGB = 0
	if err := imageFits(op, image, f); err != nil {
		return err
	}
	if d.Size > 0 && d.Size < image.MinDiskGB {
		return cloud.E(op, cloud.Invalid, "Volume is smaller than the minimum size specified in image metadata. Volume size is %d bytes, minimum size is %d bytes.",
			int64(d.Size)*cloud.GiB, int64(image.MinDiskGB)*cloud.GiB)
	}
	return nil
}

// sourceImage is the image that a boot volume is, or was once, made of. Where the
// request names an image beside it, an empty volume will do, as it does in nova:
// who says so means to fill it.
func (s *Service) sourceImage(tx *store.Tx, op string, c cloud.Caller, d BlockDevice, empty bool) (cloud.Image, error) {
	switch d.Source {
	case "image":
		image, err := imageTx(tx, op, c, d.ID)
		if cloud.Is(err, cloud.Invalid) {
			err = invalidDevices(op, "failed to get image %s.", d.ID)
		}
		return image, err
	case "volume":
		v, err := s.volumes.VolumeTx(tx, c, d.ID)
		if err != nil {
			return cloud.Image{}, noVolume(op, d, err)
		}
		if !v.Bootable && !empty {
			return cloud.Image{}, cloud.E(op, cloud.Invalid, "Block Device %s is not bootable. It was made empty: make it with --image, put the CD-ROM of an installer beside it (device_type cdrom, boot_index 1), or tell cinder that it boots (os-set_bootable).", d.ID)
		}
		return rememberedImage(v.ImageMetadata), nil
	case "snapshot":
		snap, err := s.volumes.SnapshotTx(tx, c, d.ID)
		if err != nil {
			return cloud.Image{}, noVolume(op, d, err)
		}
		if !snap.Bootable && !empty {
			return cloud.Image{}, cloud.E(op, cloud.Invalid, "Block Device %s is not bootable.", snap.VolumeID)
		}
		return rememberedImage(snap.ImageMetadata), nil
	}
	return cloud.Image{}, nil
}

// noVolume says in nova's words that a device's source is not there.
func noVolume(op string, d BlockDevice, err error) error {
	if cloud.Is(err, cloud.NotFound) {
		return invalidDevices(op, "failed to get %s %s.", d.Source, d.ID)
	}
	return err
}

// rememberedImage is the image that a volume was made of, as the volume remembers
// it; its bytes are no matter any more.
func rememberedImage(m map[string]string) cloud.Image {
	image := cloud.Image{ID: m["image_id"], ContainerFormat: m["container_format"], DiskFormat: m["disk_format"], Properties: maps.Clone(m)}
	image.MinRAMMB, _ = strconv.Atoi(m["min_ram"])
	image.MinDiskGB, _ = strconv.Atoi(m["min_disk"])
	for _, column := range []string{"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"} {
		delete(image.Properties, column)
	}
	return image
}

// fill gives a server that is being made its volumes: it makes those that are not
// there, and takes the others. The server's start waits for them.
func (s *Service) fill(tx *store.Tx, op string, c cloud.Caller, v cloud.Server, disks []BlockDevice) error {
	var have []cloud.VolumeAttachment
	for _, d := range disks {
		id, err := s.volumeFor(tx, op, c, v, d)
		if err != nil {
			return err
		}
		device := RootDevice
		switch {
		case d.BootIndex == 0:
		case d.cdrom():
			device = driveName(d.Bus, have)
		default:
			if device, err = nextDevice(op, v, have, d.Device); cloud.Is(err, cloud.Conflict) || cloud.Is(err, cloud.Invalid) {
				device, err = nextDevice(op, v, have, "") // as nova with a name that a guest cannot have
			}
			if err != nil {
				return err
			}
		}
		at, err := s.volumes.PlugTx(tx, c, volume.Plug{
			VolumeID: id, ServerID: v.ID, Device: device, Tag: d.Tag, Bus: d.Bus, Boot: d.BootIndex == 0, DeleteOnTerm: d.DeleteOnTermination,
			CDROM: d.cdrom(), BootIndex: max(0, d.BootIndex),
			Made: d.Source != "volume", Multiattach: d.shared,
		})
		if err != nil {
			return err
		}
		have = append(have, at)
	}
	return nil
}

// volumeFor is the id of a device's volume, which is made unless it is there.
func (s *Service) volumeFor(tx *store.Tx, op string, c cloud.Caller, v cloud.Server, d BlockDevice) (string, error) {
	if d.Source == "volume" {
		_, err := s.volumes.VolumeTx(tx, c, d.ID)
		return d.ID, noVolume(op, d, err)
	}
	want := volume.Wanted{SizeGB: d.Size, Type: d.VolumeType, Zone: s.volumeZone(tx, v)}
	var image *cloud.Image
	switch d.Source {
	case "image":
		i, err := imageTx(tx, op, c, d.ID)
		if err != nil {
			return "", invalidDevices(op, "failed to get image %s.", d.ID)
		}
		image = &i
	case "snapshot":
		if _, err := s.volumes.SnapshotTx(tx, c, d.ID); err != nil {
			return "", noVolume(op, d, err)
		}
		want.SnapshotID = d.ID
	default:
		want.Name = v.ID + "-blank-vol"
	}
	made, err := s.volumes.CreateTx(tx, c, want, image)
	return made.ID, asInvalid(op, err)
}

// volumeZone is where the volumes of a server are to be made: where it is to be.
func (s *Service) volumeZone(tx *store.Tx, v cloud.Server) string {
	if h, err := tx.Hosts.Get(v.ForcedHost); err == nil && v.ForcedHost != "" {
		return h.AvailabilityZone
	}
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return v.AvailabilityZone
	}
	// Aggregates make zones of servers, not of volumes: these are in their host's own.
	for _, h := range hosts {
		if zone, err := placement.ZoneTx(tx, h.Name); err == nil && v.AvailabilityZone != "" && zone == v.AvailabilityZone {
			return h.AvailabilityZone
		}
	}
	return v.AvailabilityZone
}
