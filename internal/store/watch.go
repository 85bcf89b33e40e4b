package store

import (
	"slices"
	"sync"
)

// bell tells watchers of commits.
type bell struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
	commits  map[string]int64 // by table
	missed   int64            // how often something may have been missed of any of them
}

// watcher has room for one signal: a second one before the first is taken says
// nothing new.
type watcher struct {
	tables []string
	signal chan struct{}
}

func newBell() *bell { return &bell{watchers: map[*watcher]bool{}, commits: map[string]int64{}} }

func (b *bell) watch(tables []string) (<-chan struct{}, func()) {
	w := &watcher{tables: slices.Clone(tables), signal: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[w] = true
	return w.signal, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, w)
	}
}

// ring signals the watchers of the tables.
func (b *bell) ring(tables []string) {
	if len(tables) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range tables {
		b.commits[t]++
	}
	for w := range b.watchers {
		if len(w.tables) == 0 || slices.ContainsFunc(tables, func(t string) bool { return slices.Contains(w.tables, t) }) {
			w.poke()
		}
	}
}

// ringAll signals everyone, when something may have been missed.
func (b *bell) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missed++
	for w := range b.watchers {
		w.poke()
	}
}

// heard counts the commits to each of some tables, of which it knows.
func (b *bell) heard(tables []string) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]int64, len(tables))
	for i, t := range tables {
		out[i] = b.commits[t] + b.missed
	}
	return out
}

func (w *watcher) poke() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}
