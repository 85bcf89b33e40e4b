package boottest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"hearth/internal/bake/vm"
)

// guest is a running QEMU whose network is listened to.
type guest struct {
	*vm.Guest
	frames *os.File // what goes over its network, see frames.go
	port   int      // on 127.0.0.1, that leads to the guest's 22
}

// arguments makes the command line. The serial line, the monitor and the frames come
// by the descriptors given.
func (t *test) arguments(l *vm.Line, serial, monitor, frames int) error {
	machine := t.opt.Machine
	if t.opt.Firmware == "uefi" {
		if err := t.uefi(l); err != nil {
			return err
		}
		machine += ",pflash0=code,pflash1=vars"
	}
	l.Base(machine, t.accel, t.opt.CPU, t.opt.MemoryMB, serial, monitor)
	l.Add("-name", "guest="+instanceName, "-boot", "strict=on,menu=off", "-action", "reboot=reset,shutdown=poweroff,panic=none",
		"-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22", "-device", "virtio-net-pci,netdev=net,romfile=,mac="+guestMAC,
		"-object", fmt.Sprintf("filter-dump,id=frames,netdev=net,maxlen=%d,file=/proc/self/fd/%d", maxFrame, frames))
	if err := t.kernel(l); err != nil {
		return err
	}
	return t.disks(l)
}

// guestMAC is in the range of QEMU.
const guestMAC = "52:54:00:48:65:61"

func (t *test) disks(l *vm.Line) error {
	if err := l.Block("base", string(t.layer.Format), t.layer.Path, os.O_RDONLY, nil); err != nil {
		return err
	}
	if err := l.Block("root", "qcow2", filepath.Join(t.dir, "overlay"), os.O_RDWR, "base"); err != nil {
		return err
	}
	l.Add("-device", "virtio-blk-pci,drive=root,bootindex=1")
	for _, name := range []string{"config", "seed"} {
		if err := l.Block(name, "raw", filepath.Join(t.dir, name), os.O_RDONLY, nil); err != nil {
			return err
		}
		l.Add("-device", "virtio-blk-pci,drive="+name)
	}
	return nil
}

// firmwares are OVMF's code and the variables it begins with, as Debian, Fedora and
// SUSE have them.
var firmwares = [][2]string{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
	{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
}

// uefi adds the firmware as flash; its variables are a copy.
func (t *test) uefi(l *vm.Line) error {
	for _, f := range firmwares {
		vars, err := os.ReadFile(f[1])
		if err != nil {
			continue
		}
		own := filepath.Join(t.dir, "vars")
		if err := os.WriteFile(own, vars, 0o600); err != nil {
			return err
		}
		if err := l.Block("code", "raw", f[0], os.O_RDONLY, nil); err != nil {
			return err
		}
		return l.Block("vars", "raw", own, os.O_RDWR, nil)
	}
	return fail("there is no firmware for UEFI here; Debian has it in the package ovmf")
}

// start starts QEMU and asks where the guest's ssh is found.
func (t *test) start(ctx context.Context) (*guest, error) {
	frames, framesFile, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	g := &guest{frames: frames}
	g.Guest, err = vm.Start(ctx, t.binary, []*os.File{framesFile}, func(l *vm.Line, serial, monitor int) error {
		return t.arguments(l, serial, monitor, l.FD(framesFile))
	})
	framesFile.Close()
	if err != nil {
		frames.Close()
		return nil, fail("QEMU did not start: %v", err)
	}
	if err := g.findPort(ctx); err != nil {
		g.kill()
		return nil, fail("QEMU did not start: %v: %s", err, strings.TrimSpace(g.Errors()))
	}
	return g, nil
}

var forwarded = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s`)

func (g *guest) findPort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var text string
	if err := g.Mon.Execute(ctx, "human-monitor-command", map[string]string{"command-line": "info usernet"}, &text); err != nil {
		return err
	}
	found := forwarded.FindStringSubmatch(text)
	if found == nil {
		return errors.New("it forwards no port")
	}
	_, err := fmt.Sscan(found[1], &g.port)
	return err
}

// kill ends the guest, if it is there, and what reads from it.
func (g *guest) kill() {
	g.Kill()
	g.frames.Close()
}
