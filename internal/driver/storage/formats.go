package storage

import "hearth/internal/cloud"

// AsIs tells whether guests use the bytes of an image as they are: else a driver makes
// them raw first. The formats of other hypervisors are converted as qcow2 is.
// Unsupported for formats that no guest boots from.
func AsIs(ref cloud.ImageRef) (bool, error) {
	switch ref.Format {
	case "raw", "ami", "aki", "ari", "iso":
		return true, nil
	case "qcow2", "vmdk", "vdi", "vhd", "vhdx", cloud.ContainerOVA:
		return false, nil
	}
	return false, cloud.E("storage.EnsureImage", cloud.Unsupported, "image %s has the format %q, which this node cannot boot from: convert it to qcow2 or raw", ref.ID, ref.Format)
}
