package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/registry/remote/auth"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk/rendition"
	"hearth/internal/driver/backup"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/node"
	"hearth/internal/oci"
	"hearth/internal/openstack/cinder"
	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/keystone"
	"hearth/internal/openstack/neutron"
	"hearth/internal/openstack/nova"
	"hearth/internal/openstack/operator"
	placementapi "hearth/internal/openstack/placement"
	"hearth/internal/openstack/wire"
	"hearth/internal/reconcile"
	"hearth/internal/schedule"
	"hearth/internal/service/compute"
	"hearth/internal/service/identity"
	"hearth/internal/service/image"
	"hearth/internal/service/network"
	"hearth/internal/service/operate"
	"hearth/internal/service/placement"
	"hearth/internal/service/volume"
	"hearth/internal/store"
	"hearth/internal/vault"
)

// physicalPublic is the physical network that the network public is on.
const physicalPublic = "public"

// head is the services over one store.
type head struct {
	cfg      *config.Config
	log      *slog.Logger
	store    *store.Store
	fleet    *node.Fleet
	blobs    *blob.Store
	backups  *backup.Repository // nil for none
	identity *identity.Service
	image    *image.Service
	compute  *compute.Service
	network  *network.Service
	volume   *volume.Service
	place    *placement.Service
	operate  *operate.Service
	ready    *readiness
	keys     *vault.Vault    // of encrypted volumes
	first    identity.Result // of bootstrap
}

// openHead opens the store and makes the services on it; nothing runs yet.
func openHead(ctx context.Context, cfg *config.Config, log *slog.Logger) (*head, error) {
	downloads, err := glance.NewDownloads(cfg.Image.ImportFrom)
	if err != nil {
		return nil, fmt.Errorf("image.import_from: %w", err)
	}
	if file := cfg.Image.Logins; file != "" {
		if _, err := oci.FileLogins(file); err != nil {
			return nil, fmt.Errorf("image.registry_logins: %w", err)
		}
		downloads.LogInBy(func() (auth.CredentialFunc, error) { return oci.FileLogins(file) })
	}
	st, err := store.Open(ctx, cfg.DatabaseURL())
	if err != nil {
		return nil, err
	}
	blobs, err := blob.Open(cfg.Paths().Blobs())
	if err != nil {
		st.Close()
		return nil, err
	}
	backups, err := openBackups(cfg)
	if err != nil {
		st.Close()
		return nil, err
	}
	keys, err := vault.Open(cfg.Paths().VolumeKeys())
	if err != nil {
		st.Close()
		return nil, err
	}
	clock := cloud.SystemClock{}
	h := &head{keys: keys, cfg: cfg, log: log, store: st, fleet: node.NewFleet(), blobs: blobs, backups: backups, ready: newReadiness("api", "operator", "images", "node")}
	h.identity = identity.New(st, clock, identity.Options{
		Log: log, Cost: cfg.Identity.BcryptCost, TokenLife: cfg.Identity.TokenLife, Region: cfg.Region, Services: catalog(),
		Compliance: compliance(cfg.Identity),
	})
	h.image = image.New(st, clock, blobs, image.Options{
		Log: log, Keyring: cfg.Image.Keyring, Shop: rendition.New(cfg.Paths().Renditions(), int64(cfg.Image.ConvertGB)<<30), ConvertTo: cfg.Image.ConvertTo, Source: downloads, Elsewhere: glance.NewElsewhere(imageServices{h.identity}.find), MaxSize: int64(cfg.Image.MaxGB) << 30,
	})
	h.network = network.New(st, clock, network.Options{MTU: cfg.Network.MTU + network.TunnelOverhead, DNSDomain: cfg.Network.DNSDomain + ".", PhysicalNetworks: []string{physicalPublic}})
	ratios := schedule.Ratios{CPU: cfg.Compute.CPURatio, Memory: cfg.Compute.MemoryRatio, Disk: cfg.Compute.DiskRatio}
	h.place = placement.New(st, clock, ratios)
	h.volume = volume.New(st, clock, h.image, volume.Options{Log: log, Zone: cfg.Zone, Backups: h.backupStore(), Disks: nodeDisks{h.fleet}, Keys: keys})
	h.compute = compute.New(st, clock, h.network, consoles{h.fleet}, compute.Options{Log: log, Images: h.image, Volumes: h.volume, Head: cfg.Node, Ratios: ratios, Reclaim: cfg.Compute.ReclaimAfter})
	h.operate = operate.New(st, clock, h.fleet, blobs, ratios, log)
	return h, nil
}

// compliance is the rules of passwords, by a configuration that was checked.
func compliance(c config.Identity) identity.Compliance {
	out := identity.Compliance{
		LockoutAttempts: c.LockoutAttempts, LockoutDuration: c.LockoutDuration, UniqueLast: c.UniqueLastPasswordCount,
		MinimumAge: c.MinimumPasswordAge, ExpiresAfter: c.PasswordExpiresAfter, FirstUse: c.ChangeUponFirstUse, RegexDescription: c.PasswordRegexText,
	}
	if c.PasswordRegex != "" {
		out.Regex = regexp.MustCompile(c.PasswordRegex)
	}
	return out
}

func (h *head) close() {
	h.identity.Close()
	if err := h.store.Close(); err != nil {
		h.log.Error("cannot close the database", "error", err)
	}
}

// catalog is what clients find.
func catalog() []identity.Endpoint {
	return []identity.Endpoint{
		{Type: "identity", Name: "keystone", Path: "/v3"}, {Type: "image", Name: "glance", Path: "/image"},
		{Type: "compute", Name: "nova", Path: "/compute/v2.1"}, {Type: "network", Name: "neutron", Path: "/network"},
		{Type: "placement", Name: "placement", Path: "/placement"},
		{Type: "block-storage", Name: "cinder", Path: "/volume/v3"}, {Type: "volumev3", Name: "cinderv3", Path: "/volume/v3"},
	}
}

// apis is every route table of the front hall.
func (h *head) apis() []wire.API {
	return []wire.API{
		keystone.New(h.identity), glance.API(h.image), nova.New(h.compute), neutron.New(h.network), cinder.New(h.volume), placementapi.New(h.place),
		operator.API(h.operate, h.ready, logins{h.identity}),
	}
}

// imageServices finds those of the catalog.
type imageServices struct{ identity *identity.Service }

// find is what glance.NewElsewhere needs. This cloud's own addresses are relative.
func (s imageServices) find(ctx context.Context, region, face string) (string, bool, error) {
	all, err := s.identity.Catalog(ctx, "")
	if err != nil {
		return "", false, err
	}
	for _, e := range all {
		for _, end := range e.Endpoints {
			if e.Service.Type == "image" && end.RegionID == region && end.Interface == face {
				return end.URL, strings.HasPrefix(end.URL, "/"), nil
			}
		}
	}
	return "", false, cloud.E("catalog", cloud.NotFound, "The catalog has no %s endpoint of an image service in the region %q.", face, region)
}

// consoles reads serial logs from the nodes.
type consoles struct{ fleet *node.Fleet }

// Console implements compute.Consoles.
func (c consoles) Console(ctx context.Context, name, serverID string, most int) ([]byte, error) {
	n, err := c.fleet.Node(name)
	if err != nil {
		return nil, err
	}
	return n.Console(ctx, serverID, most)
}

// OpenConsole implements compute.Consoles.
func (c consoles) OpenConsole(ctx context.Context, name, serverID string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	n, err := c.fleet.Node(name)
	if err != nil {
		return nil, err
	}
	return n.OpenConsole(ctx, serverID, kind)
}

// InstanceStats implements compute.Consoles.
func (c consoles) InstanceStats(ctx context.Context, name, serverID string) (cloud.InstanceStats, error) {
	n, err := c.fleet.Node(name)
	if err != nil {
		return cloud.InstanceStats{}, err
	}
	return n.InstanceStats(ctx, serverID)
}

// Password implements compute.Consoles.
func (c consoles) Password(ctx context.Context, name, serverID string) (string, error) {
	n, err := c.fleet.Node(name)
	if err != nil {
		return "", err
	}
	return n.Password(ctx, serverID)
}

// ForgetPassword implements compute.Consoles.
func (c consoles) ForgetPassword(ctx context.Context, name, serverID string) error {
	n, err := c.fleet.Node(name)
	if err != nil {
		return err
	}
	return n.ForgetPassword(ctx, serverID)
}

// SetPassword implements compute.Consoles.
func (c consoles) SetPassword(ctx context.Context, name, serverID, user, password string) error {
	n, err := c.fleet.Node(name)
	if err != nil {
		return err
	}
	return n.SetPassword(ctx, serverID, user, password)
}

// nodeDisks tells what disks nodes have.
type nodeDisks struct{ fleet *node.Fleet }

// Volumes implements volume.Disks.
func (n nodeDisks) Volumes(ctx context.Context, name string) ([]cloud.VolumeStatus, error) {
	nd, err := n.fleet.Node(name)
	if err != nil {
		return nil, err
	}
	return nd.Volumes(ctx)
}

// logins tells why logins failed.
type logins struct{ identity *identity.Service }

// Failures implements operator.LoginLog.
func (l logins) Failures() (all []string) {
	for _, f := range l.identity.Failures() {
		all = append(all, fmt.Sprintf("%s  %d×  %s → %s", f.Last.Format(time.RFC3339), f.Count, f.Error(), f.Advice()))
	}
	return all
}

// serve runs everything until ctx ends. Guests outlive it.
func (h *head) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", h.cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen at %s: %w; choose another with --listen", h.cfg.Listen, err)
	}
	server := &http.Server{
		Handler:           nova.Consoles(h.compute, wire.NewMux(h.apis(), h.identity, wire.Options{Log: h.log, BaseURL: h.cfg.URL})),
		ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	if err := writeFile(h.cfg.Paths().Address(), []byte("http://"+listener.Addr().String()+"\n"), 0o644); err != nil {
		return err
	}
	asked := ctx // what ends by the caller's wish ends well
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		h.ready.up("api")
		if err := server.Serve(listener); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return server.Shutdown(stop)
	})
	group.Go(func() error {
		if err := h.ensureOperator(ctx); err != nil {
			return err
		}
		h.ready.up("operator")
		return nil
	})
	group.Go(func() error { return h.control(ctx) })
	group.Go(func() error { return h.recoverImages(ctx) })
	group.Go(func() error { return h.runNode(ctx) })
	h.log.Info("the cloud answers", "url", "http://"+listener.Addr().String(), "driver", h.cfg.Driver, "node", h.cfg.Node)
	if err := group.Wait(); err != nil && asked.Err() == nil {
		return err
	}
	return nil
}

// recoverImages takes back what uploads left behind that were under way when
// the last process ended, and then runs the imports.
func (h *head) recoverImages(ctx context.Context) error {
	if err := h.image.Recover(ctx); err != nil {
		return fmt.Errorf("cannot tidy unfinished uploads: %w", err)
	}
	h.ready.up("images")
	h.image.Work(ctx)
	return nil
}

// keep runs the housekeeper.
func (h *head) keep(ctx context.Context) error {
	keeper := reconcile.New(reconcile.Config{
		Store: h.store, Clock: cloud.SystemClock{}, Fleet: h.fleet, Ports: h.network, Images: h.image, Schedules: h.volume, Keys: h.keys, Backups: keptBackups{h.backups}, Prepare: prepareDisk, Scratch: h.cfg.Paths().Scratch(), Log: h.log, Region: h.cfg.Region, Zone: h.cfg.Zone, DNSDomain: h.cfg.Network.DNSDomain,
		CPURatio: h.cfg.Compute.CPURatio, MemoryRatio: h.cfg.Compute.MemoryRatio, DiskRatio: h.cfg.Compute.DiskRatio,
		Workers: h.cfg.Workers(), Hook: failpoint(h.log), ShelvedOffload: h.cfg.Compute.ShelvedOffload, KeepHistory: h.cfg.Compute.KeepHistory, KeepDeleted: h.cfg.Compute.KeepDeleted,
	})
	if err := keeper.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
