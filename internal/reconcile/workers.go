package reconcile

import "context"

// take marks a server as in hand, unless it is.
func (k *Housekeeper) take(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[id] {
		return false
	}
	k.busy[id] = true
	return true
}

// letGo ends what take began.
func (k *Housekeeper) letGo(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, id)
}

// kick has the discover queries run again soon. Kicks are merged.
func (k *Housekeeper) kick() {
	select {
	case k.kicked <- struct{}{}:
	default:
	}
}

// merge gives one channel that is signalled when either of two is, until ctx
// ends. Signals are merged.
func merge(ctx context.Context, a, b <-chan struct{}) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-a:
			case <-b:
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}
