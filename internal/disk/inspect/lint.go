package inspect

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/inspect/words"
)

// linter looks for what a cloud's guest needs.
type linter struct {
	*Report
	t       *guestfs.Tree
	modules map[string]map[string]bool // of each kernel that has some: their names, with _ for -
}

func (r *Report) say(name, level, format string, args ...any) {
	r.Checks = append(r.Checks, Check{name, level, fmt.Sprintf(format, args...)})
}

// judge says ok or the level with what to do.
func (r *Report) judge(name string, good bool, level, ok, bad string) {
	if good {
		r.say(name, OK, "%s", ok)
	} else {
		r.say(name, level, "%s", bad)
	}
}

func (r *Report) lint(t *guestfs.Tree, d *guestfs.Disk) {
	l := &linter{Report: r, t: t, modules: map[string]map[string]bool{}}
	l.readModules()
	l.boot()
	l.loader(d)
	l.root()
	l.console()
	l.drivers()
	l.comfort()
	l.moduleNames()
	l.network()
	l.access()
	l.clones()
}

func (l *linter) has(patterns ...string) bool { return guestos.Has(l.t, patterns...) }

func (l *linter) text(name string) string {
	b, err := l.t.ReadFile(name, 4<<20)
	if err != nil && !missing(err) {
		l.say("files", Warning, "%s cannot be read: %v", name, err)
	}
	return string(b)
}

// lines are those of a file of settings, without comments.
func (l *linter) lines(name string) (list []string) {
	for line := range strings.Lines(l.text(name)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func (l *linter) boot() {
	switch {
	case len(l.Kernels) == 0:
		l.say("kernel", Warning, "no kernel was found in /boot: it boots only with one from outside, as an AMI")
	case l.Default == nil:
		l.say("kernel", Warning, "there is kernel %s, but no configuration of a boot loader that is known here", l.Kernels[0].Version)
	case l.Default.Kernel == "":
		l.say("kernel", Problem, "%s names no kernel that is there", l.Default.Config)
	default:
		l.say("kernel", OK, "%s, started by %s", l.Default.Kernel, l.Default.Config)
	}
	if len(l.Firmware) == 0 && len(l.Kernels) > 0 && l.Table != "" {
		l.say("boot loader", Warning, "the disk has neither boot code nor a partition for UEFI")
	}
}

// root holds what fstab and the kernel's arguments call the root against what
// changes from one machine to the next.
func (l *linter) root() {
	fixed := func(name string) bool {
		return !regexp.MustCompile(`^/dev/(sd|vd|xvd|hd|nvme)`).MatchString(name)
	}
	for _, m := range l.t.Fstab() {
		if m.Dir == "/" {
			l.judge("root in fstab", fixed(m.Device), Warning, m.Device, "/etc/fstab has the root on "+m.Device+", a name that depends on the machine: use UUID= or LABEL=")
		}
		if id, ok := strings.CutPrefix(m.Device, "UUID="); ok && !slices.ContainsFunc(l.Volumes, func(v Volume) bool { return strings.EqualFold(v.UUID, strings.Trim(id, `"`)) }) {
			l.say("fstab", Problem, "/etc/fstab mounts %s on %s, but this disk has no such file system: the boot may stop there", m.Device, m.Dir)
		}
	}
	if root, ok := argument(l.args(), "root"); ok {
		l.judge("root of the kernel", fixed(root), Warning, root, "the kernel is given root="+root+", a name that depends on the machine: use root=UUID=")
	}
}

func (l *linter) args() string {
	if l.Default == nil {
		return ""
	}
	return l.Default.Args
}

func argument(args, name string) (string, bool) {
	found, ok := "", false
	for f := range strings.FieldsSeq(args) {
		if v, cut := strings.CutPrefix(f, name+"="); cut {
			found, ok = v, true
		}
	}
	return found, ok
}

func (l *linter) console() {
	if l.Default != nil && l.Default.Kernel != "" {
		l.judge("serial console of the kernel", strings.Contains(l.args(), "console=ttyS"), Warning, "on", "the kernel does not speak on the serial line, so the console log stays empty: add console=tty0 console=ttyS0,115200n8")
		l.judge("serial console of the loader", l.Default.Serial, Info, "on", "the boot loader does not speak on the serial line")
	}
	getty := l.System.Init == "systemd" && strings.Contains(l.args(), "console=ttyS") || // by systemd-getty-generator
		l.has("/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", "/etc/runlevels/*/agetty.ttyS0", "/etc/init/ttyS0.conf") ||
		slices.ContainsFunc(l.lines("/etc/inittab"), func(s string) bool { return strings.Contains(s, "ttyS0") || strings.Contains(s, "console") })
	l.judge("login on the serial line", getty, Info, "on", "nobody can log in on the serial console: start a getty on ttyS0")
}

// readModules gathers the names of drivers of each kernel.
func (l *linter) readModules() {
	for _, base := range []string{"/lib/modules", "/usr/lib/modules"} {
		versions, err := l.t.ReadDir(base)
		if err != nil {
			continue
		}
		for _, v := range versions {
			names := map[string]bool{}
			for _, file := range []string{"modules.dep", "modules.builtin"} {
				for _, line := range l.lines(path.Join(base, v, file)) {
					file, _, _ := strings.Cut(line, ":")
					name, _, _ := strings.Cut(path.Base(file), ".ko")
					names[plain(name)] = true
				}
			}
			if len(names) > 0 {
				l.modules[v] = names
			}
		}
	}
}

func plain(name string) string { return strings.ReplaceAll(strings.TrimSpace(name), "-", "_") }

// knows tells whether a kernel has a driver, as a module or built in. known is
// false when nothing tells.
func (l *linter) knows(version, driver, option string) (has, known bool) {
	config := l.text("/boot/config-" + version)
	if config != "" {
		return strings.Contains(config, "\n"+option+"=y") || strings.Contains(config, "\n"+option+"=m"), true
	}
	if names := l.modules[version]; names != nil {
		return names[driver], true
	}
	return false, false
}

func (l *linter) drivers() {
	for _, k := range l.Kernels {
		var lacks []string
		unknown := true
		for _, d := range []struct{ driver, option string }{{"virtio_pci", "CONFIG_VIRTIO_PCI"}, {"virtio_blk", "CONFIG_VIRTIO_BLK"}, {"virtio_net", "CONFIG_VIRTIO_NET"}} {
			has, known := l.knows(k.Version, d.driver, d.option)
			unknown = unknown && !known
			if known && !has {
				lacks = append(lacks, d.driver)
			}
		}
		name := "virtio drivers of " + k.Version
		switch {
		case unknown:
			l.say(name, Info, "nothing tells which drivers this kernel has")
		case len(lacks) > 0:
			l.say(name, Problem, "it lacks %s: without them it finds neither disk nor network here", strings.Join(lacks, ", "))
		default:
			l.say(name, OK, "virtio_pci, virtio_blk, virtio_net")
		}
		if hot, known := l.knows(k.Version, "acpiphp", "CONFIG_HOTPLUG_PCI_ACPI"); known {
			l.judge("hot plug of "+k.Version, hot, Warning, "acpiphp", "the kernel cannot take disks and ports while it runs: it has no CONFIG_HOTPLUG_PCI_ACPI (acpiphp)")
		}
	}
}

// moduleNames finds modules to be loaded that no kernel has.
func (l *linter) moduleNames() {
	if len(l.modules) == 0 {
		return
	}
	files := []string{"/etc/modules", "/etc/initramfs-tools/modules"}
	more, _ := l.t.Glob("/etc/modules-load.d/*.conf")
	for _, file := range append(files, more...) {
		for _, line := range l.lines(file) {
			name := strings.Fields(line)[0]
			if !l.isModule(plain(name)) {
				l.say("modules", Warning, "%s loads %s, which no kernel here has%s", file, name, l.similar(plain(name)))
			}
		}
	}
}

func (l *linter) isModule(name string) bool {
	for _, names := range l.modules {
		if names[name] {
			return true
		}
	}
	// Built in by other names, or aliases.
	return slices.Contains([]string{"acpiphp", "loop", "fuse", "configfs", "autofs4"}, name)
}

// similar proposes the name that differs least.
func (l *linter) similar(name string) string {
	best, least := "", 3
	for _, names := range l.modules {
		for n := range names {
			if d := words.Distance(name, n, least); d < least || d == least && best != "" && n < best {
				best, least = n, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func (l *linter) network() {
	clients := []string{"dhclient", "dhcpcd", "udhcpc", "dhcpcd5", "NetworkManager", "wicked", "connmand"}
	dhcp := guestos.Program(l.t, clients...) || l.has("/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd")
	l.judge("DHCP", dhcp, Problem, "a client is there", "the guest has no DHCP client and gets no address")
	if rules, _ := l.t.Glob("/etc/udev/rules.d/*persistent-net*.rules"); len(rules) > 0 {
		l.say("network names", Warning, "%s ties names to the network cards of the machine it was made on: run hearth image sysprep", rules[0])
	}
}

func (l *linter) access() {
	l.judge("agent", slices.Contains(l.Agent, "cloud-init") || slices.Contains(l.Agent, "hearth-guest"), Warning, strings.Join(l.Agent, ", "),
		"neither cloud-init nor hearth-guest is there: ssh keys, hostname and user data from the metadata do nothing; use hearth image inject, or add one")
	ssh := guestos.Program(l.t, "sshd", "dropbear")
	l.judge("ssh", ssh, Warning, "a server is there", "no ssh server was found")
	if ssh && l.System.Init == "systemd" && l.has("/lib/systemd/system/ssh*.service", "/usr/lib/systemd/system/ssh*.service") &&
		!l.has("/etc/systemd/system/*.wants/ssh.service", "/etc/systemd/system/*.wants/sshd.service", "/etc/systemd/system/*.wants/ssh.socket", "/etc/systemd/system/*.wants/sshd.socket", "/usr/lib/systemd/system/*.wants/sshd.service") {
		l.say("ssh", Warning, "the ssh server is not started at boot: enable ssh.service")
	}
	for _, line := range l.lines("/etc/shadow") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[1] == "" {
			l.say("passwords", Problem, "%s has an empty password: anybody may log in", f[0])
		}
	}
}

// clones finds what two guests made of this image would share.
func (l *linter) clones() {
	var shared []string
	for _, pattern := range []string{"/etc/ssh/ssh_host_*_key", "/etc/dropbear/dropbear_*_host_key", "/var/lib/systemd/random-seed", "/var/lib/cloud/instances/*"} {
		found, _ := l.t.Glob(pattern)
		shared = append(shared, found...)
	}
	if id := strings.TrimSpace(l.text("/etc/machine-id")); id != "" && id != "uninitialized" {
		shared = append(shared, "/etc/machine-id")
	}
	slices.Sort(shared)
	l.judge("clones", len(shared) == 0, Warning, "two guests of this image share nothing that should be their own", "two guests of this image share "+strings.Join(shared, ", ")+": run hearth image sysprep")
}

// Write prints a report for people.
func Write(w io.Writer, r *Report) {
	fmt.Fprintf(w, "format      %s", r.Format)
	if r.Compression != "" {
		fmt.Fprintf(w, " (%s)", r.Compression)
	}
	fmt.Fprintf(w, "\nsize        %s, %s stored\n", size(r.VirtualSize), size(r.Stored))
	if m := r.Machine; m != nil {
		fmt.Fprintf(w, "machine     %s: %d processors, %d MiB, %d network cards, %d disks\n", m.Name, m.CPUs, m.MemoryMB, len(m.NICs), len(m.Disks))
		fmt.Fprintf(w, "properties  %s\n", strings.Join(m.Lines(), " "))
	}
	if r.Content != "" && len(r.Volumes) == 0 {
		fmt.Fprintf(w, "content     %s %s\n", r.Content, r.Packing)
	}
	if r.Table != "" || r.TableError != "" {
		fmt.Fprintf(w, "table       %s%s\n", r.Table, r.TableError)
	}
	for _, v := range r.Volumes {
		place := "whole disk"
		if v.Partition > 0 {
			place = fmt.Sprintf("partition %d", v.Partition)
		}
		fmt.Fprintf(w, "%-11s %s", place, size(v.Size))
		for _, s := range []string{v.Content, v.Mount, v.Label, v.UUID} {
			if s != "" {
				fmt.Fprintf(w, "  %s", s)
			}
		}
		if v.Used > 0 {
			fmt.Fprintf(w, "  %s used", size(v.Used))
		}
		fmt.Fprintln(w)
		if v.Note != "" {
			fmt.Fprintf(w, "            %s\n", v.Note)
		}
	}
	if s := r.System; s != nil {
		fmt.Fprintf(w, "system      %s (%s, init %s)\n", s.Name, orUnknown(s.Arch), orUnknown(s.Init))
	}
	for _, k := range r.Kernels {
		fmt.Fprintf(w, "kernel      %s  %s  %s\n", k.Version, k.Path, k.Ramdisk)
	}
	if r.Loader != "" || len(r.Firmware) > 0 {
		fmt.Fprintf(w, "boots by    %s  %s\n", strings.Join(r.Firmware, ", "), r.Loader)
	}
	if r.Default != nil {
		fmt.Fprintf(w, "entry       %s  %s\n", r.Default.Title, r.Default.Args)
	}
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%-11s %s: %s\n", c.Level, c.Name, c.Text)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func size(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
