package boottest

import (
	"regexp"
	"strings"
)

// Names of the stages, in their order.
const (
	Loader   = "boot loader"
	Kernel   = "kernel"
	DHCP     = "DHCP lease"
	Prompt   = "login prompt"
	Banner   = "ssh banner"
	Login    = "ssh login"
	Shutdown = "shutdown"
)

// signs are texts by which a stage is known.
var signs = []struct {
	stage string
	text  *regexp.Regexp
}{
	{Loader, regexp.MustCompile(`GNU GRUB|Welcome to GRUB|GRUB loading|(SYS|EXT|ISO|PXE)LINUX|systemd-boot|Boot Menu|LILO \d|^ ?Loading (/|Linux|vmlinuz|its initial)|Booting .*(GNU/Linux|Linux)|BdsDxe: starting`)},
	{Kernel, regexp.MustCompile(`Linux version \d|^\[ *\d+\.\d{6}\]|Decompressing Linux|Booting the kernel|Run /init as init|FreeBSD \d|systemd\[1\]:|OpenRC `)},
	{Prompt, regexp.MustCompile(`(^|\S )login: ?$`)},
}

// ends are texts after which nothing more comes, and what they mean.
var ends = []struct {
	text *regexp.Regexp
	says string
}{
	{regexp.MustCompile(`No bootable device|Boot failed: not a bootable disk|Missing operating system|Operating system not found|No bootable option or device was found`), "the firmware found nothing to boot on the disk: it has no boot loader for this firmware"},
	{regexp.MustCompile(`grub rescue>|error: no such (partition|device|disk)|error: unknown filesystem`), "GRUB does not find its files on the disk"},
	{regexp.MustCompile(`^ ?grub> ?$|Minimal BASH-like line editing`), "GRUB found no menu and waits for commands"},
	{regexp.MustCompile(`VFS: (Cannot open root device|Unable to mount root fs)`), "the kernel does not find its root file system: it has no driver for the disk (virtio_blk), or root= names another"},
	{regexp.MustCompile(`ALERT! .* does not exist|Gave up waiting for root|dracut-initqueue.*(timeout|starting timeout scripts)|No root device found`), "the initial ramdisk does not find the root file system: it has no driver for the disk (virtio_blk), or root= names another"},
	{regexp.MustCompile(`^\(initramfs\) ?$|can't access tty; job control turned off|initrd: the root file system .* was not found`), "the initial ramdisk gave up and waits in a shell: it does not find the root file system, for it has no driver for the disk (virtio_blk), or root= names another"},
	{regexp.MustCompile(`(Entering|in|to) emergency mode`), "the system gave up in emergency mode: a file system of /etc/fstab is likely missing"},
	{regexp.MustCompile(`Kernel panic - not syncing`), "the kernel panicked"},
	{regexp.MustCompile(`error: file .* not found`), "the boot loader does not find the kernel or its ramdisk"},
}

// stageOf is the stage that a line of the console tells of, "" for none, and by what.
func stageOf(line string) (stage, by string) {
	for _, s := range signs {
		if at := s.text.FindStringIndex(line); at != nil {
			if s.stage == Prompt {
				at[0] = 0 // the guest's name is before it
			}
			return s.stage, strings.TrimSpace(line[at[0]:])
		}
	}
	return "", ""
}

// endOf says why nothing more is to come after a line; "" if there is.
func endOf(line string) string {
	for _, e := range ends {
		if e.text.MatchString(line) {
			return e.says
		}
	}
	return ""
}
