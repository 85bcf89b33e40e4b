package compute

import (
	"context"
	"maps"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// RootToVolumeRequest says what volume a root disk becomes.
type RootToVolumeRequest struct {
	SizeGB              int    // 0 for that of the disk
	Type                string // of the volume, an id or a name; "" for the default
	DeleteOnTermination bool
}

// RootToVolume has the root disk of a server that is off become a volume: its node
// copies the disk, and when the copy is whole the server boots from it and its disk
// goes. A copy that fails leaves the server as it was. It gives the volume's id.
// Conflict for a server that runs; Invalid for one that boots from a volume already.
func (s *Service) RootToVolume(ctx context.Context, a Actor, id string, r RootToVolumeRequest) (volumeID string, err error) {
	const op = "compute.RootToVolume"
	_, err = s.act(ctx, op, a, id, "hearthRootToVolume", []string{cloud.VMStopped}, func(tx *store.Tx, v *cloud.Server) error {
		switch {
		case v.VolumeBoot:
			return cloud.E(op, cloud.Invalid, "Instance %s boots from a volume already.", v.ID)
		case v.Node == "":
			return cloud.E(op, cloud.Conflict, "Instance %s is on no host", v.ID)
		}
		made, err := s.volumes.CreateTx(tx, a.Caller, volume.Wanted{
			Name: v.Name + "-root", SizeGB: r.SizeGB, Type: r.Type, Root: &volume.ServerRoot{
				ServerID: v.ID, Node: v.Node, Disk: cloud.ServerRootDisk(v.ID, v.Intent.Disk.Turn), SizeGB: rootSize(*v), ImageMetadata: rootMetadata(tx, *v),
			},
		}, nil)
		if err != nil {
			return asInvalid(op, err)
		}
		// Until the copy is whole, what is made of it goes with the server.
		_, err = s.volumes.PlugTx(tx, a.Caller, volume.Plug{
			VolumeID: made.ID, ServerID: v.ID, Node: v.Node, Device: RootDevice, Boot: true, DeleteOnTerm: true, Made: true,
		})
		volumeID, v.ToVolume = made.ID, &cloud.ToVolume{VolumeID: made.ID, DeleteOnTermination: r.DeleteOnTermination}
		return err
	})
	return volumeID, err
}

// rootSize is what a server's root disk takes, in GB.
func rootSize(v cloud.Server) int {
	f := cloud.Flavor{RootGB: v.Flavor.RootGB}
	return schedule.SizeOf(cloud.Server{Flavor: f, Image: v.Image}).DiskGB
}

// rootMetadata is what a volume made of a server's root disk remembers of the
// image, as cinder has it of a volume made of an image.
func rootMetadata(tx *store.Tx, v cloud.Server) map[string]string {
	m := maps.Clone(v.ImageProperties)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, map[string]string{
		"image_id": v.ImageID, "image_name": "", "checksum": "", "container_format": "bare", "disk_format": v.Image.Format,
		"min_disk": "0", "min_ram": "0", "size": strconv.FormatInt(v.Image.Size, 10),
	})
	if image, err := tx.Images.Get(v.ImageID); err == nil {
		m["image_name"], m["checksum"], m["container_format"] = image.Name, image.Checksum, image.ContainerFormat
	}
	return m
}
