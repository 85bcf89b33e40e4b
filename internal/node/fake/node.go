// Package fake is a node without a host: the real agent over drivers in memory.
// Nothing but the drivers differs from a real node, so whatever the agent
// promises, a fake node keeps too.
package fake

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"hearth/internal/agent"
	"hearth/internal/cloud"
	drivers "hearth/internal/driver/hypervisor"
	hypervisor "hearth/internal/driver/hypervisor/fake"
	network "hearth/internal/driver/network/fake"
	storages "hearth/internal/driver/storage"
	storage "hearth/internal/driver/storage/fake"
	"hearth/internal/node/local"
)

// World is what outlives an agent: the guests, disks and networks of a host.
// A test restarts a node by opening it anew on the same world.
type World struct {
	Host    *hypervisor.Host
	Storage *storage.Driver
	Network *network.Driver
}

// NewWorld makes an empty host; nil is the machine's clock.
func NewWorld(clock cloud.Clock) *World {
	return &World{Host: hypervisor.NewHost(clock), Storage: storage.New(), Network: network.New()}
}

// OpenWorld is NewWorld with the disks kept in a folder: a process that is
// started anew is a host that was, its guests gone and its disks there.
func OpenWorld(clock cloud.Clock, dir string) (*World, error) {
	w := NewWorld(clock)
	var err error
	w.Storage, err = storage.Open(dir)
	return w, err
}

// Options are what a fake node may be given.
type Options struct {
	World       *World // nil: a fresh one
	Clock       cloud.Clock
	Log         *slog.Logger
	Hook        func(point string)
	Grace       time.Duration // for guests to shut down
	ConfigDrive func(cloud.InstanceSpec) (map[string][]byte, error)
	// NewNetworks makes the keeper of networks; nil: one that keeps specs in
	// memory and serves nothing.
	NewNetworks func(find agent.Find) (agent.Networks, error)
	// Storage keeps the disks; nil: the world's. Pools tells where volumes are.
	Storage  storages.Driver
	Pools    func(context.Context) []cloud.PoolStatus
	VCPUs    int // 0: 64
	MemoryMB int // 0: 256 GiB
	// ImageCache is the limit of the cache of images, in bytes; 0 for none.
	ImageCache int64
}

// Node is a node whose guests, disks and networks are in memory.
type Node struct {
	*local.Node
	Agent *agent.Agent
	World *World
}

// identity is that of every fake node: nobody looks at it.
var identity = drivers.Identity{CA: []byte("an authority in memory"), Cert: []byte("a certificate in memory"), Key: "none"}

// New starts a fake node. Its few small files are in dir, and are not synced.
func New(ctx context.Context, dir string, images agent.Images, opt Options) (*Node, error) {
	if opt.World == nil {
		opt.World = NewWorld(opt.Clock)
	}
	w := opt.World
	if opt.Storage == nil {
		opt.Storage = w.Storage
	}
	if opt.NewNetworks == nil {
		opt.NewNetworks = func(agent.Find) (agent.Networks, error) { return newPlane(w.Network), nil }
	}
	if opt.ConfigDrive == nil {
		opt.ConfigDrive = func(spec cloud.InstanceSpec) (map[string][]byte, error) {
			return map[string][]byte{"openstack/latest/meta_data.json": fmt.Appendf(nil, "{\"uuid\": %q}", spec.ID)}, nil
		}
	}
	a, err := agent.New(ctx, agent.Config{
		Dir: dir, Storage: opt.Storage, Pools: opt.Pools, Hypervisor: hypervisor.New(w.Host), Network: w.Network, NewNetworks: opt.NewNetworks,
		Exports: &agent.Exports{Exporter: hypervisor.New(w.Host), Identity: identity, Address: netip.MustParseAddr("127.0.0.1")},
		Images:  images, ConfigDrive: opt.ConfigDrive, Host: machine{opt.VCPUs, opt.MemoryMB, w.Host}, HypervisorIs: "fake",
		Version: "fake", IP: "127.0.0.1", ShutdownGrace: opt.Grace, Clock: opt.Clock, Log: opt.Log, Hook: opt.Hook, NoSync: true, ImageCache: opt.ImageCache,
	})
	if err != nil {
		return nil, err
	}
	return &Node{Node: local.New(a), Agent: a, World: w}, nil
}

// Close stops the agent; the world stays.
func (n *Node) Close() error { return n.Agent.Close() }

// machine is a host of any size.
type machine struct {
	vcpus, memoryMB int
	host            *hypervisor.Host
}

// BootID implements agent.Host: that of the fake hypervisor's host, so that the
// guests of a world that is no more are started anew.
func (m machine) BootID() (string, error) { return m.host.BootID(), nil }

// VCPUs implements agent.Host.
func (m machine) VCPUs() int {
	if m.vcpus == 0 {
		return 64
	}
	return m.vcpus
}

// MemoryMB implements agent.Host.
func (m machine) MemoryMB() (int, error) {
	if m.memoryMB == 0 {
		return 256 << 10, nil
	}
	return m.memoryMB, nil
}

// CPU implements agent.Host.
func (machine) CPU() (arch, model string) { return "x86_64", "in memory" }
