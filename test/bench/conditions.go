package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// conditions tells on what the figures were measured.
func conditions(bin string) string {
	model := "unknown processor"
	if body, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(body)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _ := exec.Command(bin, "version").Output()
	qemu, _ := exec.Command("qemu-system-x86_64", "--version").Output()
	first, _, _ := strings.Cut(string(qemu), "\n")
	return fmt.Sprintf("%s\n%s, %d processors, Linux %s, load %s\n%s%s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), model, runtime.NumCPU(),
		strings.TrimSpace(string(kernel)), strings.TrimSpace(string(load)), version, first)
}
