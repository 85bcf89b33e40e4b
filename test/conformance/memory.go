package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// memory says what hearth holds after a collection: what grows from one run to
// the next is a leak.
func (c *theCloud) memory(ctx context.Context) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(c.Data(), "control.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hearth/memory", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var use struct {
		Goroutines int     `json:"goroutines"`
		Heap       float64 `json:"heap_bytes"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&use); err != nil {
		return "", err
	}
	return fmt.Sprintf("memory after a collection: PSS %.1f MiB, heap %.1f MiB, %d goroutines", c.pss(), use.Heap/(1<<20), use.Goroutines), nil
}

// settle is how long the cloud is left alone before its memory is read, so that
// connections of clients that ended are closed and what was deleted is gone.
const settle = 5 * time.Second

// repeat runs Tempest as often as asked for, in one cloud. The results are those
// of the last run; results that differ between runs show in what the runs print.
func (o options) repeat(ctx context.Context, c *theCloud, ws *workspace, m mode) (results []result, took time.Duration, err error) {
	for run := 0; run <= o.times; run++ {
		began := time.Now()
		if run > 0 {
			if results, err = ws.tempest(ctx, o, m); err != nil {
				return nil, 0, err
			}
		}
		took = time.Since(began)
		<-time.NewTimer(settle).C
		use, err := c.memory(ctx)
		if err != nil {
			return nil, 0, err
		}
		fmt.Printf("run %d: %.0f s; %s\n", run, took.Seconds(), use)
	}
	return results, took, nil
}
