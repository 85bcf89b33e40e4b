package glance

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSteady counts the time that a read waits, and none other: who reads may pause for longer.
func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		sent, sender := io.Pipe()
		context.AfterFunc(ctx, func() { sender.CloseWithError(context.Canceled) }) // as a connection ends with its request
		body := Steady(ctx, cancel, sent, time.Minute)
		defer body.Close()
		go func() {
			for range 2 {
				time.Sleep(59 * time.Second)
				_, _ = io.WriteString(sender, "some")
			}
		}()
		p := make([]byte, 10)
		for range 2 {
			if n, err := body.Read(p); n != 4 || err != nil {
				t.Fatalf("%d bytes, %v", n, err)
			}
			time.Sleep(time.Hour)
		}
		at := time.Now()
		if n, err := body.Read(p); n != 0 || err == nil || err.Error() != "no byte came for 1m0s" || time.Since(at) != time.Minute {
			t.Errorf("%d bytes, %v after %s", n, err, time.Since(at))
		}
	})
}

// TestSteadyEnds gives the end of a body as it is, and ends the request when it is closed.
func TestSteadyEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	body := Steady(ctx, cancel, io.NopCloser(strings.NewReader("all")), time.Minute)
	if got, err := io.ReadAll(body); string(got) != "all" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := body.Close(); err != nil || ctx.Err() == nil {
		t.Errorf("%v; the request goes on", err)
	}
}
