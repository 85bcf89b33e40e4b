// Package agent is the workshop on a host: it puts the keepers of instances and
// of networks together over the drivers, and speaks for the host as a whole.
// What is wanted it keeps in files of its own, so a node goes on with its head
// away.
package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"hearth/internal/agent/export"
	"hearth/internal/agent/instance"
	"hearth/internal/agent/volume"
	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/network"
	"hearth/internal/driver/storage"
	"hearth/internal/vault"
)

// Networks keeps the data plane of a node; port.Manager is one.
type Networks interface {
	ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error
	RemoveNetwork(ctx context.Context, id string) error
	ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error
	RemoveRouter(ctx context.Context, id string) error
	// Plug and Unplug are those of network.Driver.
	Plug(ctx context.Context, networkID, portID string) (*os.File, error)
	Unplug(ctx context.Context, networkID, portID string) error
	// Recover serves again what is written down.
	Recover(ctx context.Context) error
	Status() cloud.NetworkStatus
	Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error)
	// Password is the encrypted one that an instance posted; "" for none.
	Password(instance string) string
	// Forget drops what is kept of an instance: its password.
	Forget(instance string) error
	Close() error
}

// Images is where the bytes of images come from; node.Images is one, and one
// with a Path is node.LocalImages.
type Images interface {
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Find gives the spec of an instance of this node.
type Find func(id string) (cloud.InstanceSpec, bool)

// Config is what an Agent is made of.
type Config struct {
	Dir        string // absolute: everything the agent keeps
	Storage    storage.Driver
	Pools      func(ctx context.Context) []cloud.PoolStatus // where volumes are kept; nil: with all other disks
	Hypervisor hypervisor.Driver
	Network    network.Driver
	// NewNetworks makes the keeper of networks, which asks find about instances.
	NewNetworks func(find Find) (Networks, error)
	Images      Images
	// Exports is by which this node gives volumes to others and has theirs; nil for a
	// node that is alone.
	Exports *Exports
	// ConfigDrive gives the files of an instance's config drive.
	ConfigDrive func(cloud.InstanceSpec) (map[string][]byte, error)
	HostKeys    instance.HostKeys // see instance.Config

	Host          Host   // nil: this machine
	HypervisorIs  string // its name for nova: QEMU, fake
	Version       string // of Hearth
	IP            string // that other hosts reach this one by
	ReservedMB    int    // memory kept for the host itself
	ImageCache    int64  // bytes that the cache of images never has more than; 0: no limit
	ShutdownGrace time.Duration
	Clock         cloud.Clock
	Log           *slog.Logger
	Hook          func(point string) // see instance.Config
	NoSync        bool
}

// Agent keeps a host. It is safe for concurrent use.
type Agent struct {
	Config
	networks  Networks
	instances atomic.Pointer[instance.Manager]
	volumes   *volume.Manager
	exports   *export.Manager // nil for a node that is alone
	cache     imageCache
	room      *roomy // nil where the cache has no limit
	leave     context.CancelFunc
}

// New starts the agent: first the networks that are written down are served
// again, then the instances are found again or go on.
func New(ctx context.Context, cfg Config) (*Agent, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Host == nil {
		cfg.Host = Machine{}
	}
	if cfg.Clock == nil {
		cfg.Clock = cloud.SystemClock{}
	}
	a := &Agent{Config: cfg}
	if cfg.ImageCache > 0 {
		a.room = newRoomy(a, cfg.ImageCache)
		a.Storage, cfg.Storage = a.room, a.room
	}
	a.volumes = volume.New(cfg.Storage, cfg.Images, func() volume.Guests { return holders{a} })
	bootID, err := cfg.Host.BootID()
	if err != nil {
		return nil, err
	}
	if a.networks, err = cfg.NewNetworks(a.find); err != nil {
		return nil, err
	}
	if err := a.networks.Recover(ctx); err != nil {
		a.Log.Error("not all networks could be served again; the head will ask for them anew", "error", err)
	}
	secrets, err := vault.Open(filepath.Join(cfg.Dir, "secrets.key"))
	if err != nil {
		_ = a.networks.Close()
		return nil, err
	}
	if err := a.openExports(ctx); err != nil {
		_ = a.networks.Close()
		return nil, err
	}
	m, err := instance.New(instance.Config{
		Dir: a.instancesDir(), Storage: cfg.Storage, Hypervisor: cfg.Hypervisor, Ports: a.networks, Images: cfg.Images,
		ConfigDrive: cfg.ConfigDrive, HostKeys: cfg.HostKeys, Clock: cfg.Clock, BootID: bootID, Log: cfg.Log, Hook: cfg.Hook,
		ShutdownGrace: cfg.ShutdownGrace, NoSync: cfg.NoSync, Used: a.used, Secrets: secrets,
		Identity: a.identity(),
	})
	if err != nil {
		_ = a.closeExports()
		_ = a.networks.Close()
		return nil, err
	}
	a.instances.Store(m)
	if a.room != nil { // the limit may be a lower one than before
		if err := a.room.trim(ctx); err != nil {
			a.Log.Warn("the cache of images may be above its limit; it is tried again", "after", imageBeat, "error", err)
		}
	}
	watch, leave := context.WithCancel(context.Background())
	a.leave = leave
	go func() { _ = m.Watch(watch, a.forget) }()
	go a.keepCache(watch)
	return a, nil
}

func (a *Agent) instancesDir() string { return filepath.Join(a.Dir, "instances") }

func (a *Agent) find(id string) (cloud.InstanceSpec, bool) {
	if m := a.instances.Load(); m != nil {
		return m.Spec(id)
	}
	return cloud.InstanceSpec{}, false
}

// forget has the networks drop what they keep of an instance that went.
func (a *Agent) forget(st cloud.InstanceStatus) {
	if st.State != cloud.InstanceAbsent || !cloud.IsID(st.ID) {
		return
	}
	if err := a.networks.Forget(st.ID); err != nil {
		a.Log.Warn("something is left of an instance", "instance", st.ID, "error", err)
	}
}

// Instances is the keeper of instances.
func (a *Agent) Instances() *instance.Manager { return a.instances.Load() }

// Volumes is the keeper of volumes.
func (a *Agent) Volumes() *volume.Manager { return a.volumes }

// Networks is the keeper of networks.
func (a *Agent) Networks() Networks { return a.networks }

// Close stops the agent. Guests and networks stay as they are.
func (a *Agent) Close() error {
	a.leave()
	err := errors.Join(a.instances.Load().Close(), a.closeExports())
	if nerr := a.networks.Close(); err == nil {
		err = nerr
	}
	return err
}
