// Package computetest is a small cloud in memory to test the compute service and
// its API on: a store, the network service, a project with a network, images and
// a host. No node is behind it: a test says itself what a node saw.
package computetest

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/network"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// The ids of what a Bench begins with.
const (
	Project = "11111111111111111111111111111111"
	Other   = "22222222222222222222222222222222"
	ImageID = "aaaaaaaa-0000-4000-8000-000000000001" // a bare qcow2 image of 100 MiB
	AMIID   = "aaaaaaaa-0000-4000-8000-000000000002"
	AKIID   = "aaaaaaaa-0000-4000-8000-000000000003"
	ARIID   = "aaaaaaaa-0000-4000-8000-000000000004"
	HostID  = "bbbbbbbb-0000-4000-8000-000000000001"
)

// Bench is the cloud.
type Bench struct {
	T       testing.TB
	Store   *store.Store
	Clock   *cloud.FakeClock
	Network *network.Service
	Compute *compute.Service
	Volume  *volume.Service
	Net     cloud.Network // Project's only one, 10.0.0.0/24
	Log     string        // what every console says
	Posted  string        // the password that every guest has posted

	Passwords []string // that guests' agents were told, as server=password
}

// Console gives the log.
func (b *Bench) Console(_ context.Context, node, _ string, max int) ([]byte, error) {
	if node == "" {
		b.T.Error("the console of a server without a node was asked for")
	}
	log := []byte(b.Log)
	if max > 0 && len(log) > max {
		log = log[len(log)-max:]
	}
	return log, nil
}

// OpenConsole gives a console on which a guest says hello and then hears what is
// typed.
func (b *Bench) OpenConsole(_ context.Context, _, _ string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		if _, err := io.WriteString(theirs, "hello, "+string(kind)); err == nil {
			_, _ = io.Copy(theirs, theirs)
		}
	}()
	return ours, nil
}

// InstanceStats is a guest that has computed for a second.
func (b *Bench) InstanceStats(context.Context, string, string) (cloud.InstanceStats, error) {
	return cloud.InstanceStats{CPU: time.Second, ResidentBytes: 64 << 20, Hypervisor: "tcg"}, nil
}

// Password is what was Posted, until it is forgotten.
func (b *Bench) Password(context.Context, string, string) (string, error) { return b.Posted, nil }

// ForgetPassword forgets it.
func (b *Bench) ForgetPassword(context.Context, string, string) error {
	b.Posted = ""
	return nil
}

// SetPassword is an agent that knows root only.
func (b *Bench) SetPassword(_ context.Context, _, server, user, password string) error {
	if user != "root" {
		return cloud.E("computetest.SetPassword", cloud.Unsupported, "the agent does not answer")
	}
	b.Passwords = append(b.Passwords, server+"="+password)
	return nil
}

// New makes the cloud.
func New(t testing.TB) *Bench {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b := &Bench{T: t, Store: st, Clock: cloud.NewFakeClock()}
	b.Network = network.New(st, b.Clock, network.Options{})
	b.Volume = volume.New(st, b.Clock, nil, volume.Options{})
	b.Must(b.Volume.Bootstrap(t.Context()))
	b.Compute = compute.New(st, b.Clock, b.Network, b, compute.Options{Volumes: b.Volume})
	b.Must(b.Compute.Bootstrap(t.Context()))
	b.Net = b.AddNetwork(Project, "private", netip.MustParsePrefix("10.0.0.0/24"))
	b.addImages()
	b.Update(func(tx *store.Tx) error {
		return tx.Hosts.Put(cloud.Host{
			Name: "node-1", ID: HostID, AvailabilityZone: "nova", CreatedAt: b.Clock.Now(), SeenAt: b.Clock.Now(),
			Seen: cloud.HostStatus{VCPUs: 4, MemoryMB: 8192, DiskGB: 100, DiskFreeGB: 90, Hypervisor: "QEMU", HypervisorVersion: 7002022, HostIP: "127.0.0.1", CPUArch: "x86_64"},
		})
	})
	return b
}

// Must ends the test for an error.
func (b *Bench) Must(err error) {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
}

// Update changes the store.
func (b *Bench) Update(fn func(tx *store.Tx) error) {
	b.T.Helper()
	b.Must(b.Store.Update(context.Background(), fn))
}

// Caller is a user of a project with roles.
func Caller(project string, roles ...string) cloud.Caller {
	return cloud.Caller{UserID: "user-" + project[:4], UserName: "user", ProjectID: project, Roles: roles}
}

// Member and Admin are users of Project.
func Member() compute.Actor {
	return compute.Actor{Caller: Caller(Project, cloud.RoleMember, cloud.RoleReader), RequestID: "req-" + cloud.NewID()}
}

// Admin is the operator.
func Admin() compute.Actor {
	return compute.Actor{Caller: Caller(Project, cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader), RequestID: "req-" + cloud.NewID()}
}

// AddNetwork makes a network with a subnet.
func (b *Bench) AddNetwork(project, name string, cidr netip.Prefix) cloud.Network {
	b.T.Helper()
	c := Caller(project, cloud.RoleMember, cloud.RoleReader)
	n, err := b.Network.CreateNetworks(b.T.Context(), c, network.NetworkCreate{Name: name})
	b.Must(err)
	_, err = b.Network.CreateSubnets(b.T.Context(), c, network.SubnetCreate{NetworkID: n[0].ID, CIDR: cidr, IPVersion: 4})
	b.Must(err)
	return n[0].Network
}

// addImages puts the images into the store.
func (b *Bench) addImages() {
	now := b.Clock.Now()
	image := func(id, container, disk string, properties map[string]string) cloud.Image {
		return cloud.Image{
			ID: id, Name: disk, ProjectID: Other, Status: cloud.ImageActive, Visibility: cloud.VisibilityPublic, ContainerFormat: container,
			DiskFormat: disk, Size: 10 << 20, VirtualSize: 100 << 20, Digest: "sha512:" + id, Properties: properties, CreatedAt: now, UpdatedAt: now,
		}
	}
	b.Update(func(tx *store.Tx) error {
		for _, i := range []cloud.Image{
			image(ImageID, "bare", "qcow2", nil), image(AKIID, "aki", "aki", nil), image(ARIID, "ari", "ari", nil),
			image(AMIID, "ami", "ami", map[string]string{"kernel_id": AKIID, "ramdisk_id": ARIID, "os_command_line": "root=/dev/vda"}),
		} {
			if err := tx.Images.Put(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// Request is a create that the cloud takes.
func Request() compute.CreateRequest {
	return compute.CreateRequest{Name: "vm", ImageID: ImageID, FlavorID: "1", Min: 1, Max: 1}
}

// Create makes a server.
func (b *Bench) Create(a compute.Actor, r compute.CreateRequest) cloud.Server {
	b.T.Helper()
	made, err := b.Compute.Create(b.T.Context(), a, r)
	b.Must(err)
	return made.Servers[0]
}

// Run lets the server be seen as its node would report it: placed, and in the
// state that is wanted of it.
func (b *Bench) Run(id string) {
	b.T.Helper()
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return err
		}
		now := b.Clock.Now()
		s.Node, s.LaunchedAt, s.NextAttemptAt = "node-1", &now, now.AddDate(100, 0, 0)
		s.Seen = cloud.Observation{Generation: s.Intent.Generation, State: cloud.InstanceRunning, Reboots: s.Intent.Reboots, At: now}
		if s.Intent.Power == cloud.PowerOff {
			s.Seen.State = cloud.InstanceStopped
		}
		return tx.Servers.Update(s)
	})
}

// Remove takes a server away as the housekeeper does it once its node is done: what
// stays is its record.
func (b *Bench) Remove(id string) {
	b.T.Helper()
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return err
		}
		if err := b.Network.ReleaseDeviceTx(tx, id); err != nil {
			return err
		}
		if err := tx.GoneServers.Put(s.Gone(b.Clock.Now())); err != nil {
			return err
		}
		return tx.Servers.Delete(id)
	})
}

// Server reads a row.
func (b *Bench) Server(id string) (s cloud.Server) {
	b.T.Helper()
	b.Must(b.Store.View(b.T.Context(), func(tx *store.Tx) (err error) {
		s, err = tx.Servers.Get(id)
		return err
	}))
	return s
}

// Counts is how many rows there are of what a create makes.
type Counts struct{ Servers, Ports, Actions int }

// Counts counts.
func (b *Bench) Counts() (c Counts) {
	b.T.Helper()
	b.Must(b.Store.View(b.T.Context(), func(tx *store.Tx) (err error) {
		if c.Servers, err = tx.Servers.Count(); err != nil {
			return err
		}
		if c.Ports, err = tx.Ports.Count(store.Cond{Column: "device_owner", Op: store.OpPrefix, Value: "compute:"}); err != nil {
			return err
		}
		c.Actions, err = tx.Actions.Count()
		return err
	}))
	return c
}
