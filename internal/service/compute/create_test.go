package compute_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

// TestCreateWrites holds all that a create writes against what was asked for.
func TestCreateWrites(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	_, _, err := b.Compute.CreateKeypair(t.Context(), a.Caller, compute.KeypairRequest{Name: "me", PublicKey: edKey})
	b.Must(err)
	r := computetest.Request()
	r.Name, r.KeyName, r.UserData, r.Metadata, r.Tags = "My Server.1", "me", []byte("#!/bin/sh\n"), map[string]string{"a": "b"}, []string{"y", "x", "y"}
	r.ImageID, r.Hints = computetest.AMIID, map[string][]string{"different_host": {"x"}}
	before := b.Counts()
	made, err := b.Compute.Create(t.Context(), a, r)
	b.Must(err)
	if got, want := b.Counts(), (computetest.Counts{Servers: before.Servers + 1, Ports: before.Ports + 1, Actions: before.Actions + 1}); got != want {
		t.Errorf("rows: %+v, want %+v", got, want)
	}
	s := b.Server(made.Servers[0].ID)
	now := b.Clock.Now()
	want := cloud.Server{
		ID: s.ID, Name: "My Server.1", ProjectID: computetest.Project, UserID: a.UserID, Hostname: "my-server-1", ImageID: computetest.AMIID,
		Image:      cloud.ImageRef{ID: computetest.AMIID, Digest: "sha512:" + computetest.AMIID, Format: "ami", Size: 10 << 20, VirtualSize: 100 << 20},
		Kernel:     &cloud.ImageRef{ID: computetest.AKIID, Digest: "sha512:" + computetest.AKIID, Format: "aki", Size: 10 << 20, VirtualSize: 100 << 20},
		Ramdisk:    &cloud.ImageRef{ID: computetest.ARIID, Digest: "sha512:" + computetest.ARIID, Format: "ari", Size: 10 << 20, VirtualSize: 100 << 20},
		KernelArgs: "root=/dev/vda", ImageProperties: map[string]string{"kernel_id": computetest.AKIID, "ramdisk_id": computetest.ARIID, "os_command_line": "root=/dev/vda"},
		UserData: []byte("#!/bin/sh\n"), Metadata: map[string]string{"a": "b"}, Tags: []string{"x", "y"}, DiskConfig: "MANUAL",
		SchedulerHints: map[string][]string{"different_host": {"x"}}, Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn},
		CreatedAt: now, UpdatedAt: now, NextAttemptAt: now, ReservationID: made.ReservationID,
		Flavor: s.Flavor, Key: s.Key, SecurityGroups: s.SecurityGroups, PortOrder: s.PortOrder,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if s.Flavor.Name != "m1.tiny" || s.Key.PublicKey != edKey || len(s.SecurityGroups) != 1 || s.Status() != "BUILD" || s.TaskState() != cloud.TaskScheduling {
		t.Errorf("flavor %s, key %+v, groups %v, %s", s.Flavor.Name, s.Key, s.SecurityGroups, s.Status())
	}
	d, err := b.Compute.Server(t.Context(), a.Caller, s.ID)
	b.Must(err)
	p := d.Ports[0]
	if len(d.Ports) != 1 || p.DeviceID != s.ID || p.DeviceOwner != "compute:nova" || p.Host != "" || p.NetworkID != b.Net.ID || p.Network != "private" ||
		p.DNSName != "my-server-1" || !netip.MustParsePrefix("10.0.0.0/24").Contains(p.FixedIPs[0].IP) || d.Groups[0] != "default" || s.PortOrder[0] != p.ID {
		t.Errorf("port: %+v, groups %v", p, d.Groups)
	}
	acts, err := b.Compute.Actions(t.Context(), a.Caller, s.ID, false)
	b.Must(err)
	if len(acts) != 1 || acts[0].Action != "create" || acts[0].RequestID != a.RequestID {
		t.Errorf("history: %+v", acts)
	}
}

// TestCreateRefuses goes through what a create is refused for. Nothing may be
// left behind.
func TestCreateRefuses(t *testing.T) {
	b := computetest.New(t)
	other := b.AddNetwork(computetest.Other, "theirs", netip.MustParsePrefix("10.9.0.0/24"))
	b.Update(func(tx *store.Tx) error {
		for _, i := range []cloud.Image{
			{ID: "queued", Status: cloud.ImageQueued, Visibility: cloud.VisibilityPublic},
			{ID: "private", Status: cloud.ImageActive, Visibility: cloud.VisibilityPrivate, ProjectID: computetest.Other},
			{ID: "shared", Status: cloud.ImageActive, Visibility: cloud.VisibilityShared, ProjectID: computetest.Other},
			{ID: "big", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, DiskFormat: "raw", VirtualSize: 2 << 30},
			{ID: "ram", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, MinRAMMB: 1024},
			{ID: "mindisk", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, MinDiskGB: 2},
			{ID: "nokernel", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, DiskFormat: "ami"},
			{ID: "badkernel", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, DiskFormat: "ami", Properties: map[string]string{"kernel_id": computetest.ImageID}},
			{ID: "gonekernel", Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, DiskFormat: "ami", Properties: map[string]string{"kernel_id": "none"}},
		} {
			if err := tx.Images.Put(i); err != nil {
				return err
			}
		}
		return nil
	})
	before := b.Counts()
	for _, c := range []struct {
		name   string
		change func(*compute.CreateRequest)
		kind   cloud.Kind
		words  string
	}{
		{"no flavor", func(r *compute.CreateRequest) { r.FlavorID = "99" }, cloud.Invalid, "Flavor 99 could not be found."},
		{"no image", func(r *compute.CreateRequest) { r.ImageID = "99" }, cloud.Invalid, "Can not find requested image"},
		{"no image named", func(r *compute.CreateRequest) { r.ImageID = "" }, cloud.Invalid, "Missing imageRef"},
		{"image queued", func(r *compute.CreateRequest) { r.ImageID = "queued" }, cloud.Invalid, "Image queued is not active: its status is queued."},
		{"image of others", func(r *compute.CreateRequest) { r.ImageID = "private" }, cloud.Invalid, "Can not find requested image"},
		{"image shared with others", func(r *compute.CreateRequest) { r.ImageID = "shared" }, cloud.Invalid, "Can not find requested image"},
		{"kernel", func(r *compute.CreateRequest) { r.ImageID = computetest.AKIID }, cloud.Invalid, "is the kernel of an AMI"},
		{"ramdisk", func(r *compute.CreateRequest) { r.ImageID = computetest.ARIID }, cloud.Invalid, "is the ramdisk of an AMI"},
		{"AMI without kernel", func(r *compute.CreateRequest) { r.ImageID = "nokernel" }, cloud.Invalid, "AMI without a kernel"},
		{"AMI with a disk for a kernel", func(r *compute.CreateRequest) { r.ImageID = "badkernel" }, cloud.Invalid, "is not an aki image"},
		{"AMI whose kernel is gone", func(r *compute.CreateRequest) { r.ImageID = "gonekernel" }, cloud.Invalid, "its kernel none is not there"},
		{"image too big", func(r *compute.CreateRequest) { r.ImageID = "big" }, cloud.Invalid, "Flavor disk is 1073741824 bytes, image is 2147483648 bytes."},
		{"min_ram", func(r *compute.CreateRequest) { r.ImageID = "ram" }, cloud.Invalid, "Flavor's memory is too small for requested image"},
		{"min_disk", func(r *compute.CreateRequest) { r.ImageID = "mindisk" }, cloud.Invalid, "minimum size is 2147483648 bytes"},
		{"no key", func(r *compute.CreateRequest) { r.KeyName = "none" }, cloud.Invalid, "Invalid key_name provided."},
		{"no zone", func(r *compute.CreateRequest) { r.AvailabilityZone = "west" }, cloud.Invalid, "The requested availability zone is not available"},
		{"a member forces a host", func(r *compute.CreateRequest) { r.AvailabilityZone = "nova:node-1" }, cloud.Forbidden, "forced_host"},
		{"a group of servers", func(r *compute.CreateRequest) { r.Hints = map[string][]string{"group": {"g"}} }, cloud.Invalid, "Instance group g could not be found."},
		{"min above max", func(r *compute.CreateRequest) { r.Min = 2 }, cloud.Invalid, "min_count must be <= max_count"},
		{"one hostname for two", func(r *compute.CreateRequest) { r.Max, r.Hostname = 2, "a" }, cloud.Invalid, "single hostname"},
		{"instances", func(r *compute.CreateRequest) { r.Min, r.Max = 11, 11 }, cloud.QuotaExceeded, "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances"},
		{"cores", func(r *compute.CreateRequest) { r.FlavorID, r.Min, r.Max = "5", 3, 3 }, cloud.QuotaExceeded, "Quota exceeded for cores"},
		{"no network", func(r *compute.CreateRequest) { r.Networks.List = []compute.NetworkAsk{{NetworkID: "n"}} }, cloud.Invalid, "Network n could not be found."},
		{"network of others", func(r *compute.CreateRequest) { r.Networks.List = []compute.NetworkAsk{{NetworkID: other.ID}} }, cloud.Invalid, "could not be found"},
		{"no port", func(r *compute.CreateRequest) { r.Networks.List = []compute.NetworkAsk{{PortID: "p"}} }, cloud.Invalid, "Port id p could not be found."},
		{"a port for two", func(r *compute.CreateRequest) { r.Max, r.Networks.List = 2, []compute.NetworkAsk{{PortID: "p"}} }, cloud.Invalid, "multiple instances"},
		{"a port twice", func(r *compute.CreateRequest) { r.Networks.List = []compute.NetworkAsk{{PortID: "p"}, {PortID: "p"}} }, cloud.Invalid, "specified twice"},
		{"address outside", func(r *compute.CreateRequest) {
			r.Networks.List = []compute.NetworkAsk{{NetworkID: b.Net.ID, FixedIP: netip.MustParseAddr("10.1.0.9")}}
		}, cloud.Invalid, "10.1.0.9"},
		{"no group", func(r *compute.CreateRequest) { r.SecurityGroups = []string{"g"} }, cloud.Invalid, "Security group g not found"},
		{"volume", func(r *compute.CreateRequest) {
			r.Devices = []compute.BlockDevice{{Source: "volume", Destination: "volume", ID: "v"}}
		}, cloud.Invalid, "failed to get volume v."},
		{"metadata", func(r *compute.CreateRequest) {
			r.Metadata = map[string]string{}
			for i := range 129 {
				r.Metadata[string(rune('a'+i))] = ""
			}
		}, cloud.QuotaExceeded, "Maximum number of metadata items exceeds 128"},
	} {
		r := computetest.Request()
		c.change(&r)
		_, err := b.Compute.Create(t.Context(), computetest.Member(), r)
		if !cloud.Is(err, c.kind) || !strings.Contains(cloud.Message(err), c.words) {
			t.Errorf("%s: %v, want %s: %s", c.name, err, c.kind, c.words)
		}
	}
	if got := b.Counts(); got != before {
		t.Errorf("rows were left behind: %+v, before %+v", got, before)
	}
}

func TestCreateSeveral(t *testing.T) {
	b := computetest.New(t)
	r := computetest.Request()
	r.Min, r.Max = 2, 30
	made, err := b.Compute.Create(t.Context(), computetest.Member(), r)
	b.Must(err)
	if len(made.Servers) != 10 {
		t.Fatalf("%d servers, want as many as the quota of 10 has room for", len(made.Servers))
	}
	addresses := map[netip.Addr]bool{}
	for i, s := range made.Servers {
		d, err := b.Compute.Server(t.Context(), computetest.Member().Caller, s.ID)
		b.Must(err)
		addresses[d.Ports[0].FixedIPs[0].IP] = true
		if s.LaunchIndex != i || s.ReservationID != made.ReservationID {
			t.Errorf("server %d: index %d, reservation %s", i, s.LaunchIndex, s.ReservationID)
		}
	}
	if made.Servers[0].Name != "vm-1" || made.Servers[9].Hostname != "vm-10" || len(addresses) != 10 {
		t.Errorf("%s, %s, %d addresses", made.Servers[0].Name, made.Servers[9].Hostname, len(addresses))
	}
}

func TestCreateOnNetworks(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	port, err := b.Network.CreatePorts(t.Context(), a.Caller, network.PortCreate{NetworkID: b.Net.ID})
	b.Must(err)
	second := b.AddNetwork(computetest.Project, "second", netip.MustParsePrefix("10.2.0.0/24"))
	r := computetest.Request()
	if _, err := b.Compute.Create(t.Context(), a, r); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("two networks and none named: %v", err)
	}
	r.Networks.Mode = "none"
	if d, _ := b.Compute.Server(t.Context(), a.Caller, b.Create(a, r).ID); len(d.Ports) != 0 {
		t.Errorf("none: %d ports", len(d.Ports))
	}
	r.Networks = compute.Networks{List: []compute.NetworkAsk{
		{NetworkID: second.ID, FixedIP: netip.MustParseAddr("10.2.0.77"), Tag: "front"}, {PortID: port[0].ID},
	}}
	s := b.Create(a, r)
	d, err := b.Compute.Server(t.Context(), a.Caller, s.ID)
	b.Must(err)
	if len(d.Ports) != 2 || d.Ports[0].FixedIPs[0].IP.String() != "10.2.0.77" || d.Ports[1].ID != port[0].ID || d.NICTags[d.Ports[0].ID] != "front" ||
		d.Ports[0].Preserve || !d.Ports[1].Preserve || d.Ports[1].DeviceID != s.ID {
		t.Errorf("ports: %+v", d.Ports)
	}
	if _, err := b.Compute.Create(t.Context(), a, r); !cloud.Is(err, cloud.Invalid) && !cloud.Is(err, cloud.Conflict) {
		t.Errorf("the address and the port again: %v", err)
	}
}

// TestKeptPort: a server of the name of a port that is kept for it gets that port,
// once, and again when the server is gone; no other server gets it.
func TestKeptPort(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	made, err := b.Network.CreatePorts(t.Context(), a.Caller,
		network.PortCreate{NetworkID: b.Net.ID, Name: "web.example.org", Tags: []string{compute.KeptPortTag}}, network.PortCreate{NetworkID: b.Net.ID, Name: "untagged"})
	b.Must(err)
	kept := made[0].ID
	ports := func(name string, asks ...compute.NetworkAsk) (ids []string) {
		r := computetest.Request()
		r.Name, r.Networks = name, compute.Networks{List: asks}
		d, err := b.Compute.Server(t.Context(), a.Caller, b.Create(a, r).ID)
		b.Must(err)
		for _, p := range d.Ports {
			ids = append(ids, p.ID)
		}
		return ids
	}
	on := compute.NetworkAsk{NetworkID: b.Net.ID}
	if got := ports("other.example.org", on); slices.Contains(got, kept) {
		t.Error("a server of another name has the port")
	}
	if got := ports("untagged", on); slices.Contains(got, made[1].ID) {
		t.Error("a port without the tag was taken by its name")
	}
	if got := ports("web.example.org", compute.NetworkAsk{NetworkID: b.Net.ID, FixedIP: netip.MustParseAddr("10.0.0.99")}); slices.Contains(got, kept) {
		t.Error("an address that was asked for is not given")
	}
	if got := ports("web.example.org", on, on); len(got) != 2 || got[0] != kept || got[1] == kept {
		t.Errorf("%v, want %s first and once", got, kept)
	}
	if got := ports("web.example.org", on); slices.Contains(got, kept) {
		t.Error("a second server of the name has the port of the first")
	}
}

func TestAdminForcesHost(t *testing.T) {
	b := computetest.New(t)
	for zone, want := range map[string]string{"nova:node-1": "node-1", "nova:node-1:node-1": "node-1", "nova::node-1": "node-1", "nova": ""} {
		r := computetest.Request()
		r.AvailabilityZone = zone
		if got := b.Create(computetest.Admin(), r).ForcedHost; got != want {
			t.Errorf("%s: %q, want %q", zone, got, want)
		}
	}
	for _, zone := range []string{"nova:none", "nova:node-1:node-2", "a:b:c:d"} {
		r := computetest.Request()
		r.AvailabilityZone = zone
		if _, err := b.Compute.Create(t.Context(), computetest.Admin(), r); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

func TestMetadataIsNotShared(t *testing.T) {
	b := computetest.New(t)
	r := computetest.Request()
	r.Metadata = map[string]string{"a": "1"}
	s := b.Create(computetest.Member(), r)
	b.Run(s.ID)
	all, err := b.Compute.SetMetadata(t.Context(), computetest.Member(), s.ID, map[string]string{"b": "2"}, false)
	b.Must(err)
	if !maps.Equal(all, map[string]string{"a": "1", "b": "2"}) || len(r.Metadata) != 1 {
		t.Errorf("%v, the request's %v", all, r.Metadata)
	}
}
