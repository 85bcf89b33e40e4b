package identity

import (
	"context"
	"runtime"
	"testing"
	"time"

	"hearth/internal/cloud"
)

func TestRightPasswordsAreRemembered(t *testing.T) {
	now := cloud.NewFakeClock().Now()
	v := newVerified(5 * time.Minute)
	v.add(v.mark("hash", "right"), now)
	for _, c := range []struct {
		name, hash, password string
		after                time.Duration
		want                 bool
	}{
		{"at once", "hash", "right", 0, true},
		{"just in time", "hash", "right", 5*time.Minute - 1, true},
		{"too late", "hash", "right", 5 * time.Minute, false},
		{"another password", "hash", "wrong", 0, false},
		{"a changed hash", "hash2", "right", 0, false},
	} {
		if got := v.has(v.mark(c.hash, c.password), now.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if other := newVerified(time.Minute); other.mark("hash", "right") == v.mark("hash", "right") {
		t.Error("two processes have the same marks")
	}
	never := newVerified(-1)
	never.add(never.mark("hash", "right"), now)
	if len(never.until) != 0 {
		t.Error("remembered though told not to")
	}
}

func TestLimiterSendsAway(t *testing.T) {
	l := newLimiter(1, 1)
	if err := l.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- l.enter(ctx) }()
	for len(l.queue) < 2 { // until the other waits
		runtime.Gosched()
	}
	if err := l.enter(t.Context()); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("the third: %v", err)
	}
	cancel()
	if err := <-waiting; !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("the second, which gave up: %v", err)
	}
	l.leave()
	if err := l.enter(t.Context()); err != nil {
		t.Errorf("a free place: %v", err)
	}
}
