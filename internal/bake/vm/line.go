package vm

import (
	"encoding/json"
	"fmt"
	"os"

	"hearth/internal/driver/hypervisor"
)

// Line is QEMU's command line under construction, with the files it is handed.
type Line struct {
	Words []string
	Files []*os.File
}

// Add appends words.
func (l *Line) Add(words ...string) { l.Words = append(l.Words, words...) }

// FD hands a file over and gives its number in QEMU.
func (l *Line) FD(f *os.File) int {
	l.Files = append(l.Files, f)
	return 2 + len(l.Files)
}

// Path opens a file with a flag of os.OpenFile, hands it over and gives the name by which QEMU opens it.
func (l *Line) Path(name string, flag int) (string, error) {
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return "", err
	}
	n := l.FD(f)
	l.Add("-add-fd", fmt.Sprintf("fd=%d,set=%d", n, n))
	return fmt.Sprintf("/dev/fdset/%d", n), nil
}

// Close closes what was handed over; QEMU has its own descriptors once it runs.
func (l *Line) Close() {
	for _, f := range l.Files {
		f.Close()
	}
	l.Files = nil
}

// Block adds a block node of a raw or qcow2 file with nothing, or backing, below it.
// What is written goes to the host's cache: a guest here lives no longer than the host.
func (l *Line) Block(node, driver, path string, flag int, backing any) error {
	name, err := l.Path(path, flag)
	if err != nil {
		return err
	}
	readOnly := flag == os.O_RDONLY
	n := map[string]any{"node-name": node, "driver": driver, "read-only": readOnly, "cache": map[string]any{"no-flush": true},
		"file": map[string]any{"driver": "file", "filename": name, "read-only": readOnly}}
	if driver == "qcow2" {
		n["backing"] = backing
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	l.Add("-blockdev", string(b))
	return nil
}

// Base adds what every machine here has: no screen, no configuration of the user's, a
// serial line and a monitor by descriptors, a source of chance, and QEMU's own walls. machine
// is "pc" or "q35", with options; cpu is of QEMU's models, "" the best for the accelerator.
func (l *Line) Base(machine, accel, cpu string, memoryMB, serial, monitor int) {
	l.Add("-machine", machine+",usb=off,vmport=off,graphics=off", // SeaBIOS speaks on the serial line then
		"-no-user-config", "-nodefaults", "-display", "none", "-vga", "none", "-rtc", "base=utc",
		"-m", fmt.Sprintf("%dM", memoryMB), "-smp", "2",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-chardev", fmt.Sprintf("socket,id=serial,fd=%d", serial), "-device", "isa-serial,chardev=serial",
		"-chardev", fmt.Sprintf("socket,id=mon,fd=%d", monitor), "-mon", "chardev=mon,mode=control",
		"-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng", "-device", "pvpanic")
	if accel == "kvm" {
		l.Add("-accel", "kvm")
	} else {
		l.Add("-accel", fmt.Sprintf("tcg,thread=multi,tb-size=%d", hypervisor.TranslationMB(memoryMB)))
	}
	if cpu == "" {
		cpu = BestCPU(accel)
	}
	l.Add("-cpu", cpu)
}

// BestCPU is the model with all that the accelerator can give.
func BestCPU(accel string) string {
	if accel == "kvm" {
		return "host"
	}
	return "max"
}
