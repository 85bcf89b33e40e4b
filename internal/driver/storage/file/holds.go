package file

import "sync"

// holds counts who is cloning an image just now, so that it is not removed
// beneath a disk that is not in its place yet.
type holds struct {
	mu sync.Mutex
	n  map[string]int
}

func (h *holds) take(digest string) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == nil {
		h.n = map[string]int{}
	}
	h.n[digest]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.n[digest]--; h.n[digest] == 0 {
			delete(h.n, digest)
		}
	}
}

func (h *holds) held(digest string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n[digest] > 0
}
