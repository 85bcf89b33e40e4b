package reconcile

import (
	"context"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// runHosts follows every node of the fleet: its status on a slow beat, its
// instances by its watch.
func (k *Housekeeper) runHosts(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	followed := map[string]bool{}
	var mu sync.Mutex
	beat(ctx, k.Fleet.Changed(), 10*time.Second, func(ctx context.Context) {
		for _, name := range k.Fleet.Names() {
			n, err := k.Fleet.Node(name)
			if err != nil {
				continue
			}
			if err := k.ObserveHost(ctx, name, n); err != nil && ctx.Err() == nil {
				k.Log.Warn("a node does not report", "node", name, "error", err)
				continue
			}
			mu.Lock()
			if !followed[name] {
				followed[name] = true
				wg.Add(1)
				go func() {
					defer wg.Done()
					k.follow(ctx, name, n)
					mu.Lock()
					delete(followed, name)
					mu.Unlock()
				}()
			}
			mu.Unlock()
		}
	})
}

// ObserveHost writes down what a node reports of itself.
func (k *Housekeeper) ObserveHost(ctx context.Context, name string, n node.Node) error {
	status, err := n.Status(ctx)
	if err != nil {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		host, err := tx.Hosts.Get(name)
		if cloud.Is(err, cloud.NotFound) {
			host, err = cloud.Host{Name: name, ID: cloud.NewID(), AvailabilityZone: k.Zone, CreatedAt: k.Clock.Now()}, nil
		}
		if err != nil {
			return err
		}
		host.Seen, host.SeenAt = status, k.Clock.Now()
		return tx.Hosts.Put(host)
	})
}

// follow keeps a node's observations flowing until it goes away.
func (k *Housekeeper) follow(ctx context.Context, name string, n node.Node) {
	if err := k.Resync(ctx, name, n); err != nil && ctx.Err() == nil {
		k.Log.Warn("cannot compare a node with what is wanted of it", "node", name, "error", err)
	}
	inbox := newInbox()
	watch, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); k.drain(watch, name, inbox) }()
	err := n.Watch(ctx, inbox.put)
	stop()
	<-done
	if err != nil && ctx.Err() == nil {
		k.Log.Warn("a node's watch ended", "node", name, "error", err)
	}
}

// fleet is the snapshot that the scheduler plans with.
func (k *Housekeeper) fleet(tx *store.Tx) (schedule.Fleet, error) {
	return placement.FleetTx(tx, schedule.Ratios{CPU: k.CPURatio, Memory: k.MemoryRatio, Disk: k.DiskRatio}, k.Clock.Now())
}
