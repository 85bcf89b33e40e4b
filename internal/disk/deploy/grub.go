package deploy

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/bls"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// grubModules are enough for a menu of ours and for what update-grub of a
// distribution makes of it later.
var grubModules = []string{"biosdisk", "part_msdos", "part_gpt", "ext2", "normal", "linux", "linux16", "configfile", "serial", "terminal", "terminfo", "echo", "test", "true", "search", "search_fs_uuid",
	"search_fs_file", "search_label", "loadenv", "gzio", "minicmd", "sleep", "ls", "cat", "halt", "reboot"}

// bootSectors writes GRUB into the gap behind the MBR, or into the partition that a
// GPT has for it, as LAB 6 has it.
func (b *build) bootSectors(ctx context.Context) error {
	at := int64(sector)
	if b.table.gpt {
		bios := b.table.find("bios")
		if bios == nil {
			return refuse("a GPT that boots by BIOS has a partition with mount: bios, of a megabyte, for GRUB; the layout has none")
		}
		at = bios.Start
	}
	first, err := disk.ReadGRUB("deploy", bootdisk.FirstSector)
	if err != nil {
		return err
	}
	part, dir := b.bootPart()
	name := "msdos"
	if b.table.gpt {
		name = "gpt"
	}
	prefix, modules := dir+"/grub", slices.Clone(grubModules)
	if b.entries {
		prefix, modules = dir+bls.Prefix, append([]string{"biosdisk", "part_msdos", "part_gpt", "ext2"}, bls.Modules...)
	}
	path := filepath.Join(b.work, "core.img")
	if err := b.Run.GRUB(ctx, path, fmt.Sprintf("(hd0,%s%d)%s", name, part.Number, prefix), append(modules, part.grubModule()...)...); err != nil {
		return err
	}
	core, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(first) < 440 || int64(len(core)) > mib-sector {
		return refuse("GRUB does not fit: boot.img has %d bytes, the core %d", len(first), len(core))
	}
	binary.LittleEndian.PutUint64(first[0x5c:], uint64(at/sector))   // where boot.img finds the core
	binary.LittleEndian.PutUint64(core[0x1f4:], uint64(at/sector+1)) // where the core goes on
	f, err := os.OpenFile(b.raw, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(first[:440], 0); err != nil {
		return err
	}
	_, err = f.WriteAt(core, at)
	return err
}

// bootPart is the partition that has the boot files, and their folder in it.
func (b *build) bootPart() (*Part, string) {
	if p := b.table.find("/boot"); p != nil {
		return p, ""
	}
	return b.table.find("/"), "/boot"
}

// rootArg names the root file system to a kernel: by UUID, which its ramdisk looks
// up, or by the partition's number, which a kernel without one understands.
func (b *build) rootArg(ramdisk string) string {
	root := b.table.find("/")
	if ramdisk == "" && !b.table.gpt {
		return fmt.Sprintf("root=PARTUUID=%08x-%02d", b.table.id, root.Number)
	}
	return "root=UUID=" + root.UUID
}

// rootMode is how the kernel mounts it at first: "ro" or "rw".
func (b *build) rootMode() string { return guestos.RootMode(b.table.find("/").FileSystem) }

// bootMenu writes GRUB's menu for the kernels that the tree has, and what makes
// update-grub keep it so; a tree whose entries are files has GRUB read these.
func (b *build) bootMenu(tree *guestfs.Tree, edit *guestfs.Edit) error {
	kernels, entries := guestos.Kernels(tree), b.byEntries(tree)
	if len(kernels) == 0 && len(entries) == 0 {
		return refuse("the image has no kernel in /boot, so it would not boot; put one in, or say with --kernel-path that the kernel lies outside")
	}
	before := ""
	if e := guestos.DefaultEntry(tree); e != nil {
		before = e.Args
	}
	_, dir := b.bootPart()
	var list strings.Builder
	for i, k := range kernels {
		inPart := func(name string) string {
			if name == "" {
				return ""
			}
			return dir + strings.TrimPrefix(name, "/boot")
		}
		args := b.arguments(before, k.Ramdisk)
		if i == 0 && len(entries) == 0 {
			b.report.CommandLine = args
		}
		list.WriteString(menuEntry(k.Version, inPart(k.Path), args, inPart(k.Ramdisk)))
	}
	if old, err := tree.ReadFile("/etc/default/grub", maxText); err == nil {
		edit.Rewrite("/etc/default/grub", []byte(b.grubDefaults(string(old))), guestfs.Owner{Mode: 0o644})
	}
	if len(entries) > 0 {
		if _, ok := b.inPart(entries[0].Path); ok {
			return b.entryMenu(tree, edit, entries, list.String())
		}
		b.warn("the entries in %s are on another partition than /boot, where GRUB does not see them: the menu has the kernels of /boot, and those that are installed later are not in it", entries[0].Boot+bls.Folder)
	}
	var menu strings.Builder
	menu.WriteString("# Made by hearth deploy.\n")
	if b.opt.Serial {
		menu.WriteString(disk.GRUBSerial)
	}
	menu.WriteString("set default=0\nset timeout=1\n" + list.String())
	edit.Write("/boot/grub/grub.cfg", []byte(menu.String()), guestfs.Owner{Mode: 0o600})
	return nil
}

// arguments is the kernel's command line: what the image's own was, with the new
// root, and each word that is wanted once.
func (b *build) arguments(before, ramdisk string) string {
	return strings.Join(withArgs(append([]string{b.rootArg(ramdisk), b.rootMode()}, kept(before)...), b.wanted()), " ")
}

// kept are the words of a command line that are true of the new disk too.
func kept(before string) (words []string) {
	for w := range strings.FieldsSeq(before) {
		if w != "ro" && w != "rw" && !guestos.OfOldRoot(w) {
			words = append(words, w)
		}
	}
	return words
}

// wanted are the words that the definition and the serial line ask for.
func (b *build) wanted() []string {
	want := strings.Fields(b.spec.KernelArgs)
	if b.opt.Serial && !strings.Contains(" "+b.spec.KernelArgs, " console=ttyS0") {
		want = append(want, "console=tty0", "console=ttyS0,115200n8")
	}
	return want
}

// withArgs adds words that are not there; the last console is the one that counts.
func withArgs(words, want []string) []string {
	for _, w := range want {
		name, _, _ := strings.Cut(w, ",")
		found := false
		for _, have := range words {
			have, _, _ := strings.Cut(have, ",")
			found = found || have == name
		}
		if !found {
			words = append(words, w)
		}
	}
	return words
}

// grubDefaults edits /etc/default/grub.
func (b *build) grubDefaults(text string) string {
	have := guestos.Variables(text)
	set := func(name, value string) { text = guestos.SetVariable(text, name, value) }
	words := strings.Fields(have["GRUB_CMDLINE_LINUX"])
	if b.table != nil { // the disk is another one now
		words = kept(have["GRUB_CMDLINE_LINUX"])
		if b.rootMode() == "rw" { // update-grub writes ro before these
			words = append(words, "rw")
		}
	}
	set("GRUB_CMDLINE_LINUX", strings.Join(withArgs(words, b.wanted()), " "))
	if b.opt.Serial {
		set("GRUB_TERMINAL", "console serial")
		set("GRUB_SERIAL_COMMAND", "serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1")
	}
	return text
}

// ownMenu adds words to the kernels' command lines in the configuration that a disk
// image has for its own boot loader.
func (b *build) ownMenu(d *guestfs.Disk, tree *guestfs.Tree, edit *guestfs.Edit) error {
	want := b.wanted()
	if len(want) == 0 {
		return nil
	}
	if old, err := tree.ReadFile("/etc/default/grub", maxText); err == nil {
		edit.Rewrite("/etc/default/grub", []byte(b.grubDefaults(string(old))), guestfs.Owner{Mode: 0o644})
	}
	done, err := b.ownEntries(tree, edit, want)
	if err != nil {
		return err
	}
	for _, pattern := range []string{"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/extlinux/extlinux.conf", "/boot/extlinux.conf",
		"/extlinux.conf", "/boot/syslinux/syslinux.cfg", "/syslinux.cfg"} {
		found, _ := tree.Glob(pattern)
		for _, name := range found {
			old, err := tree.ReadFile(name, maxText)
			if err != nil {
				continue
			}
			if text, ok := addToMenu(string(old), want); ok {
				done = true
				if text != string(old) {
					edit.Rewrite(name, []byte(text), guestfs.Owner{Mode: 0o644})
				}
			}
		}
	}
	efi, err := efiEntries(d, want)
	if err == nil && !done && !efi {
		b.warn("no boot loader was found whose kernels could be given %q", strings.Join(want, " "))
	}
	return err
}

// addToMenu adds words to the lines of a configuration that start a kernel, be it
// GRUB's, extlinux's or an entry of its own; ok when there is such a line.
func addToMenu(text string, want []string) (out string, ok bool) {
	var b strings.Builder
	for l := range strings.Lines(text) {
		line := strings.TrimRight(l, "\r\n")
		f := strings.Fields(line)
		if len(f) > 0 {
			word := strings.ToLower(f[0])
			args := len(f) > 2 && (word == "linux" || word == "linux16" || word == "linuxefi" || word == "kernel") || len(f) > 1 && (word == "append" || word == "options")
			if args {
				ok = true
				if more := withArgs(f, want); len(more) > len(f) {
					line += " " + strings.Join(more[len(f):], " ")
				}
			}
		}
		b.WriteString(line + l[len(strings.TrimRight(l, "\r\n")):])
	}
	return b.String(), ok
}
