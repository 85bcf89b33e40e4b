package node

import (
	"sort"
	"sync"

	"hearth/internal/cloud"
)

// Fleet is the nodes that the head can reach now, by name. It is safe for
// concurrent use.
type Fleet struct {
	mu      sync.RWMutex
	nodes   map[string]Node
	changed []chan struct{}
}

// NewFleet makes an empty fleet.
func NewFleet() *Fleet { return &Fleet{nodes: map[string]Node{}} }

// Join puts a node into the fleet, in place of one of the same name.
func (f *Fleet) Join(name string, n Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[name] = n
	f.signal()
}

// Leave takes a node out.
func (f *Fleet) Leave(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.nodes, name)
	f.signal()
}

// Changed gives a channel that is signalled after joins and leaves. Signals are
// merged; each call gives a channel of its own.
func (f *Fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{}, 1)
	f.changed = append(f.changed, c)
	return c
}

func (f *Fleet) signal() {
	for _, c := range f.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Node gives the node of a name; Unavailable when it is not connected.
func (f *Fleet) Node(name string) (Node, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if n, ok := f.nodes[name]; ok {
		return n, nil
	}
	return nil, cloud.E("node.Fleet", cloud.Unavailable, "node %s is not connected to this head: see 'hearth doctor' on it", name)
}

// Names lists the nodes, sorted.
func (f *Fleet) Names() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	names := make([]string, 0, len(f.nodes))
	for n := range f.nodes {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
