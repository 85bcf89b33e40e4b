package main

import (
	"context"
	"maps"
	"sync"
)

// readiness knows which parts of the cloud are up.
type readiness struct {
	mu    sync.Mutex
	parts map[string]bool
	all   chan struct{} // closed when every part is up
}

func newReadiness(parts ...string) *readiness {
	r := &readiness{parts: map[string]bool{}, all: make(chan struct{})}
	for _, p := range parts {
		r.parts[p] = false
	}
	return r
}

// up marks a part as up.
func (r *readiness) up(part string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts[part] {
		return
	}
	r.parts[part] = true
	if r.ok() {
		close(r.all)
	}
}

func (r *readiness) ok() bool {
	for _, up := range r.parts {
		if !up {
			return false
		}
	}
	return true
}

// Ready implements operator.Readiness.
func (r *readiness) Ready() (map[string]bool, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.parts), r.ok()
}

// Wait implements operator.Readiness.
func (r *readiness) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-r.all:
	}
}
