package instance

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// TestInstallFromCD: the firmware tries the empty volume, then the CD-ROMs in their
// order; rescued, it tries none of them.
func TestInstallFromCD(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec := w.spec()
	boot, cd := w.volume("v1"), w.volume("v2")
	boot.Boot, cd.CDROM, cd.ReadOnly, cd.BootIndex = true, true, true, 1
	iso := w.images.add("an installer")
	spec.Image, spec.Kernel, spec.Volumes = cloud.ImageRef{}, nil, []cloud.InstanceVolume{boot, cd}
	spec.CDs = []cloud.InstanceCD{{Image: iso, Bus: "scsi", BootIndex: 2}}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	disks := func() map[string]hypervisor.Disk {
		cfg, _ := w.host.Guest(spec.ID)
		all := map[string]hypervisor.Disk{}
		for _, d := range cfg.Disks {
			all[d.ID] = d
		}
		return all
	}
	all := disks()
	if v := all["vol-v2"]; !v.CDROM || !v.ReadOnly || v.Bus != hypervisor.BusIDE || v.BootIndex != 2 || all["vol-v1"].BootIndex != 1 {
		t.Errorf("%+v", all)
	}
	if d := all["cd0"]; !d.CDROM || !d.ReadOnly || d.Bus != hypervisor.BusSCSI || d.BootIndex != 3 || d.Format != hypervisor.FormatRaw {
		t.Errorf("%+v", d)
	}
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRescue, true) })
	spec.Image = w.images.add("rescue")
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	for id, d := range disks() {
		if d.BootIndex > 0 != (id == rootDisk) {
			t.Errorf("rescued, %s is tried: %+v", id, d)
		}
	}
}

// TestVideo: the image's card if it is there, VGA where a boot loader is seen on it,
// and after a nap the card that was there before.
func TestVideo(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec := w.spec()
	spec.Kernel = nil
	card := func() string {
		cfg, _ := w.host.Guest(spec.ID)
		return cfg.Video
	}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	if card() != "vga" {
		t.Errorf("a disk's guest has the card %q", card())
	}
	for _, c := range []struct {
		asked, want string
		direct      bool
	}{{"virtio", "virtio", false}, {"none", "", false}, {"cirrus", "cirrus", true}, {"", "", true}} {
		worker := &worker{m: m}
		s := spec
		s.ImageProperties = map[string]string{imageVideo: c.asked}
		if c.direct {
			s.Kernel = &cloud.ImageRef{}
		}
		if got, err := worker.video(t.Context(), s); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		worker.rec.Saved, worker.rec.Video = true, "cirrus"
		if got, err := worker.video(t.Context(), s); got != "cirrus" || err != nil {
			t.Errorf("saved, %+v: %q, %v", c, got, err)
		}
	}
	for _, asked := range []string{"qxl", "vmvga"} { // the fake's host lacks the one, Hearth the other
		s := spec
		s.ImageProperties = map[string]string{imageVideo: asked}
		if _, err := (&worker{m: m}).video(t.Context(), s); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", asked, err)
		}
	}
	if !slices.Contains(hypervisor.Videos, "qxl") {
		t.Error("qxl is not known")
	}
}
