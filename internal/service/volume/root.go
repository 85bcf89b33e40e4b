package volume

import "hearth/internal/cloud"

// ServerRoot is the root disk of a server that is off, which a volume is made from.
type ServerRoot struct {
	ServerID, Node, Disk string            // Disk is its name on the node
	SizeGB               int               // what it takes at least
	ImageMetadata        map[string]string // of the image that it was made from
}

// source has the volume be where the disk is.
func (r ServerRoot) source(op string, v *cloud.Volume) error {
	v.RootOf, v.RootDisk, v.Node, v.Bootable, v.ImageMetadata = r.ServerID, r.Disk, r.Node, true, r.ImageMetadata
	return atLeast(op, "root disk", r.SizeGB, v)
}
