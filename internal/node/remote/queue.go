package remote

import (
	"slices"
	"sync"

	"hearth/internal/cloud"
)

// maxQueue is how many statuses wait before older ones of the same instance are
// dropped.
const maxQueue = 1024

// queue holds statuses that are not sent yet; put never blocks.
type queue struct {
	mu      sync.Mutex
	waiting []cloud.InstanceStatus
	limit   int
	arrived chan struct{}
}

func newQueue() *queue { return &queue{arrived: make(chan struct{}, 1), limit: maxQueue} }

func (q *queue) put(st cloud.InstanceStatus) {
	q.mu.Lock()
	q.waiting = append(q.waiting, st)
	if len(q.waiting) > q.limit {
		q.waiting = newest(q.waiting)
		q.limit = max(maxQueue, 2*len(q.waiting)) // that many instances there are
	}
	q.mu.Unlock()
	select {
	case q.arrived <- struct{}{}:
	default:
	}
}

func (q *queue) takeAll() []cloud.InstanceStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = nil
	return all
}

// newest keeps the last status of each instance, in order.
func newest(all []cloud.InstanceStatus) []cloud.InstanceStatus {
	seen := map[string]bool{}
	var out []cloud.InstanceStatus
	for _, st := range slices.Backward(all) {
		if !seen[st.ID] {
			seen[st.ID] = true
			out = append(out, st)
		}
	}
	slices.Reverse(out)
	return out
}
