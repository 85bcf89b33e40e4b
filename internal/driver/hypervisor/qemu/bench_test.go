package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hearth/internal/driver/hypervisor/hypervisortest"
)

// BenchmarkStart measures from the call of Start to a guest whose monitor has answered; and its end.
func BenchmarkStart(b *testing.B) {
	real(b)
	d := New(Options{CacheDir: b.TempDir()})
	cfg := guestConfig(b)
	var ends time.Duration
	if _, err := d.Probe(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g, err := d.Start(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		begin := time.Now()
		if err := g.Quit(b.Context()); err != nil {
			b.Fatal(err)
		}
		ends += time.Since(begin)
		b.StartTimer()
	}
	b.ReportMetric(float64(ends.Milliseconds())/float64(b.N), "ms/quit")
}

// BenchmarkFirstWord measures from the start to the guest's own greeting on its console, with the driver and with QEMU
// started by hand.
func BenchmarkFirstWord(b *testing.B) {
	real(b)
	b.Run("driver", func(b *testing.B) {
		d := New(Options{Accel: "tcg"})
		if _, err := d.Probe(b.Context()); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			b.StopTimer()
			cfg := guestConfig(b)
			b.StartTimer()
			g, err := d.Start(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			waitForText(b, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
			b.StopTimer()
			if err := g.Quit(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			cfg := guestConfig(b)
			log := filepath.Join(b.TempDir(), "serial")
			b.StartTimer()
			cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", fmt.Sprint(cfg.MemoryMB),
				"-display", "none", "-serial", "file:"+log, "-drive", "if=virtio,format=raw,file="+cfg.Disks[0].Path)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			waitForText(b, log, hypervisortest.BootGreeting)
			b.StopTimer()
			cmd.Process.Kill()
			cmd.Wait()
			b.StartTimer()
		}
	})
}
