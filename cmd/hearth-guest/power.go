package main

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	evKey    = 1   // linux/input-event-codes.h: EV_KEY
	keyPower = 116 // KEY_POWER
)

// power waits for the ACPI power button, by which a cloud asks a guest to shut
// down, and shuts down. It reads all input devices of the machine. Meanwhile it mounts
// volumes as they come.
func (g *guest) power() error {
	devices, _ := filepath.Glob("/dev/input/event*")
	if len(devices) == 0 {
		return errors.New("no input device: the power button will not be seen")
	}
	go func() {
		if err := g.watchDisks(); err != nil {
			g.say("volumes that come are not mounted: %v", err)
		}
	}()
	pressed := make(chan struct{}, len(devices))
	for _, d := range devices {
		f, err := os.Open(d)
		if err != nil {
			return err
		}
		go func() {
			defer f.Close()
			if waitForPower(f) == nil {
				pressed <- struct{}{}
			}
		}()
	}
	<-pressed
	g.say("power button: shutting down")
	return exec.Command("/sbin/poweroff").Run()
}

// waitForPower reads events of 24 bytes: time, type, code, value.
func waitForPower(f *os.File) error {
	event := make([]byte, 24)
	for {
		if _, err := f.Read(event); err != nil {
			return err
		}
		le := binary.LittleEndian
		if le.Uint16(event[16:]) == evKey && le.Uint16(event[18:]) == keyPower && le.Uint32(event[20:]) == 1 {
			return nil
		}
	}
}
