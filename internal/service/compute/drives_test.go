package compute_test

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

const isoID = "iso"

// withISO is a bench with the image of a CD-ROM, and a request for a server that is
// installed by it.
func withISO(t *testing.T) (*computetest.Bench, cloud.Volume) {
	b := computetest.New(t)
	b.Update(func(tx *store.Tx) error {
		for _, format := range []string{"iso", "qcow2"} {
			i := cloud.Image{ID: format, Name: format, Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, ContainerFormat: "bare", DiskFormat: format,
				Size: 5 << 20, VirtualSize: 5 << 20, Digest: "sha512:" + strings.Repeat("0", 128)}
			if err := tx.Images.Put(i); err != nil {
				return err
			}
		}
		return nil
	})
	return b, b.AddVolume(10, func(v *cloud.Volume) { v.Bootable = false })
}

func installRequest(devices ...compute.BlockDevice) compute.CreateRequest {
	r := computetest.Request()
	r.ImageID, r.ImageNamed, r.Devices = "", true, devices
	return r
}

// TestInstallFromCD: an empty volume boots beside a CD-ROM that comes after it, be that
// a volume or the image itself.
func TestInstallFromCD(t *testing.T) {
	b, blank := withISO(t)
	a := computetest.Member()
	root := compute.BlockDevice{Source: "volume", Destination: "volume", ID: blank.ID}
	cd := compute.BlockDevice{Source: "image", Destination: "volume", ID: isoID, Size: 1, Type: "cdrom", Bus: "sata", BootIndex: 1}
	data := compute.BlockDevice{Source: "blank", Destination: "volume", Size: 1, BootIndex: -1}
	s := b.Create(a, installRequest(root, cd, data))
	at := b.Attachments(s.ID)
	byDevice := map[string]cloud.VolumeAttachment{}
	for _, x := range at {
		byDevice[x.Device] = x
	}
	hda := byDevice["/dev/hda"]
	if !hda.CDROM || hda.Bus != "ide" || hda.BootIndex != 1 || hda.Boot || !byDevice["/dev/vda"].Boot || byDevice["/dev/vda"].VolumeID != blank.ID {
		t.Errorf("%+v", at)
	}
	if d := byDevice["/dev/vdb"]; len(at) != 3 || d.CDROM || d.BootIndex != 0 {
		t.Errorf("the CD-ROM takes a disk's name: %+v", at)
	}

	local := compute.BlockDevice{Source: "image", Destination: "local", ID: isoID, Type: "cdrom", BootIndex: 1}
	s = b.Create(a, installRequest(compute.BlockDevice{Source: "blank", Destination: "volume", Size: 10}, local))
	if len(s.CDs) != 1 || s.CDs[0].Image.ID != isoID || s.CDs[0].Bus != "ide" || s.CDs[0].BootIndex != 1 || len(b.Attachments(s.ID)) != 1 || !s.VolumeBoot {
		t.Errorf("%+v, %+v", s.CDs, b.Attachments(s.ID))
	}
}

func TestInstallRefuses(t *testing.T) {
	b, blank := withISO(t)
	root := compute.BlockDevice{Source: "volume", Destination: "volume", ID: blank.ID}
	cd := func(change func(*compute.BlockDevice)) compute.BlockDevice {
		d := compute.BlockDevice{Source: "image", Destination: "local", ID: isoID, Type: "cdrom", BootIndex: 1}
		change(&d)
		return d
	}
	before := b.Counts()
	for _, c := range []struct {
		name    string
		devices []compute.BlockDevice
		words   string
	}{
		{"alone", []compute.BlockDevice{root}, "is not bootable"},
		{"never tried", []compute.BlockDevice{root, cd(func(d *compute.BlockDevice) { d.BootIndex = -1 })}, "is not bootable"},
		{"a gap", []compute.BlockDevice{root, cd(func(d *compute.BlockDevice) { d.BootIndex = 2 })}, "Boot sequence"},
		{"first of all", []compute.BlockDevice{cd(func(d *compute.BlockDevice) { d.BootIndex = 0 })}, "is not the first to boot from"},
		{"no disc", []compute.BlockDevice{root, {Source: "blank", Destination: "local", Type: "cdrom", BootIndex: 1}}, "a drive without one"},
		{"bus", []compute.BlockDevice{root, cd(func(d *compute.BlockDevice) { d.Bus = "virtio" })}, "disk bus virtio"},
		{"no such image", []compute.BlockDevice{root, cd(func(d *compute.BlockDevice) { d.ID = "none" })}, "failed to get image none."},
		{"no disc's image", []compute.BlockDevice{root, cd(func(d *compute.BlockDevice) { d.ID = "qcow2" })}, "iso or raw, not qcow2"},
		{"floppy", []compute.BlockDevice{root, {Source: "volume", Destination: "volume", ID: "x", Type: "floppy", BootIndex: 1}}, "there are disk and cdrom"},
		{"a disk that is an image", []compute.BlockDevice{root, {Source: "image", Destination: "local", ID: isoID, BootIndex: 1}}, "Mapping image to local"},
	} {
		_, err := b.Compute.Create(t.Context(), computetest.Member(), installRequest(c.devices...))
		wants(t, c.name, err, cloud.Invalid, c.words)
	}
	if got := b.Counts(); got != before {
		t.Errorf("rows were left behind: %+v, before %+v", got, before)
	}
}
