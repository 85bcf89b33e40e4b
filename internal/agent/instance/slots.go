package instance

import "context"

// slots bound how many do something at a time.
type slots chan struct{}

func (s slots) take(ctx context.Context) (release func(), err error) {
	if s == nil {
		return func() {}, ctx.Err()
	}
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
