package reconcile

import (
	"context"
	"sync"
	"time"

	"hearth/internal/cloud"
)

// inbox holds what a node reported and nobody wrote down yet: the newest of
// each instance. A burst of reports becomes one transaction.
type inbox struct {
	mu      sync.Mutex
	newest  map[string]cloud.InstanceStatus
	arrived chan struct{}
}

func newInbox() *inbox {
	return &inbox{newest: map[string]cloud.InstanceStatus{}, arrived: make(chan struct{}, 1)}
}

// put takes a report; it never blocks.
func (b *inbox) put(status cloud.InstanceStatus) {
	b.mu.Lock()
	b.newest[status.ID] = status
	b.mu.Unlock()
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// takeAll empties the inbox.
func (b *inbox) takeAll() []cloud.InstanceStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]cloud.InstanceStatus, 0, len(b.newest))
	for _, s := range b.newest {
		all = append(all, s)
	}
	clear(b.newest)
	return all
}

// putBack returns reports that could not be written, unless newer ones came.
func (b *inbox) putBack(statuses []cloud.InstanceStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range statuses {
		if _, newer := b.newest[s.ID]; !newer {
			b.newest[s.ID] = s
		}
	}
}

// drain writes reports down as they arrive, until ctx ends.
func (k *Housekeeper) drain(ctx context.Context, node string, in *inbox) {
	beat(ctx, in.arrived, 5*time.Second, func(ctx context.Context) {
		statuses := in.takeAll()
		if len(statuses) == 0 {
			return
		}
		if err := k.Observe(ctx, node, statuses...); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot write what a node reports; it is tried again", "node", node, "reports", len(statuses), "error", err)
			in.putBack(statuses)
		}
	})
}
