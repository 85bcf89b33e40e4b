package boottest

import (
	"net"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxConsole is what is kept of the console, bytes; when there is more, the older half goes.
const maxConsole = 4 << 20

// console reads the guest's serial line.
type console struct {
	conn  net.Conn
	lines chan string   // each line, and each beginning of one at which the guest stopped
	ended chan struct{} // closed at the end

	mu  sync.Mutex
	all []byte
}

func newConsole(conn net.Conn) *console {
	c := &console{conn: conn, lines: make(chan string, 1024), ended: make(chan struct{})}
	go c.read()
	return c
}

func (c *console) read() {
	defer close(c.ended)
	defer close(c.lines)
	b, part := make([]byte, 4096), ""
	for {
		n, err := c.conn.Read(b)
		c.keep(b[:n])
		part += string(b[:n])
		for {
			line, rest, ok := strings.Cut(part, "\n")
			if !ok {
				break
			}
			c.say(line)
			part = rest
		}
		if part = part[max(0, len(part)-1024):]; part != "" {
			c.say(part)
		}
		if err != nil {
			return
		}
	}
}

// say hands a line on; if nobody takes them, lines are lost rather than the guest held.
func (c *console) say(line string) {
	select {
	case c.lines <- plain(line):
	default:
	}
}

func (c *console) keep(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all = append(c.all, b...); len(c.all) > maxConsole {
		c.all = append([]byte("… "), c.all[len(c.all)-maxConsole/2:]...)
	}
}

// text is all that was printed, without control sequences.
func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return plain(string(c.all))
}

func (c *console) close() {
	c.conn.Close()
	<-c.ended
}

// escapes are the control sequences of a terminal (ECMA-48).
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[ -/]*[@-~]|[()][0-9A-Za-z]|[=>78cDEHM])`)

// plain leaves of what a guest prints only what a person reads.
func plain(s string) string {
	s = escapes.ReplaceAllString(s, "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}

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
