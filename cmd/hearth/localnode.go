package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"hearth/internal/agent"
	"hearth/internal/agent/dhcp"
	"hearth/internal/agent/dns"
	"hearth/internal/agent/metadata"
	"hearth/internal/agent/port"
	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/driver/hypervisor/qemu"
	"hearth/internal/driver/network/linux"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/pools"
	"hearth/internal/node"
	"hearth/internal/node/fake"
	"hearth/internal/node/local"
)

// runNode starts the node of this host, has it join the fleet, and keeps house
// until ctx ends. Guests and networks stay when it returns.
func (h *head) runNode(ctx context.Context) error {
	start := time.Now()
	n, stop, err := h.openNode(ctx)
	if err != nil {
		return fmt.Errorf("cannot start the node %s: %w; 'hearth doctor' names what is missing", h.cfg.Node, err)
	}
	defer func() {
		if err := stop(); err != nil {
			h.log.Error("cannot stop the node's agent in order", "error", err)
		}
	}()
	h.fleet.Join(h.cfg.Node, n)
	defer h.fleet.Leave(h.cfg.Node)
	h.log.Info("the node is up", "node", h.cfg.Node, "driver", h.cfg.Driver, "took", time.Since(start).Round(time.Millisecond))
	h.ready.up("node")
	return h.keep(ctx)
}

// openNode makes the node that the configuration asks for.
func (h *head) openNode(ctx context.Context) (node.Node, func() error, error) {
	if h.cfg.Driver == "fake" {
		dir := filepath.Join(h.cfg.Paths().Node(), "fake")
		world, err := fake.OpenWorld(cloud.SystemClock{}, filepath.Join(dir, "storage"))
		if err != nil {
			return nil, nil, err
		}
		places := pools.New(world.Storage, h.cfg.Volume.Backends.Own(), fakeBackends(h.cfg.Volume.Backends, dir)...)
		n, err := fake.New(ctx, dir, contents{h.blobs, h.backups}, fake.Options{
			World: world, Storage: places, Pools: places.Pools, Log: h.log, Hook: failpoint(h.log), Grace: h.cfg.Compute.ShutdownGrace,
		})
		if err != nil {
			return nil, nil, err
		}
		return n, n.Close, nil
	}
	network, err := newNetworkDriver(h.cfg, h.log)
	if err != nil {
		return nil, nil, err
	}
	if err := network.Own(h.cfg.Data); err != nil {
		_ = network.Close()
		return nil, nil, err
	}
	parts, err := agentConfig(h.cfg, h.log, network, contents{h.blobs, h.backups})
	if err != nil {
		return nil, nil, err
	}
	a, err := agent.New(ctx, parts)
	if err != nil {
		_ = network.Close()
		return nil, nil, err
	}
	return local.New(a), func() error { return firstOf(a.Close(), network.Close()) }, nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// newNetworkDriver makes the data plane's driver.
func newNetworkDriver(cfg *config.Config, log *slog.Logger) (*linux.Driver, error) {
	uplink := linux.Uplink{Kind: linux.UplinkInterface, HostIfName: cfg.Network.Uplink}
	switch cfg.Network.Uplink {
	case "host":
		uplink = linux.Uplink{Kind: linux.UplinkHost, HostIfName: cfg.Network.PublicIfName}
	case "none":
		uplink = linux.Uplink{Kind: linux.UplinkNone}
	}
	name := cfg.Network.NamespaceName
	if name == "" {
		name = cfg.Node
	}
	return linux.New(linux.Config{Node: name, Physical: map[string]linux.Uplink{physicalPublic: uplink}, Log: log})
}

// newHypervisor makes QEMU's driver.
func newHypervisor(cfg *config.Config, log *slog.Logger) *qemu.Driver {
	return qemu.New(qemu.Options{
		Binary: cfg.Compute.QEMU, Accel: cfg.Compute.Accel, CacheDir: cfg.Paths().Node(), Log: log,
		Users: qemu.UserRange{First: uint32(cfg.Compute.UIDBase), Count: uint32(cfg.Compute.UIDCount)},
	})
}

// agentConfig puts the parts of this host's agent together.
func agentConfig(cfg *config.Config, log *slog.Logger, network *linux.Driver, bytes agent.Images) (agent.Config, error) {
	dir := cfg.Paths().Node()
	disks, err := file.New(file.Config{
		Paths:   file.Paths{Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")},
		Kitchen: file.DiskRoom{Runner: &disk.Runner{}},
	})
	if err != nil {
		return agent.Config{}, err
	}
	places := pools.New(disks, cfg.Volume.Backends.Own(), backends(cfg, log)...)
	resolver := upstream(cfg, log)
	return agent.Config{
		Dir: dir, Storage: places, Pools: places.Pools, Hypervisor: newHypervisor(cfg, log), Network: network, Images: bytes,
		NewNetworks: func(find agent.Find) (agent.Networks, error) {
			return port.New(filepath.Join(dir, "networks"), network, port.Instances(find), port.Options{
				Log: log, Resolver: resolver,
				DHCP: dhcp.Options{Marker: uint8(cfg.Network.DHCPMarker), MarkerValue: markerValue(cfg)},
			})
		},
		ConfigDrive:  func(spec cloud.InstanceSpec) (map[string][]byte, error) { return metadata.ConfigDriveFiles(spec), nil },
		HostKeys:     hostKeys{&disk.Runner{}},
		HypervisorIs: "QEMU", Version: version, IP: "127.0.0.1", ReservedMB: cfg.Compute.ReservedMB, ImageCache: int64(cfg.Compute.ImageCacheGB) << 30,
		ShutdownGrace: cfg.Compute.ShutdownGrace, Log: log, Hook: failpoint(log),
	}, nil
}

// upstream asks this host's resolvers, where that is wanted.
func upstream(cfg *config.Config, log *slog.Logger) dns.Resolver {
	if !cfg.Network.ForwardDNS {
		return nil
	}
	servers, err := dns.HostServers("/etc/resolv.conf")
	if err != nil || len(servers) == 0 {
		log.Info("guests' questions for names of elsewhere are refused: this host names no resolver", "error", err)
		return nil
	}
	return dns.NewUpstream(servers, cloud.SystemClock{})
}

// markerValue is what the DHCP marker says: the head's address.
func markerValue(cfg *config.Config) string {
	if p, err := netip.ParsePrefix(cfg.Network.PublicCIDR); err == nil {
		return p.Addr().Next().String()
	}
	return cfg.Node
}
