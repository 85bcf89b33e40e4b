package compute_test

import (
	"strings"
	"sync"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

func running(b *computetest.Bench) cloud.Server {
	b.T.Helper()
	s := b.Create(computetest.Member(), computetest.Request())
	b.Run(s.ID)
	return b.Server(s.ID)
}

func wants(t *testing.T, what string, err error, kind cloud.Kind, text string) {
	t.Helper()
	if !cloud.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %s: %s", what, err, kind, text)
	}
}

func TestAttachAndDetachVolume(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s, v := running(b), b.AddVolume(2)
	at, err := b.Compute.AttachVolume(ctx, a, s.ID, compute.VolumeAsk{VolumeID: v.ID, Tag: "data", DeleteOnTermination: true})
	b.Must(err)
	if at.Device != "/dev/vdb" || at.Tag != "data" || !at.Plug || !at.DeleteOnTermination || at.State != cloud.AttachmentAttaching || at.Host != "node-1" {
		t.Errorf("the attachment is %+v", at)
	}
	if now := b.Server(s.ID); now.Intent.Generation != s.Intent.Generation+1 || now.NextAttemptAt.After(b.Clock.Now()) {
		t.Errorf("the server's node would not be told: %+v", now.Intent)
	}
	err = b.Compute.DetachVolume(ctx, a, s.ID, v.ID)
	wants(t, "detach of what is not attached yet", err, cloud.Invalid, "must be 'in-use'")
	b.Plug(s.ID)
	b.Run(s.ID)
	d, err := b.Volume.Get(ctx, a.Caller, v.ID)
	b.Must(err)
	if d.Status != cloud.VolumeInUse {
		t.Errorf("the volume is %s", d.Status)
	}
	b.Must(b.Compute.DetachVolume(ctx, a, s.ID, v.ID))
	d, _ = b.Volume.Get(ctx, a.Caller, v.ID)
	if got := b.Attachments(s.ID); len(got) != 1 || !got[0].Detaching || d.Status != cloud.VolumeDetaching {
		t.Errorf("after the detach: %+v, %s", got, d.Status)
	}
	err = b.Compute.DetachVolume(ctx, a, s.ID, v.ID)
	wants(t, "a second detach", err, cloud.Invalid, "must be 'in-use'")
}

func TestAttachVolumeRefuses(t *testing.T) {
	b := computetest.New(t)
	ctx := t.Context()
	s, other, v, used := running(b), running(b), b.AddVolume(1), b.AddVolume(1)
	_, err := b.Compute.AttachVolume(ctx, computetest.Member(), other.ID, compute.VolumeAsk{VolumeID: used.ID, Device: "/dev/xvdc"})
	b.Must(err)
	b.Plug(other.ID)
	b.Run(other.ID)
	creating := b.AddVolume(1, func(v *cloud.Volume) { v.Seen.Ready = false })
	far := b.AddVolume(1, func(v *cloud.Volume) { v.Node = "node-9" })
	shared := b.AddVolume(1, func(v *cloud.Volume) { v.Multiattach = true })
	foreign := b.AddVolume(1, func(v *cloud.Volume) { v.ProjectID = computetest.Other })
	for _, c := range []struct {
		name, server string
		ask          compute.VolumeAsk
		change       func(*cloud.Server)
		kind         cloud.Kind
		text         string
	}{
		{"attached elsewhere", s.ID, compute.VolumeAsk{VolumeID: used.ID}, nil, cloud.Invalid, "is already attached to instances: " + other.ID},
		{"attached here", other.ID, compute.VolumeAsk{VolumeID: used.ID}, nil, cloud.Invalid, "is already attached to instances: " + other.ID},
		{"device in use", other.ID, compute.VolumeAsk{VolumeID: v.ID, Device: "/dev/vdc"}, nil, cloud.Conflict, "The supplied device path (/dev/vdc) is in use."},
		{"root device", s.ID, compute.VolumeAsk{VolumeID: v.ID, Device: "/dev/sda"}, nil, cloud.Conflict, "(/dev/sda) is in use."},
		{"no device", s.ID, compute.VolumeAsk{VolumeID: v.ID, Device: "vdb"}, nil, cloud.Invalid, "The supplied device path (vdb) is invalid."},
		{"being made", s.ID, compute.VolumeAsk{VolumeID: creating.ID}, nil, cloud.Invalid, "status must be available to reserve, but the current status is creating"},
		{"on another node", s.ID, compute.VolumeAsk{VolumeID: far.ID}, nil, cloud.Invalid, "node-9"},
		{"multiattach for old clients", s.ID, compute.VolumeAsk{VolumeID: shared.ID}, nil, cloud.Invalid, "compute API version 2.60"},
		{"another project's", s.ID, compute.VolumeAsk{VolumeID: foreign.ID}, nil, cloud.NotFound, foreign.ID + " could not be found"},
		{"locked", s.ID, compute.VolumeAsk{VolumeID: v.ID}, func(s *cloud.Server) { s.Locked = true }, cloud.Conflict, "is locked"},
		{"in error", s.ID, compute.VolumeAsk{VolumeID: v.ID}, func(s *cloud.Server) { s.Marked = true }, cloud.Conflict, "Cannot 'attach_volume' instance " + s.ID + " while it is in vm_state error"},
	} {
		was := b.Server(c.server)
		if c.change != nil {
			b.Update(func(tx *store.Tx) error {
				now := was
				c.change(&now)
				return tx.Servers.Update(now)
			})
		}
		_, err := b.Compute.AttachVolume(ctx, computetest.Member(), c.server, c.ask)
		wants(t, c.name, err, c.kind, c.text)
		b.Update(func(tx *store.Tx) error { return tx.Servers.Update(was) })
	}
}

// Of servers that ask for a volume at once one wins.
func TestAttachRace(t *testing.T) {
	b := computetest.New(t)
	v := b.AddVolume(1)
	var servers []cloud.Server
	for range 4 {
		servers = append(servers, running(b))
	}
	var wg sync.WaitGroup
	errs := make([]error, len(servers))
	for i, s := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, errs[i] = b.Compute.AttachVolume(t.Context(), computetest.Member(), s.ID, compute.VolumeAsk{VolumeID: v.ID})
		}()
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wants(t, "a loser", err, cloud.Invalid, "already attached")
		}
	}
	if won != 1 {
		t.Errorf("%d servers have the volume", won)
	}
}

func TestMultiattach(t *testing.T) {
	b := computetest.New(t)
	v := b.AddVolume(1, func(v *cloud.Volume) { v.Multiattach = true })
	one, two := running(b), running(b)
	for _, s := range []cloud.Server{one, two} {
		_, err := b.Compute.AttachVolume(t.Context(), computetest.Member(), s.ID, compute.VolumeAsk{VolumeID: v.ID, Multiattach: true})
		b.Must(err)
	}
	_, err := b.Compute.AttachVolume(t.Context(), computetest.Member(), one.ID, compute.VolumeAsk{VolumeID: v.ID, Multiattach: true})
	wants(t, "twice the same server", err, cloud.Invalid, "volume "+v.ID+" already attached")
}

func TestBootFromVolume(t *testing.T) {
	b := computetest.New(t)
	r := computetest.Request()
	r.ImageID = ""
	r.Devices = []compute.BlockDevice{
		{Source: "image", Destination: "volume", ID: computetest.ImageID, Size: 3, DeleteOnTermination: true},
		{Source: "blank", Destination: "volume", Size: 1, BootIndex: -1, Tag: "scratch"},
	}
	s := b.Create(computetest.Member(), r)
	if !s.VolumeBoot || s.ImageID != "" {
		t.Errorf("the server has VolumeBoot %v and image %q", s.VolumeBoot, s.ImageID)
	}
	d, err := b.Compute.Server(t.Context(), computetest.Member().Caller, s.ID)
	b.Must(err)
	if len(d.Volumes) != 2 || !d.Volumes[0].Boot || d.Volumes[0].Device != "/dev/vda" || d.Volumes[1].Device != "/dev/vdb" || d.Volumes[1].Tag != "scratch" {
		t.Fatalf("its volumes: %+v", d.Volumes)
	}
	v, err := b.Volume.Get(t.Context(), computetest.Member().Caller, d.Volumes[0].VolumeID)
	b.Must(err)
	if v.SizeGB != 3 || v.Image == nil || v.Image.ID != computetest.ImageID || v.NextAttemptAt.IsZero() || !v.Bootable {
		t.Errorf("the boot volume: %+v", v.Volume)
	}
	b.MakeVolume(v.ID)
	b.Run(s.ID)
	b.Plug(s.ID)
	err = b.Compute.DetachVolume(t.Context(), computetest.Member(), s.ID, v.ID)
	wants(t, "detach of the root", err, cloud.Invalid, "Cannot detach a root device volume")
}

func TestDevicesRefused(t *testing.T) {
	b := computetest.New(t)
	unbootable, used := b.AddVolume(1), b.AddVolume(1, func(v *cloud.Volume) { v.Bootable, v.Reserved = true, true })
	image := compute.BlockDevice{Source: "image", Destination: "local", ID: computetest.ImageID}
	blank := func(change func(*compute.BlockDevice)) compute.BlockDevice {
		d := compute.BlockDevice{Source: "blank", Destination: "volume", Size: 1, BootIndex: -1}
		change(&d)
		return d
	}
	for _, c := range []struct {
		name    string
		image   string
		max     int
		devices []compute.BlockDevice
		text    string
	}{
		{"no root", computetest.ImageID, 1, []compute.BlockDevice{blank(func(*compute.BlockDevice) {})}, "Boot sequence for the instance"},
		{"two roots", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.BootIndex = 0 })}, "Boot sequence for the instance"},
		{"a gap in the order", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.BootIndex = 2 })}, "Boot sequence for the instance"},
		{"blank with an id", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.ID = "x" })}, "Invalid device UUID."},
		{"no id", "", 1, []compute.BlockDevice{{Source: "volume"}}, "Missing device UUID."},
		{"no source", "", 1, []compute.BlockDevice{{Destination: "volume"}}, "Some required fields are missing"},
		{"blank without a size", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.Size = 0 })}, "need to have non-zero size"},
		{"image without a size", "", 1, []compute.BlockDevice{{Source: "image", Destination: "volume", ID: computetest.ImageID}}, "Images with destination_type 'volume' need to have a non-zero size specified"},
		{"image to local", "", 1, []compute.BlockDevice{image}, "Mapping image to local is not supported."},
		{"typed local", computetest.ImageID, 1, []compute.BlockDevice{image, {Source: "blank", Destination: "local", VolumeType: "x", BootIndex: -1}}, "Specifying a volume_type with destination_type=local is not supported."},
		{"typed volume", "", 1, []compute.BlockDevice{{Source: "volume", ID: unbootable.ID, VolumeType: "x"}}, "Specifying volume type to existing volume is not supported."},
		{"unknown type", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.VolumeType = "none" })}, "Volume type none could not be found."},
		{"big ephemeral", computetest.ImageID, 1, []compute.BlockDevice{image, {Source: "blank", Destination: "local", Size: 5, BootIndex: -1}}, "Ephemeral disks requested are larger"},
		{"big swap", computetest.ImageID, 1, []compute.BlockDevice{image, {Source: "blank", Destination: "local", GuestFormat: "swap", Size: 5, BootIndex: -1}}, "Swap drive requested is larger"},
		{"two swaps", computetest.ImageID, 1, []compute.BlockDevice{image, {Source: "blank", Destination: "local", GuestFormat: "swap", BootIndex: -1}, {Source: "blank", Destination: "local", GuestFormat: "swap", BootIndex: -1}}, "More than one swap drive requested."},
		{"as root", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.Device = "vda" })}, "same device name as the root device vda"},
		{"not bootable", "", 1, []compute.BlockDevice{{Source: "volume", ID: unbootable.ID}}, "Block Device " + unbootable.ID + " is not bootable."},
		{"not free", "", 1, []compute.BlockDevice{{Source: "volume", ID: used.ID}}, "status must be available to reserve"},
		{"one volume for two", "", 2, []compute.BlockDevice{{Source: "volume", ID: unbootable.ID}}, "Cannot attach one or more volumes to multiple instances"},
		{"no such snapshot", "", 1, []compute.BlockDevice{{Source: "snapshot", ID: unbootable.ID}}, "failed to get snapshot " + unbootable.ID},
		{"no such image", "", 1, []compute.BlockDevice{{Source: "image", Destination: "volume", ID: unbootable.ID, Size: 1}}, "failed to get image " + unbootable.ID},
		{"strange bus", computetest.ImageID, 1, []compute.BlockDevice{image, blank(func(d *compute.BlockDevice) { d.Bus = "fdc" })}, "The provided disk bus fdc is not valid"},
	} {
		r := computetest.Request()
		r.ImageID, r.ImageNamed, r.Max, r.Devices = c.image, c.image != "", c.max, c.devices
		_, err := b.Compute.Create(t.Context(), computetest.Member(), r)
		wants(t, c.name, err, cloud.Invalid, c.text)
	}
	if n := b.Counts().Servers; n != 0 {
		t.Errorf("%d servers were made", n)
	}
	r := computetest.Request() // with an image named beside it an empty volume will do
	r.ImageNamed, r.Devices = true, []compute.BlockDevice{{Source: "volume", ID: unbootable.ID}}
	if _, err := b.Compute.Create(t.Context(), computetest.Member(), r); err != nil {
		t.Errorf("an empty volume beside an image: %v", err)
	}
}

// An image of a server that boots from a volume names snapshots, and a server of
// that image has volumes made of them.
func TestImageOfVolumes(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	r := computetest.Request()
	r.ImageID, r.Devices = "", []compute.BlockDevice{{Source: "image", Destination: "volume", ID: computetest.ImageID, Size: 3, DeleteOnTermination: true}}
	s := b.Create(a, r)
	b.MakeVolume(b.Attachments(s.ID)[0].VolumeID)
	b.Run(s.ID)
	b.Plug(s.ID)
	id, err := b.Compute.CreateImage(ctx, a, s.ID, "backup", nil)
	b.Must(err)
	image, err := b.Compute.ImageByID(ctx, a.Caller, id)
	b.Must(err)
	if image.Status != cloud.ImageActive || image.Size != 0 || image.ContainerFormat != "" || !strings.Contains(image.Properties["block_device_mapping"], `"boot_index":0`) {
		t.Fatalf("the image is %+v", image)
	}
	var snaps []cloud.Snapshot
	b.Update(func(tx *store.Tx) (err error) {
		if snaps, err = tx.Snapshots.List(store.Query{}); err != nil || len(snaps) != 1 {
			t.Fatalf("snapshots %+v, %v", snaps, err)
		}
		snaps[0].Seen.Ready = true
		return tx.Snapshots.Update(snaps[0])
	})
	r = computetest.Request()
	r.ImageID, r.ImageNamed = id, true
	again := b.Create(a, r)
	if at := b.Attachments(again.ID); !again.VolumeBoot || len(at) != 1 || !at[0].Boot || !at[0].DeleteOnTermination {
		t.Fatalf("a server of the image: boots from a volume %v, %+v", again.VolumeBoot, at)
	}
	v, err := b.Volume.Get(ctx, a.Caller, b.Attachments(again.ID)[0].VolumeID)
	b.Must(err)
	if v.SnapshotID != snaps[0].ID || v.SizeGB != 3 {
		t.Errorf("its volume is %+v", v.Volume)
	}
}

func TestAttachInterface(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s := running(b)
	d, port, err := b.Compute.AttachInterface(ctx, a, s.ID, compute.NetworkAsk{NetworkID: b.Net.ID, Tag: "inner"})
	b.Must(err)
	if len(d.Ports) != 2 || d.Ports[1].ID != port || d.Ports[1].Host != "node-1" || d.NICTags[port] != "inner" || d.Intent.Generation != s.Intent.Generation+1 {
		t.Errorf("after the attach: %+v, tags %v", d.Ports, d.NICTags)
	}
	_, _, err = b.Compute.AttachInterface(ctx, a, s.ID, compute.NetworkAsk{NetworkID: b.Net.ID, FixedIP: d.Ports[0].FixedIPs[0].IP})
	wants(t, "an address in use", err, cloud.Conflict, "is already in use on instance "+s.ID)
	_, _, err = b.Compute.AttachInterface(ctx, a, s.ID, compute.NetworkAsk{PortID: port})
	wants(t, "a port in use", err, cloud.Conflict, "Port "+port+" is still in use.")
	_, _, err = b.Compute.AttachInterface(ctx, a, s.ID, compute.NetworkAsk{PortID: s.ID})
	wants(t, "no port", err, cloud.NotFound, "Port id "+s.ID+" could not be found.")
	_, _, err = b.Compute.AttachInterface(ctx, a, s.ID, compute.NetworkAsk{NetworkID: s.ID})
	wants(t, "no network", err, cloud.NotFound, "Network "+s.ID+" could not be found.")
	b.Must(b.Compute.AddFixedIP(ctx, a, s.ID, b.Net.ID))
	d, err = b.Compute.Server(ctx, a.Caller, s.ID)
	b.Must(err)
	if len(d.Ports[0].FixedIPs) != 2 {
		t.Fatalf("after addFixedIp: %v", d.Ports[0].FixedIPs)
	}
	b.Must(b.Compute.RemoveFixedIP(ctx, a, s.ID, d.Ports[0].FixedIPs[1].IP))
	err = b.Compute.RemoveFixedIP(ctx, a, s.ID, d.Ports[0].FixedIPs[1].IP)
	wants(t, "an address that it has not", err, cloud.Invalid, "does not have fixed IP")
	b.Must(b.Compute.DetachInterface(ctx, a, s.ID, port))
	d, err = b.Compute.Server(ctx, a.Caller, s.ID)
	b.Must(err)
	if len(d.Ports) != 1 || len(d.PortOrder) != 1 || len(d.NICTags) != 0 || len(d.Ports[0].FixedIPs) != 1 {
		t.Errorf("after the detach: %+v, %v, %v", d.Ports, d.PortOrder, d.NICTags)
	}
	wants(t, "a second detach", b.Compute.DetachInterface(ctx, a, s.ID, port), cloud.NotFound, "could not be found")
}
