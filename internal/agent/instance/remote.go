package instance

import (
	"context"
	"fmt"

	"hearth/internal/cloud"
	"hearth/internal/disk/luks"
	"hearth/internal/driver/hypervisor"
)

// remoteDisk describes a volume that another node keeps as a disk of the guest.
func (w *worker) remoteDisk(v cloud.InstanceVolume, bus string) (hypervisor.Disk, error) {
	if !w.m.Identity.Known() {
		return hypervisor.Disk{}, cloud.E("instance.volume", cloud.Unsupported, "volume %s is on the node %s, and this one has no certificate to get it by", v.VolumeID, v.Source.Node)
	}
	if !v.Source.Address.IsValid() {
		return hypervisor.Disk{}, cloud.E("instance.volume", cloud.NotFound, "volume %s is on the node %s, which does not give it to others: see 'hearth explain volume %s'", v.VolumeID, v.Source.Node, v.VolumeID)
	}
	return hypervisor.Disk{
		ID: volumeDevice(v.VolumeID), Format: hypervisor.FormatRaw, Bus: bus, Serial: volumeSerial(v.VolumeID), ReadOnly: v.ReadOnly || v.CDROM, CDROM: v.CDROM, Key: v.Key,
		Remote: &hypervisor.Remote{Address: v.Source.Address, Name: v.Source.Export, Peer: v.Source.Node, Identity: w.m.Identity},
	}, nil
}

// grown tells whether the guest has yet to see that a volume of another node is larger.
func grown(v cloud.InstanceVolume, has hypervisor.Device) bool {
	return v.Source.Node != "" && has.Size < v.Bytes(ownBytes(v))
}

// showGrown has the guest see it.
func (w *worker) showGrown(ctx context.Context, v cloud.InstanceVolume) error {
	w.m.Hook("instance.grown.before")
	return w.guest.ResizeDisk(ctx, volumeDevice(v.VolumeID), v.Bytes(ownBytes(v)))
}

// ownBytes is how much of a volume's disk its guest does not see.
func ownBytes(v cloud.InstanceVolume) int64 {
	if v.Key != "" {
		return luks.HeaderSize
	}
	return 0
}

// sourceFact tells where a volume of another node is.
func sourceFact(v cloud.InstanceVolume) cloud.Fact {
	return cloud.Fact{Topic: "volume " + v.VolumeID, Value: fmt.Sprintf("%s on the node %s, by NBD from %s", v.Source.Export, v.Source.Node, v.Source.Address)}
}
