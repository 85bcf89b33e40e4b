package main

import (
	"time"
)

// settle is how long the process is left alone before its memory is read.
const settle = 5 * time.Second

// start measures the first start, with an empty directory, and later ones; then
// the memory at rest.
func (b bench) start() []figure {
	var first, firstReady, second, secondReady, pss []float64
	for range b.runs {
		c := b.newCloud("qemu")
		answers, ready := c.start()
		first, firstReady = append(first, answers.Seconds()), append(firstReady, ready.Seconds())
		c.Stop()
		answers, ready = c.start()
		second, secondReady = append(second, answers.Seconds()), append(secondReady, ready.Seconds())
		if len(pss) == 0 {
			<-time.NewTimer(settle).C
			pss = append(pss, c.pss())
		}
		tidy()
	}
	return []figure{
		atMost("first start: exec to all APIs", 0.5, "s", first), plain("first start: exec to ready, networks and node too", "s", firstReady),
		atMost("later start: exec to all APIs", 0.5, "s", second), plain("later start: exec to ready, networks and node too", "s", secondReady),
		atMost("memory at rest, PSS", 60, "MiB", pss),
	}
}
