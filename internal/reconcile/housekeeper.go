// Package reconcile is the housekeeper: it reads what is wanted from the store,
// makes the nodes match, and writes what they report. One file is one job; a
// job is a query that finds what is due and a function that takes one of it one
// step further, so a test can call it step by step with a fake clock.
//
// Nothing of a job is kept in memory only: whatever is half done when the
// process dies is found by the same query at the next start.
package reconcile

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// PortKeeper releases the ports of a server that goes; service/network is one.
type PortKeeper interface {
	// ReleaseDeviceTx deletes the ports that were made for the device and
	// unbinds those that its owner made, addresses and floating IPs with them.
	ReleaseDeviceTx(tx *store.Tx, deviceID string) error
	// UnbindPortTx takes one port off its device and keeps it; DeletePortTx removes
	// it.
	UnbindPortTx(tx *store.Tx, p cloud.Port) error
	DeletePortTx(tx *store.Tx, p cloud.Port) error
}

// ImageTaker takes the bytes of images that are made of volumes; service/image is
// one.
type ImageTaker interface {
	// Upload gives a queued image its bytes; see image.Service.
	Upload(ctx context.Context, caller cloud.Caller, id string, body io.Reader, length int64) error
	// Delete removes an image.
	Delete(ctx context.Context, caller cloud.Caller, id string) error
}

// Keys opens what was sealed; vault.Vault does.
type Keys interface {
	Open(sealed []byte, whose string) (cloud.Secret, error)
}

// Config is what a Housekeeper is made of.
type Config struct {
	Store  *store.Store
	Clock  cloud.Clock
	Fleet  *node.Fleet
	Ports  PortKeeper
	Images ImageTaker
	// Schedules makes scheduled snapshots; nil for none.
	Schedules Scheduler
	// Keys opens the keys of encrypted volumes; nil for none.
	Keys Keys
	// Backups is where backups of volumes are kept.
	Backups Backups
	// Prepare takes out of a raw disk of a guest what makes it that one guest, for
	// images that ask for it; an error of the disk room tells why it cannot be done.
	Prepare func(ctx context.Context, path string) error
	// Scratch is a folder for disks that are prepared.
	Scratch string
	Log     *slog.Logger
	Region  string

	// Overcommit of hosts; see schedule.
	CPURatio, MemoryRatio, DiskRatio float64
	// Workers is how many servers are worked on at once.
	Workers int
	// Zone is the availability zone of hosts that have none set.
	Zone string
	// DNSDomain is the domain of names on networks that have none of their own.
	DNSDomain string
	// ShelvedOffload is how long a shelved server stays on its host: 0 not at all,
	// below 0 until it is told to go.
	ShelvedOffload time.Duration
	// KeepHistory is how long deleted servers count in the usage; 0 for ever.
	KeepHistory time.Duration
	// KeepDeleted is how long the records of deleted servers, and their actions, are
	// kept; 0 for ever.
	KeepDeleted time.Duration
	// Hook is called at named points, such as "reconcile.place.after", for tests
	// that kill the head there; nil for none.
	Hook func(point string)
}

// Housekeeper runs the jobs.
type Housekeeper struct {
	Config
	nets   netSync
	seed   []byte
	kicked chan struct{}

	mu   sync.Mutex
	busy map[string]bool // servers that a worker has in hand
}

// New makes a housekeeper; Run starts it.
func New(cfg Config) *Housekeeper {
	if cfg.Workers == 0 {
		cfg.Workers = 8
	}
	if cfg.Zone == "" {
		cfg.Zone = "nova"
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) {}
	}
	return &Housekeeper{Config: cfg, kicked: make(chan struct{}, 1), busy: map[string]bool{}, nets: netSync{nodes: map[string]*nodeSync{}}}
}

// Run works until ctx ends. Every job also runs on a slow beat, so that nothing
// depends on a signal that was lost.
func (k *Housekeeper) Run(ctx context.Context) error {
	if err := k.loadSeed(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	start := func(job func(context.Context)) {
		wg.Add(1)
		go func() { defer wg.Done(); job(ctx) }()
	}
	start(k.runHosts)
	start(k.runServers)
	start(k.runNetworks)
	start(k.runVolumes)
	start(k.runExports)
	start(k.runPrune)
	start(k.runPrecache)
	start(k.runSchedules)
	wg.Wait()
	return ctx.Err()
}

// beat calls work at once, after each signal on changed, and at least every
// period, until ctx ends.
func beat(ctx context.Context, changed <-chan struct{}, period time.Duration, work func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		work(ctx)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// backOff is how long to wait before try n+1: 1 s, doubled up to a minute.
func backOff(attempt int) time.Duration {
	return min(time.Minute, time.Second<<min(attempt, 6))
}
