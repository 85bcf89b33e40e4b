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
	l.fileSystem()
	l.firstMount()
	l.growable()
	if l.System != nil && l.System.Init != "systemd" && !guestos.Program(l.t, "acpid", "acpi_fakekeyd", "hearth-guest", "elogind") && !l.has("/usr/lib/elogind/elogind", "/usr/libexec/elogind") {
		l.say("power button", Warning, "nobody hears the power button: server stop waits and then cuts the power; add acpid")
	}
}

// rootDrivers are the drivers of the file systems that roots are on. ext4 reads ext2 and ext3 too.
var rootDrivers = map[string][2]string{"ext2": {"ext4", "CONFIG_EXT4_FS"}, "ext3": {"ext4", "CONFIG_EXT4_FS"}, "ext4": {"ext4", "CONFIG_EXT4_FS"},
	"xfs": {"xfs", "CONFIG_XFS_FS"}, "btrfs": {"btrfs", "CONFIG_BTRFS_FS"}, "f2fs": {"f2fs", "CONFIG_F2FS_FS"}}

// fileSystem holds what the root is on against what each kernel reads.
func (l *linter) fileSystem() {
	for _, v := range l.Volumes {
		d, ok := rootDrivers[v.Content]
		if v.Mount != "/" || !ok {
			continue
		}
		for _, k := range l.Kernels {
			if has, known := l.knows(k.Version, d[0], d[1]); known {
				if own, _ := l.knows(k.Version, v.Content, "CONFIG_"+strings.ToUpper(v.Content)+"_FS"); own { // before ext4 read them all
					has = true
				}
				l.judge("file system of "+k.Version, has, Problem, d[0], "the kernel lacks "+d[0]+" ("+d[1]+"), on which the root is: it does not find its root")
			}
		}
	}
}

// firstMount holds how the root is mounted at first against what its kind wants.
func (l *linter) firstMount() {
	for _, v := range l.Volumes {
		if v.Mount != "/" || l.Default == nil || guestos.RootMode(v.Content) == "ro" {
			continue
		}
		l.judge("first mount", !guestos.MountsReadOnly(l.args()), Warning, "the kernel mounts its root for writing at once",
			"the kernel mounts its root, an "+v.Content+", to be read only at first: Linux 6.1 then kills what calls fsync, such as useradd; give it rw in place of ro")
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
	if root.Content == "f2fs" {
		l.say("growable root", Warning, "the root does not grow to the flavor's disk: no kernel makes an f2fs larger while it is mounted; give the image its size before, by 'hearth image grow'")
		return
	}
	l.judge("growable root", root == last, Warning, "the root is the last on the disk", "the root does not grow to the flavor's disk: a partition lies behind it")
}
