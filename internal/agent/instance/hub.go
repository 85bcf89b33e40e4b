package instance

import (
	"sync"

	"hearth/internal/cloud"
)

// hub tells watchers of changes, each in the order they happened.
type hub struct {
	mu       sync.Mutex
	watchers map[int]func(cloud.InstanceStatus)
	next     int
}

// join adds a watcher and tells it the present first; nothing that happens
// meanwhile is lost.
func (h *hub) join(fn func(cloud.InstanceStatus), present func() []cloud.InstanceStatus) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[int]func(cloud.InstanceStatus){}
	}
	id := h.next
	h.next++
	for _, st := range present() {
		fn(st)
	}
	h.watchers[id] = fn
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, id)
	}
}

// tell gives a status, read when it is its turn, to all.
func (h *hub) tell(status func() cloud.InstanceStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := status()
	for _, fn := range h.watchers {
		fn(st)
	}
}
