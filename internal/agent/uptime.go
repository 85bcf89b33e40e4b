package agent

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// bootedAt is when the kernel was started, in whole seconds; zero where
// /proc/uptime does not say it (proc(5)).
func bootedAt(now time.Time) time.Time {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil || seconds < 0 {
		return time.Time{}
	}
	return now.Add(-time.Duration(seconds * float64(time.Second))).UTC().Truncate(time.Second)
}

// loadAverage is the number of running tasks over 1, 5 and 15 minutes; zeros
// where /proc/loadavg does not say it (proc(5)).
func loadAverage() (load [3]float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return load
	}
	fields := strings.Fields(string(text))
	for i := range min(len(load), len(fields)) {
		load[i], _ = strconv.ParseFloat(fields[i], 64)
	}
	return load
}
