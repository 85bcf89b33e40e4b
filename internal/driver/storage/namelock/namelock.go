// Package namelock is a lock for each name, which storage drivers take for a disk
// or an image while they make it.
package namelock

import (
	"context"
	"sync"
)

// Locks is a lock for each name; whoever waits can give up. The zero Locks is ready.
type Locks struct {
	mu sync.Mutex
	m  map[string]*keyLock
}

type keyLock struct {
	token chan struct{} // holds one token while the lock is free
	users int
}

// Lock waits for the lock of a name, or for the end of ctx.
func (k *Locks) Lock(ctx context.Context, name string) (unlock func(), err error) {
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

func (k *Locks) leave(name string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.m, name)
	}
}
