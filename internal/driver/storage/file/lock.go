package file

import (
	"context"
	"sync"
)

// keyLocks is a lock for each name; whoever waits can give up.
type keyLocks struct {
	mu sync.Mutex
	m  map[string]*keyLock
}

type keyLock struct {
	token chan struct{} // holds one token while the lock is free
	users int
}

// lock waits for the lock of a name, or for the end of ctx.
func (k *keyLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.m == nil {
		k.m = map[string]*keyLock{}
	}
	l := k.m[name]
	if l == nil {
		l = &keyLock{token: make(chan struct{}, 1)}
		l.token <- struct{}{}
		k.m[name] = l
	}
	l.users++
	k.mu.Unlock()
	select {
	case <-l.token:
		return func() { l.token <- struct{}{}; k.leave(name, l) }, nil
	case <-ctx.Done():
		k.leave(name, l)
		return nil, ctx.Err()
	}
}

func (k *keyLocks) leave(name string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.m, name)
	}
}

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
