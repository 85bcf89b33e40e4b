package glance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// StallTime is how long the body of a download may be silent.
const StallTime = time.Minute

// Steady is the body of an answer that is given up when a read of it waits for a byte longer than
// limit: the request, whose context is ctx, is ended by cancel, and the read's error says why. Only
// the time that a read waits counts, for who reads may pause. Close ends the request, too.
func Steady(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limit time.Duration) io.ReadCloser {
	return &steady{ctx: ctx, cancel: cancel, body: body, limit: limit}
}

type steady struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	limit  time.Duration
}

// Read implements io.Reader.
func (s *steady) Read(p []byte) (int, error) {
	watch := time.AfterFunc(s.limit, func() { s.cancel(fmt.Errorf("no byte came for %s", s.limit)) })
	n, err := s.body.Read(p)
	watch.Stop()
	if err != nil && !errors.Is(err, io.EOF) && s.ctx.Err() != nil {
		err = context.Cause(s.ctx)
	}
	return n, err
}

// Close implements io.Closer.
func (s *steady) Close() error {
	s.cancel(nil)
	return s.body.Close()
}
