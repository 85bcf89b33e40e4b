package compute_test

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

func TestSwapVolume(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s, one, two := running(b), b.AddVolume(1), b.AddVolume(2)
	_, err := b.Compute.AttachVolume(ctx, a, s.ID, compute.VolumeAsk{VolumeID: one.ID, Tag: "data"})
	b.Must(err)
	b.Plug(s.ID)
	b.Run(s.ID)
	for name, c := range map[string]struct {
		from, to string
		kind     cloud.Kind
		text     string
	}{
		"smaller":      {one.ID, b.AddVolume(1, func(v *cloud.Volume) { v.SizeGB = 0 }).ID, cloud.Invalid, "same size or larger"},
		"itself":       {one.ID, one.ID, cloud.Invalid, "must be detached"},
		"not attached": {two.ID, one.ID, cloud.NotFound, "is not attached"},
		"unknown":      {one.ID, s.ID, cloud.Invalid, "could not be found"},
		"far away":     {one.ID, b.AddVolume(1, func(v *cloud.Volume) { v.Node = "node-9" }).ID, cloud.Invalid, "node-9"},
	} {
		wants(t, name, b.Compute.SwapVolume(ctx, a, s.ID, c.from, c.to), c.kind, c.text)
	}
	was := b.Server(s.ID).Intent.Generation
	b.Must(b.Compute.SwapVolume(ctx, a, s.ID, one.ID, two.ID))
	at := b.Attachments(s.ID)
	i := slices.IndexFunc(at, func(a cloud.VolumeAttachment) bool { return a.VolumeID == two.ID })
	if len(at) != 2 || at[i].Swaps != one.ID || at[i].Device != "/dev/vdb" || at[i].Tag != "data" || !at[1-i].Detaching || b.Server(s.ID).Intent.Generation != was+1 {
		t.Errorf("%+v", at)
	}
	d, err := b.Compute.Server(ctx, a.Caller, s.ID)
	b.Must(err)
	if len(d.Volumes) != 1 || d.Volumes[0].VolumeID != one.ID {
		t.Errorf("before it is done the server shows %+v", d.Volumes)
	}
	wants(t, "again", b.Compute.SwapVolume(ctx, a, s.ID, one.ID, b.AddVolume(1).ID), cloud.Invalid, "must be 'in-use'")
}

// bootedFrom is a running server that boots from a volume of the image.
func bootedFrom(b *computetest.Bench) (cloud.Server, cloud.VolumeAttachment) {
	b.T.Helper()
	r := computetest.Request()
	r.ImageID, r.Devices = "", []compute.BlockDevice{{Source: "image", Destination: "volume", ID: computetest.ImageID, Size: 3}}
	s := b.Create(computetest.Member(), r)
	b.MakeVolume(b.Attachments(s.ID)[0].VolumeID)
	b.Run(s.ID)
	b.Plug(s.ID)
	return b.Server(s.ID), b.Attachments(s.ID)[0]
}

func (p properties) set(b *computetest.Bench) {
	b.T.Helper()
	b.Update(func(tx *store.Tx) error {
		img, err := tx.Images.Get(computetest.ImageID)
		if err != nil {
			return err
		}
		img.Properties = p
		return tx.Images.Update(img)
	})
}

type properties map[string]string

func TestStableRescue(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s, _ := bootedFrom(b)
	wants(t, "without a word of how", b.Compute.Rescue(ctx, a, s.ID, computetest.ImageID, true), cloud.Invalid, "Cannot rescue a volume-backed instance")
	properties{"hw_rescue_device": "floppy", "hw_rescue_bus": "virtio"}.set(b)
	wants(t, "a floppy", b.Compute.Rescue(ctx, a, s.ID, computetest.ImageID, true), cloud.Invalid, "hw_rescue_device")
	properties{"hw_rescue_device": "cdrom", "hw_rescue_bus": "virtio"}.set(b)
	wants(t, "a cdrom on virtio", b.Compute.Rescue(ctx, a, s.ID, computetest.ImageID, true), cloud.Invalid, "hw_rescue_bus")
	properties{"hw_rescue_device": "disk", "hw_rescue_bus": "usb"}.set(b)
	wants(t, "an older client", b.Compute.Rescue(ctx, a, s.ID, computetest.ImageID, false), cloud.Invalid, "Cannot rescue a volume-backed instance")
	b.Must(b.Compute.Rescue(ctx, a, s.ID, computetest.ImageID, true))
	if now := b.Server(s.ID); now.Rescue == nil || now.RescueAs == nil || *now.RescueAs != (cloud.RescueAs{Device: "disk", Bus: "usb"}) || now.Intent.Disk.Why != cloud.DiskRescue {
		t.Errorf("%+v, %+v", now.Rescue, now.RescueAs)
	}
}

func TestRebuildOfABootVolume(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s, at := bootedFrom(b)
	properties{"os_distro": "another"}.set(b)
	_, err := b.Compute.Rebuild(ctx, a, s.ID, compute.RebuildRequest{ImageID: computetest.ImageID, Reimage: true})
	b.Must(err)
	now := b.Server(s.ID)
	if now.Reimaged == 0 || now.Reimaged != now.Intent.Disk.Turn || now.Image.ID != computetest.ImageID {
		t.Errorf("turn %+v, reimaged %d, image %+v", now.Intent.Disk, now.Reimaged, now.Image)
	}
	v, err := b.Volume.Get(ctx, a.Caller, at.VolumeID)
	b.Must(err)
	if v.ImageMetadata["os_distro"] != "another" {
		t.Errorf("%v", v.ImageMetadata)
	}
}

func TestSetPassword(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	plain := running(b)
	wants(t, "no agent promised", b.Compute.SetPassword(ctx, a, plain.ID, "secret"), cloud.Conflict, "guest agent is not enabled")
	properties{"hw_qemu_guest_agent": "yes"}.set(b)
	s := running(b)
	b.Must(b.Compute.SetPassword(ctx, a, s.ID, "secret"))
	if !slices.Equal(b.Passwords, []string{s.ID + "=secret"}) {
		t.Errorf("%v", b.Passwords)
	}
	properties{"hw_qemu_guest_agent": "yes", "os_admin_user": "boss"}.set(b)
	s = running(b)
	wants(t, "an agent that is silent", b.Compute.SetPassword(ctx, a, s.ID, "secret"), cloud.Unsupported, "does not answer")
}
