package cloud

import (
	"strings"
	"time"
)

// ImageStatus is glance's status of an image.
type ImageStatus string

// The statuses of an image. Data is written once: queued, then saving, or uploading and importing, then active.
const (
	ImageQueued      ImageStatus = "queued"
	ImageSaving      ImageStatus = "saving"
	ImageUploading   ImageStatus = "uploading" // bytes are staged, or being
	ImageImporting   ImageStatus = "importing" // a task gives it its bytes
	ImageActive      ImageStatus = "active"
	ImageDeactivated ImageStatus = "deactivated"
	ImageKilled      ImageStatus = "killed"
)

// Visibility says who sees an image.
type Visibility string

// The visibilities of glance v2.
const (
	VisibilityPublic    Visibility = "public"
	VisibilityPrivate   Visibility = "private"
	VisibilityShared    Visibility = "shared"
	VisibilityCommunity Visibility = "community"
)

// Image is a disk, kernel or ramdisk image. Sizes are bytes; -1 is unknown.
type Image struct {
	ID, Name, ProjectID         string
	Status                      ImageStatus
	Visibility                  Visibility
	ContainerFormat, DiskFormat string // "" until known
	Size, VirtualSize           int64
	Checksum                    string // MD5 of the data, hexadecimal
	HashAlgo, HashValue         string // "sha512" and its hexadecimal value
	Digest                      string // where the data is: "sha512:<hex>"; content-addressed on the nodes
	MinDiskGB, MinRAMMB         int
	Protected, Hidden           bool
	Tags                        []string
	Properties                  map[string]string // kernel_id, ramdisk_id, hw_*, os_*, anything
	CreatedAt, UpdatedAt        time.Time
	UploadID                    string    // the upload under way, so a dropped one can be told from a new one
	Made                        *MadeDisk `json:",omitempty"` // what nodes boot where the data is a file tree; nil of disks
}

// MadeDisk is the raw disk that was made of an archive or a dump, once for all nodes.
// VirtualSize of its image is its size.
type MadeDisk struct {
	Digest string // "sha512:<hex>"
	Size   int64  // bytes
}

// MadeDigest is that of the disk that was made of the data; "" for none.
func (i Image) MadeDigest() string {
	if i.Made == nil {
		return ""
	}
	return i.Made.Digest
}

// Packaged tells whether the data is a package of a virtual machine (OVA), of which the
// first disk is meant.
func (i Image) Packaged() bool { return i.ContainerFormat == ContainerOVA }

// ContainerOVA is the container format of a virtual machine in a file.
const ContainerOVA = "ova"

// Ref is what a node needs of the image.
func (i Image) Ref() ImageRef {
	ref := ImageRef{ID: i.ID, Digest: i.Digest, Format: i.DiskFormat, Size: i.Size, VirtualSize: i.VirtualSize}
	switch {
	case i.Made != nil:
		ref.Digest, ref.Format, ref.Size = i.Made.Digest, "raw", i.Made.Size
	case i.Packaged():
		ref.Format = ContainerOVA
	}
	return ref
}

// KernelID is the image of the kernel that an AMI boots with; "" for others.
func (i Image) KernelID() string { return i.Properties["kernel_id"] }

// RamdiskID is the image of the initial ramdisk of an AMI; "" for none.
func (i Image) RamdiskID() string { return i.Properties["ramdisk_id"] }

// ImageMember is a project that a shared image is shared with.
type ImageMember struct {
	ImageID, ProjectID   string // ProjectID is the member
	Status               string // pending, accepted, rejected
	CreatedAt, UpdatedAt time.Time
}

// Key is the identity of a member.
func (m ImageMember) Key() string { return m.ImageID + "/" + m.ProjectID }

// ImageRef is what a node needs to fetch and use an image's data.
type ImageRef struct {
	ID          string
	Digest      string // of the bytes: "sha512:<hex>"
	Format      string // raw, qcow2, vmdk, vdi, vhd, vhdx, ova, iso, aki, ari, ami
	Size        int64  // bytes to fetch
	VirtualSize int64  // bytes of the disk it holds
}

// PropertySysprep asks, where it is "true", of an image that is made of a server that it
// has nothing that makes it that one server: no host keys, ids, logs, leases.
const PropertySysprep = "hearth_sysprep"

// Prepared tells whether the image is to be so, or is.
func (i Image) Prepared() bool { return strings.EqualFold(i.Properties[PropertySysprep], "true") }
