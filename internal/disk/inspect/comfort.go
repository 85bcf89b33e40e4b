package inspect

import (
	"strings"

	"hearth/internal/disk/guestos"
)

// comfort looks for what a guest boots without and lacks later: drivers for disks
// of the other kind, for giving memory back, for the clock, and somebody who hears
// the power button. It says nothing where nothing tells.
func (l *linter) comfort() {
	for _, k := range l.Kernels {
		for _, d := range []struct{ driver, option, without string }{
			{"virtio_scsi", "CONFIG_SCSI_VIRTIO", "disks with hw_disk_bus=scsi are not found"},
			{"virtio_balloon", "CONFIG_VIRTIO_BALLOON", "it gives no memory back to the host, and its statistics lack"},
			{"8250", "CONFIG_SERIAL_8250_CONSOLE", "the console log stays empty"},
		} {
			if d.driver == "8250" && l.text("/boot/config-"+k.Version) == "" {
				continue // modules do not tell whether it is a console
			}
			has, known := l.knows(k.Version, d.driver, d.option)
			if known && !has {
				l.say(d.driver+" of "+k.Version, Warning, "the kernel lacks %s (%s): %s", d.driver, d.option, d.without)
			}
		}
		config := l.text("/boot/config-" + k.Version)
		if config != "" && !strings.Contains(config, "\nCONFIG_KVM_GUEST=y") && !strings.Contains(config, "\nCONFIG_PARAVIRT_CLOCK=y") {
			l.say("clock of "+k.Version, Warning, "the kernel has no clock of virtual machines (CONFIG_KVM_GUEST): its time drifts on a busy host")
		}
	}
	l.growable()
	if l.System != nil && l.System.Init != "systemd" && !guestos.Program(l.t, "acpid", "acpi_fakekeyd", "hearth-guest", "elogind") && !l.has("/usr/lib/elogind/elogind", "/usr/libexec/elogind") {
		l.say("power button", Warning, "nobody hears the power button: server stop waits and then cuts the power; add acpid")
	}
}

// growable holds the place of the root against the end of the disk: a flavor's disk
// is larger, and the room is behind the last partition.
func (l *linter) growable() {
	var root, last *Volume
	for i := range l.Volumes {
		v := &l.Volumes[i]
		if v.Mount == "/" {
			root = v
		}
		if last == nil || v.Start > last.Start {
			last = v
		}
	}
	if root == nil || last == nil {
		return
	}
	l.judge("growable root", root == last, Warning, "the root is the last on the disk", "the root does not grow to the flavor's disk: a partition lies behind it")
}
