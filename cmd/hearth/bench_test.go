package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// clouds is a cloud that counts its servers.
type clouds struct {
	mu           sync.Mutex
	there, made  int
	fails        string
	interrupt    context.CancelFunc
	interruptAt  int
	neverActive  bool
	untold       bool
	removeBroken bool
}

func (c *clouds) create(_ context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == c.fails {
		return "", errors.New("no host fits")
	}
	c.there++
	c.made++
	if c.made == c.interruptAt {
		c.interrupt()
	}
	return name, nil
}

func (c *clouds) active(ctx context.Context, _ string) error {
	if c.neverActive {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (c *clouds) disk(context.Context, string) (time.Duration, bool) { return time.Second, !c.untold }

func (c *clouds) remove(ctx context.Context, _ string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removeBroken {
		return errors.New("it is locked")
	}
	c.there--
	return nil
}

func TestBenchDeletesWhatItMade(t *testing.T) {
	run := benchRun{prefix: "b", count: 7, parallel: 3, limit: time.Minute}
	for name, test := range map[string]struct {
		cloud *clouds
		says  string
		err   string
	}{
		"all":         {&clouds{}, "disk              7        1s", ""},
		"no word":     {&clouds{untold: true}, "create to ACTIVE  7", ""},
		"one fails":   {&clouds{fails: "b-4"}, "create to ACTIVE  6", "1 of 7 servers"},
		"interrupted": {&clouds{interruptAt: 2, neverActive: true}, "STEP", "context canceled"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		test.cloud.interrupt = cancel
		var out bytes.Buffer
		err := run.measure(ctx, test.cloud, &out, io.Discard)
		cancel()
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
		if test.cloud.there != 0 {
			t.Errorf("%s: %d servers stay", name, test.cloud.there)
		}
	}
	var progress bytes.Buffer
	if err := run.measure(t.Context(), &clouds{removeBroken: true}, io.Discard, &progress); err == nil || !strings.Contains(progress.String(), "server b-1 (b-1) stays: it is locked") {
		t.Errorf("%v\n%s", err, progress.String())
	}
}

func TestPercentile(t *testing.T) {
	var list []time.Duration
	for i := 20; i > 0; i-- {
		list = append(list, time.Duration(i))
	}
	for per, want := range map[int]time.Duration{50: 10, 95: 19, 100: 20, 1: 1} {
		if got := percentile(list, per); got != want {
			t.Errorf("p%d is %d, want %d", per, got, want)
		}
	}
	if percentile(nil, 50) != 0 || percentile(list[:1], 50) != 20 {
		t.Error("of none, or of one")
	}
}

func TestDiskTook(t *testing.T) {
	took, told := diskTook([]string{"10:00:00.000  image          12.5ms", "10:00:00.100  disk           1.02s", "10:00:01.000  guest  3s", "10:00:01.000  disk  2s, failed: x"})
	if !told || took != 1032500*time.Microsecond {
		t.Errorf("%s, %v", took, told)
	}
	if _, told := diskTook(nil); told {
		t.Error("told of nothing")
	}
}
