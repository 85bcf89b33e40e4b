package qemu

import (
	"fmt"
	"os"
	"strings"

	"hearth/internal/driver/hypervisor"
)

// arguments is a command line under construction with the descriptors it speaks of.
type arguments struct {
	table
	words   []string
	devices map[string]bool
}

func (a *arguments) option(words ...string) { a.words = append(a.words, words...) }

// build makes QEMU's arguments for a guest, and the list of descriptors they assume, from 3 on. It is pure: the same
// guest on the same host yields the same line. The order of devices decides their PCI slots: the first NIC is in slot 3,
// which Linux calls ens3, and stays there whatever disks come and go.
func build(cfg hypervisor.Config, h host) ([]string, []passed) {
	a := &arguments{devices: h.devices}
	a.add(passed{role: roleLock})
	monitor := a.add(passed{role: roleMonitor})
	serial := a.add(passed{role: roleSerial})
	log := a.add(passed{role: rolePath, path: h.log, flags: os.O_WRONLY | os.O_APPEND | os.O_CREATE})

	a.board(cfg, h)
	a.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
	a.option("-chardev", fmt.Sprintf("socket,id=mon,fd=%d,server=on,wait=off", monitor), "-mon", "chardev=mon,mode=control")
	a.option("-action", "shutdown=pause,reboot=reset,panic=none", "-device", "pvpanic")
	logSet := a.set(log, "console")
	a.option("-chardev", fmt.Sprintf("socket,id=serial0,fd=%d,server=on,wait=off,logfile=%s,logappend=on", serial, logSet))
	a.option("-device", "isa-serial,chardev=serial0")
	a.agent(cfg)
	a.option("-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0")
	for _, n := range cfg.NICs {
		a.nic(n)
	}
	a.disks(cfg.Disks)
	a.video(cfg.Video)
	a.option("-device", "virtio-balloon-pci,id=balloon0,deflate-on-oom=on,free-page-reporting=on")
	a.spareSlots(or(cfg.Machine, h.machine))
	a.boot(cfg)
	if cfg.Saved {
		a.option("-incoming", "defer")
	}
	return a.words, a.files
}

// agent adds the line to an agent in the guest, as QEMU's own has it
// (https://www.qemu.org/docs/master/interop/qemu-ga.html). Its place on the bus is far from where NICs and disks are.
func (a *arguments) agent(cfg hypervisor.Config) {
	if !cfg.Agent {
		return
	}
	fd := a.add(passed{role: roleAgent})
	a.option("-chardev", fmt.Sprintf("socket,id=agent0,fd=%d,server=on,wait=off", fd))
	a.option("-device", "virtio-serial-pci,id=ports0,addr=0x1d", "-device", "virtserialport,bus=ports0.0,chardev=agent0,name=org.qemu.guest_agent.0")
}

// board is the machine without its devices.
func (a *arguments) board(cfg hypervisor.Config, h host) {
	name := "guest=" + escape(cfg.ID) + ",debug-threads=on"
	a.option("-name", name, "-no-user-config", "-nodefaults", "-display", "none", "-vnc", "none", "-vga", "none", "-msg", "timestamp=on")
	machine := h.machine
	if cfg.Machine != "" {
		machine = cfg.Machine
	}
	a.option("-machine", machine+",usb=off,vmport=off,dump-guest-core=off")
	cpu := cfg.CPU
	if h.accel == "kvm" {
		a.option("-accel", "kvm")
		cpu = or(cpu, "host")
	} else {
		a.option("-accel", fmt.Sprintf("tcg,thread=multi,tb-size=%d", hypervisor.TranslationMB(cfg.MemoryMB)))
		cpu = or(cpu, "max")
	}
	a.option("-cpu", cpu, "-smp", fmt.Sprint(cfg.VCPUs), "-m", fmt.Sprintf("%dM", cfg.MemoryMB), "-rtc", "base=utc")
	if cfg.UUID != "" {
		a.option("-uuid", cfg.UUID)
	}
	if fields := smbios(cfg.SMBIOS); fields != "" {
		a.option("-smbios", "type=1"+fields)
	}
}

func smbios(s hypervisor.SMBIOS) string {
	var b strings.Builder
	for _, f := range [][2]string{{"manufacturer", s.Manufacturer}, {"product", s.Product}, {"version", s.Version},
		{"serial", s.Serial}, {"family", s.Family}} {
		if f[1] != "" {
			fmt.Fprintf(&b, ",%s=%s", f[0], escape(f[1]))
		}
	}
	return b.String()
}

// nic adds a network card.
func (a *arguments) nic(n hypervisor.NIC) {
	a.option("-netdev", fmt.Sprintf("tap,id=%s,fd=%d", netName(n.ID), a.tap(n)))
	a.option("-device", nicDevice(n).words())
}

// sparePorts is how many devices a guest of the q35 machine can be given while it runs.
const sparePorts = 16

// spareSlots gives a q35 machine places for what is plugged while it runs: on PCI Express each device needs a port of its
// own, which must be there from the start. They take no I/O space, of which there would not be enough. pc has a bus
// with room on it.
func (a *arguments) spareSlots(machine string) {
	if machine != "q35" && !strings.HasPrefix(machine, "pc-q35") {
		return
	}
	for i := range sparePorts {
		a.option("-device", fmt.Sprintf("pcie-root-port,id=%s%d,chassis=%d,addr=0x%x.%d,multifunction=on,io-reserve=0", sparePort, i, i+1, 0x10+i/8, i%8))
	}
}

func (a *arguments) boot(cfg hypervisor.Config) {
	if cfg.Kernel == "" {
		a.option("-boot", "strict=on,menu=off")
		return
	}
	a.option("-kernel", a.bootFile(cfg.Kernel, hypervisor.FileKernel))
	if cfg.Initrd != "" {
		a.option("-initrd", a.bootFile(cfg.Initrd, hypervisor.FileInitrd))
	}
	if cfg.Cmdline != "" {
		a.option("-append", cfg.Cmdline)
	}
}

// escape protects a value in QEMU's comma-separated options.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
