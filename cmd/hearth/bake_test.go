package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hearth/internal/bake"
)

// TestShowSteps names a step that takes long before it ends, and a short one once.
func TestShowSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		show := showSteps(&b)
		show(bake.Step{Name: "short"})
		time.Sleep(time.Second)
		show(bake.Step{Name: "short", Finished: true, Took: time.Second})
		time.Sleep(time.Minute)
		show(bake.Step{Name: "long"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Fields(b.String()); strings.Join(got, " ") != "short 1s long …" {
			t.Errorf("%q", got)
		}
		show(bake.Step{Name: "long", Finished: true, Took: time.Minute})
		time.Sleep(time.Minute)
		if got := strings.Fields(b.String()); strings.Join(got, " ") != "short 1s long … long 1m0s" {
			t.Errorf("%q", got)
		}
	})
}
