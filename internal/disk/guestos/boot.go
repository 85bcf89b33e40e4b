package guestos

import (
	"encoding/binary"
	"path"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk/bls"
)

// Entry is what a boot loader starts by default. Paths are in the guest; they
// are empty when the configuration does not name a file that is there.
type Entry struct {
	Config  string `json:"config"` // the file of the boot loader
	Title   string `json:"title"`
	Kernel  string `json:"kernel"`
	Ramdisk string `json:"ramdisk"`
	Args    string `json:"args"`   // of the kernel
	Serial  bool   `json:"serial"` // the loader itself speaks on the serial line
}

// Kernel is one that is installed.
type Kernel struct {
	Path    string `json:"path"`
	Version string `json:"version"` // as uname -r has it
	Ramdisk string `json:"ramdisk"` // that fits it; "" if there is none
}

// kernelHead is enough of a kernel to find its version.
const maxKernel = 256 << 20

// Kernels lists the kernels in /boot, and in the root folder of small systems,
// newest first by name.
func Kernels(t Files) (list []Kernel) {
	seen := map[string]bool{}
	for _, pattern := range []string{"/boot/vmlinuz-*", "/boot/kernel-*", "/boot/vmlinux-*", "/boot/bzImage*", "/boot/vmlinuz", "/boot/vmlinuz-linux", "/vmlinuz"} {
		found, _ := t.Glob(pattern)
		slices.Sort(found)
		slices.Reverse(found)
		for _, name := range found {
			k := Kernel{Path: name, Version: VersionOf(t, name)}
			if k.Version == "" || seen[k.Version] {
				continue
			}
			seen[k.Version] = true
			k.Ramdisk = ramdiskFor(t, name)
			list = append(list, k)
		}
	}
	return list
}

// VersionOf reads a kernel's version out of its header (Documentation/arch/x86/
// boot.rst of Linux, kernel_version), or takes it from its name; "" if it is no kernel.
func VersionOf(t Files, name string) string {
	b, err := t.ReadFile(name, maxKernel)
	if err != nil {
		return ""
	}
	if len(b) > 0x210 && string(b[0x202:0x206]) == "HdrS" {
		at := int(binary.LittleEndian.Uint16(b[0x20e:])) + 0x200
		if at > 0x200 && at < len(b) {
			line, _, _ := strings.Cut(string(b[at:min(at+256, len(b))]), "\x00")
			if f := strings.Fields(line); len(f) > 0 {
				return f[0]
			}
		}
	}
	if _, version, ok := strings.Cut(path.Base(name), "-"); ok && len(b) > 4096 {
		return version
	}
	return ""
}

// ramdiskFor finds the initial ramdisk of a kernel by the names of distributions.
func ramdiskFor(t Files, kernel string) string {
	dir, base := path.Split(kernel)
	_, version, _ := strings.Cut(base, "-")
	for _, name := range []string{"initrd.img-" + version, "initramfs-" + version + ".img", "initramfs-" + version, "initrd-" + version, "initrd-" + version + ".img", "initrd.img", "initrd"} {
		if version == "" && strings.Contains(name, "-") {
			continue
		}
		if Has(t, dir+name) {
			return dir + name
		}
	}
	return ""
}

// DefaultEntry reads the configuration of the boot loader; nil if there is none
// that is known.
func DefaultEntry(t Files) *Entry {
	for _, name := range []string{"/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"} {
		if b, err := t.ReadFile(name, maxText); err == nil {
			e := grub(string(b))
			if e.Kernel == "" { // the entries are files of their own, as in Fedora
				if own := entryFile(t); own != nil {
					own.Serial = own.Serial || e.Serial
					e = own
				}
			}
			return settle(t, e, name)
		}
	}
	for _, name := range []string{"/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/extlinux.conf", "/boot/syslinux/syslinux.cfg", "/syslinux.cfg"} {
		if b, err := t.ReadFile(name, maxText); err == nil {
			return settle(t, syslinux(string(b), path.Dir(name)), name)
		}
	}
	if e := entryFile(t); e != nil {
		return settle(t, e, e.Config)
	}
	return nil
}

// settle turns the loader's names into the guest's: a loader names files from
// the root of its own file system, which the guest may have at /boot.
func settle(t Files, e *Entry, config string) *Entry {
	if e.Config == "" {
		e.Config = config
	}
	find := func(name string) string {
		if name == "" {
			return ""
		}
		for _, full := range []string{path.Clean("/" + name), path.Join("/boot", name)} {
			if Has(t, full) {
				return full
			}
		}
		return ""
	}
	e.Kernel, e.Ramdisk = find(e.Kernel), find(e.Ramdisk)
	return e
}

// grub reads the entry of a GRUB configuration that is started when nobody
// chooses: the one with the number of default, else the first. What scripts
// decide at boot is not known here.
func grub(text string) *Entry {
	var entries []*Entry
	serial, want, depth := false, 0, 0
	vars := map[string]string{}
	for line := range strings.Lines(text) {
		f := words(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "serial", "terminal_output":
			serial = serial || f[0] == "serial" || slices.Contains(f, "serial")
		case "set", "":
			name, value, _ := strings.Cut(strings.Join(f[1:], " "), "=")
			vars[name] = value
			if n, err := strconv.Atoi(value); name == "default" && err == nil {
				want = n
			}
		case "menuentry":
			entries = append(entries, &Entry{Title: at(f, 1)})
			depth++
		case "linux", "linux16", "linuxefi", "initrd", "initrd16", "initrdefi":
			if n := len(entries); n > 0 && len(f) > 1 {
				e := entries[n-1]
				if strings.HasPrefix(f[0], "linux") && e.Kernel == "" {
					e.Kernel, e.Args = expand(f[1], vars), expand(strings.Join(f[2:], " "), vars)
				} else if strings.HasPrefix(f[0], "initrd") && e.Ramdisk == "" {
					e.Ramdisk = expand(f[1], vars)
				}
			}
		}
	}
	if want < 0 || want >= len(entries) {
		want = 0
	}
	if len(entries) == 0 {
		return &Entry{Serial: serial}
	}
	entries[want].Serial = serial
	return entries[want]
}

// expand puts in the variables that are known, once.
func expand(s string, vars map[string]string) string {
	for name, value := range vars {
		if name != "" {
			s = strings.ReplaceAll(strings.ReplaceAll(s, "${"+name+"}", value), "$"+name, value)
		}
	}
	if strings.HasPrefix(s, "(") { // a disk
		_, s, _ = strings.Cut(s, ")")
	}
	return strings.TrimSpace(s)
}

func at(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

// words cuts a line as a shell does, with quotes and without expansion.
func words(line string) (list []string) {
	var word strings.Builder
	quote, some := rune(0), false
	for _, c := range strings.TrimSpace(line) {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, some = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if word.Len() > 0 || some {
				list = append(list, word.String())
			}
			word.Reset()
			some = false
		case quote == 0 && c == '#' && word.Len() == 0:
			return list
		default:
			word.WriteRune(c)
		}
	}
	if word.Len() > 0 || some {
		list = append(list, word.String())
	}
	return list
}

// syslinux reads the DEFAULT of extlinux.conf or syslinux.cfg. Names without a
// slash are beside the configuration.
func syslinux(text, dir string) *Entry {
	entries, want, now := map[string]*Entry{}, "", ""
	var first string
	serial := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		rest := strings.Join(f[1:], " ")
		switch strings.ToUpper(f[0]) {
		case "SERIAL":
			serial = true
		case "DEFAULT":
			want = rest
		case "LABEL":
			now = rest
			entries[now] = &Entry{Title: rest}
			if first == "" {
				first = now
			}
		case "KERNEL", "LINUX":
			if e := entries[now]; e != nil {
				e.Kernel = beside(dir, rest)
			}
		case "INITRD":
			if e := entries[now]; e != nil {
				e.Ramdisk = beside(dir, rest)
			}
		case "APPEND":
			if e := entries[now]; e != nil {
				e.append(dir, f[1:])
			}
		}
	}
	e := entries[want]
	if e == nil {
		e = entries[first]
	}
	if e == nil {
		e = &Entry{}
	}
	e.Serial = serial
	return e
}

// append takes the kernel's arguments, of which initrd= is for the loader.
func (e *Entry) append(dir string, args []string) {
	var rest []string
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "initrd="); ok {
			e.Ramdisk = beside(dir, v)
			continue
		}
		rest = append(rest, a)
	}
	e.Args = strings.Join(rest, " ")
}

func beside(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return path.Join(dir, name)
}

// entryFile reads the entry of the Boot Loader Specification that is started by default:
// the one that GRUB's environment names, else the newest; nil if there is none.
func entryFile(t Files) *Entry {
	list, vars := bls.List(t), bls.Variables(t)
	list = slices.DeleteFunc(list, func(e *bls.Entry) bool { return e.Linux == "" || strings.Contains(e.Path, "rescue") })
	if len(list) == 0 {
		return nil
	}
	e := list[0]
	for _, other := range list {
		if other.ID == vars["saved_entry"] {
			e = other
		}
	}
	found := &Entry{Config: e.Path, Title: e.Title, Kernel: e.Find(t, e.Linux), Args: bls.Expand(e.Options, vars)}
	if b, err := t.ReadFile(bls.ConfigPath, maxText); err == nil { // of a disk that was deployed
		found.Serial = grub(string(b)).Serial
	}
	for _, name := range e.Initrds {
		if found.Ramdisk = e.Find(t, name); found.Ramdisk != "" {
			break
		}
	}
	return found
}

// ofRoot are the names of arguments that say where the root is, or whose it is.
var ofRoot = []string{"root", "BOOT_IMAGE", "rootfstype", "rootflags", "resume", "resume_offset", "initrd", "cryptdevice", "systemd.machine_id", "rd.lvm.lv", "rd.lvm.vg",
	"rd.luks.uuid", "rd.luks.name", "rd.luks.options", "rd.luks.key", "luks.uuid", "luks.name", "luks.options", "rd.md.uuid", "rd.dm.uuid"}

// RootMode is the argument by which a kernel mounts a root of some kind at first: "ro", so that
// it is checked and its options are read before it is written to, but "rw" of an f2fs. One that
// was mounted to be read has no place for what fsync tells its disk, and once it is mounted
// for writing, Linux 6.1 follows a null pointer to it and kills the program (ADR 200).
func RootMode(fs string) string {
	if fs == "f2fs" {
		return "rw"
	}
	return "ro"
}

// MountsReadOnly tells whether a kernel mounts its root to be read only at first: the last of
// "ro" and "rw" counts, and without one it does.
func MountsReadOnly(args string) bool {
	only := true
	for arg := range strings.FieldsSeq(args) {
		only = arg == "ro" || only && arg != "rw"
	}
	return only
}

// OfOldRoot tells whether a kernel's argument speaks of the disk that a tree comes from, so
// that it is wrong on another: dracut's ramdisk waits for each volume that it is told of, and
// kernel-install writes the machine's id, which outdoes the one in /etc.
func OfOldRoot(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	return slices.Contains(ofRoot, name)
}
