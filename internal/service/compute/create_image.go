package compute

import (
	"maps"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// useImage checks the image and puts it, with the kernel and the ramdisk of an
// AMI, into the server.
func useImage(tx *store.Tx, op string, c cloud.Caller, id string, v *cloud.Server) error {
	image, err := imageTx(tx, op, c, id)
	if err != nil {
		return err
	}
	v.ImageID, v.Image = id, ref(image)
	if err := inherit(tx, op, c, image, v); err != nil {
		return err
	}
	if err := imageFits(op, image, v.Flavor); err != nil {
		return err
	}
	if image.Digest == "" {
		return unacceptable(op, id, "it holds no data and names no volume to boot from")
	}
	return nil
}

// inherit puts what an image says, with the kernel and the ramdisk of an AMI, into
// the server.
func inherit(tx *store.Tx, op string, c cloud.Caller, image cloud.Image, v *cloud.Server) (err error) {
	switch image.ContainerFormat {
	case "aki", "ari":
		return unacceptable(op, image.ID, "it is the "+partOf[image.ContainerFormat]+" of an AMI and cannot be booted by itself: boot the image that refers to it")
	}
	v.ImageProperties = maps.Clone(image.Properties)
	if v.Kernel, err = part(tx, op, c, image.ID, image.KernelID(), "aki"); err != nil {
		return err
	}
	if v.Ramdisk, err = part(tx, op, c, image.ID, image.RamdiskID(), "ari"); err != nil {
		return err
	}
	if image.DiskFormat == "ami" && v.Kernel == nil {
		return unacceptable(op, image.ID, "it is an AMI without a kernel: set its property kernel_id to the id of an aki image")
	}
	v.KernelArgs = image.Properties["os_command_line"]
	v.ConfigDrive = v.ConfigDrive || image.Properties["img_config_drive"] == "mandatory"
	return diskConfig(op, image, v)
}

// partOf says what aki and ari are.
var partOf = map[string]string{"aki": "kernel", "ari": "ramdisk"}

// unacceptable is nova's ImageUnacceptable.
func unacceptable(op, id, why string) error {
	return cloud.E(op, cloud.Invalid, "Image %s is unacceptable: %s", id, why)
}

// imageTx gives an active image that the caller may use.
func imageTx(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Image, error) {
	image, err := tx.Images.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !imageVisible(tx, c, image) {
		return image, cloud.E(op, cloud.Invalid, "Can not find requested image")
	}
	if err == nil && image.Status != cloud.ImageActive {
		err = cloud.E(op, cloud.Invalid, "Image %s is not active: its status is %s.", id, image.Status)
	}
	return image, err
}

// imageVisible tells whether the caller's project may use an image.
func imageVisible(tx *store.Tx, c cloud.Caller, image cloud.Image) bool {
	switch image.Visibility {
	case cloud.VisibilityPublic, cloud.VisibilityCommunity:
		return true
	case cloud.VisibilityShared:
		if _, err := tx.ImageMembers.Get(cloud.ImageMember{ImageID: image.ID, ProjectID: c.ProjectID}.Key()); err == nil {
			return true
		}
	}
	return c.Owns(image.ProjectID)
}

// ref is what a node needs of an image.
func ref(i cloud.Image) cloud.ImageRef { return i.Ref() }

// part gives the kernel or the ramdisk that an image refers to; nil for none.
func part(tx *store.Tx, op string, c cloud.Caller, image, id, format string) (*cloud.ImageRef, error) {
	if id == "" {
		return nil, nil
	}
	p, err := imageTx(tx, op, c, id)
	if cloud.Is(err, cloud.Invalid) {
		return nil, unacceptable(op, image, "its "+partOf[format]+" "+id+" is not there or not active")
	}
	if err != nil {
		return nil, err
	}
	if p.ContainerFormat != format && p.DiskFormat != format {
		return nil, unacceptable(op, image, "its "+partOf[format]+" "+id+" is not an "+format+" image")
	}
	r := ref(p)
	return &r, nil
}

// diskConfig settles whether the root disk is grown to the flavor's size by the
// image's word, where the request has none.
func diskConfig(op string, image cloud.Image, v *cloud.Server) error {
	auto := strings.ToLower(image.Properties["auto_disk_config"])
	switch {
	case v.DiskConfig == "AUTO" && auto == "disabled":
		return cloud.E(op, cloud.Invalid, "Requested image %s has automatic disk resize disabled.", image.ID)
	case v.DiskConfig == "" && auto == "true":
		v.DiskConfig = "AUTO"
	case v.DiskConfig == "":
		v.DiskConfig = "MANUAL"
	}
	return nil
}

// imageFits refuses a flavor that is too small for an image. A flavor without a
// root size takes the image's.
func imageFits(op string, image cloud.Image, f cloud.Flavor) error {
	const gib = 1 << 30
	if f.MemoryMB < image.MinRAMMB {
		return cloud.E(op, cloud.Invalid, "Flavor's memory is too small for requested image: it has %d MB, and the image needs %d.", f.MemoryMB, image.MinRAMMB)
	}
	if f.RootGB == 0 {
		return nil
	}
	disk := int64(f.RootGB) * gib
	if f.RootGB < image.MinDiskGB {
		return cloud.E(op, cloud.Invalid, "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, minimum size is %d bytes.",
			disk, int64(image.MinDiskGB)*gib)
	}
	if size := max(image.VirtualSize, image.Size); disk < size {
		return cloud.E(op, cloud.Invalid, "Flavor's disk is too small for requested image. Flavor disk is %d bytes, image is %d bytes.", disk, size)
	}
	return nil
}
