package convert

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/bls"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/bootloader"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// treeLabel is that of the root file system.
const treeLabel = "root"

// rootImage is the file with the root file system of a tree.
type rootImage struct {
	path, uuid string
	size       int64 // bytes
	byMenu     bool  // the UUID is that of the boot loader's menu
}

// rootFile makes an ext4 file system of the tree, for a disk that has gap bytes besides: with
// the UUID by which the tree's /etc/fstab names its root, if it does, so that nothing in it
// needs a change.
func (m *maker) rootFile(ctx context.Context, gap int64) (*rootImage, error) {
	dir := workdir.Tree(m.work)
	s, err := tree.Stage(ctx, m.src, m.opt.Limits, dir)
	if err != nil {
		return nil, err
	}
	if err := m.checkFS(); err != nil {
		return nil, err
	}
	r := &rootImage{path: filepath.Join(m.work, "root"), size: s.Room()}
	if m.fs() != "ext4" {
		r.size = max(r.size+foreignRoom, minForeign)
	}
	if m.opt.Size > 0 {
		if r.size = (m.opt.Size - gap) / 4096 * 4096; r.size < s.Bytes {
			return nil, refuse("a disk of %d bytes is too small for %d bytes of files", m.opt.Size, s.Bytes)
		}
	}
	if r.uuid, r.byMenu, err = rootUUID(s); err != nil {
		return nil, err
	}
	if err := tree.MakeExt(ctx, m.run, r.path, disk.ExtOptions{Size: r.size, Label: treeLabel, UUID: r.uuid, Dir: dir}, s.Entries); err != nil {
		return nil, err
	}
	r.size = r.size / 4096 * 4096
	return r, os.RemoveAll(dir)
}

// transplant makes the file system one of the kind that is wanted.
func (m *maker) transplant(ctx context.Context, r *rootImage) error {
	if m.fs() == "ext4" {
		return nil
	}
	return tree.Transplant(ctx, m.run, r.path, m.fs(), disk.ExtOptions{Size: r.size, Label: treeLabel, UUID: r.uuid})
}

// rawDisk makes a disk of one partition from the tree.
func (m *maker) rawDisk(ctx context.Context, path string) error {
	loader, firmware, err := bootloader.Settle(m.opt.Loader, m.opt.Firmware)
	if err != nil {
		return err
	}
	r, err := m.rootFile(ctx, bootdisk.Gap)
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(r.uuid[:8], 16, 32)
	if err != nil {
		return err
	}
	d := bootloader.Disk{Loader: loader, Firmware: firmware, Path: path, Root: r.path, UUID: r.uuid, ID: uint32(id), Work: m.work}
	boots, err := m.settleRoot(ctx, &d, r.byMenu)
	if err != nil {
		return err
	}
	if err := m.transplant(ctx, r); err != nil {
		return err
	}
	if !boots || m.fs() != "ext4" { // of another file system the menu is in it already
		head := bootdisk.BareHead(bootdisk.Gap+r.size, d.ID)
		if boots {
			if head, err = bootdisk.HeadFor(ctx, m.run, m.work, bootdisk.Gap+r.size, d.ID, m.grubModule()); err != nil {
				return err
			}
		}
		return errors.Join(bootdisk.Join(path, head, r.path), os.Remove(r.path))
	}
	return errors.Join(d.Make(ctx, m.run), os.Remove(r.path))
}

// What the journal of an XFS, the chunks of a btrfs and the cleaning of an f2fs need besides,
// and what mkfs.xfs wants at least, in bytes.
const (
	foreignRoom = 192 << 20
	minForeign  = 384 << 20
)

// fs is the kind of the root that is made.
func (m *maker) fs() string { return cmp.Or(m.opt.FS, "ext4") }

func (m *maker) grubModule() string {
	if m.fs() == "ext4" {
		return "ext2"
	}
	return m.fs()
}

func (m *maker) checkFS() error {
	switch fs := m.fs(); {
	case !slices.Contains([]string{"ext4", "xfs", "btrfs", "f2fs"}, fs):
		return refuse("the root of a disk is made as ext4, xfs, btrfs or f2fs, not as %s", fs)
	case fs != "ext4" && m.opt.To == "ami":
		return refuse("the root of an Amazon image is ext4 here, not %s", fs)
	case fs != "ext4" && m.opt.Firmware != "" && m.opt.Firmware != bootloader.BIOS:
		return refuse("a root that is %s is made for BIOS only here, not for %s", fs, m.opt.Firmware)
	case fs != "ext4" && m.opt.Loader != "" && m.opt.Loader != bootloader.GRUB:
		return refuse("of a root that is %s only GRUB reads kernels here, not %s", fs, m.opt.Loader)
	}
	return nil
}

// rootUUID is the one by which the tree's fstab or, where that says nothing of the
// root, its boot loader's menu names it; else a new one.
func rootUUID(s *tree.Staged) (uuid string, byMenu bool, err error) {
	dir, err := os.OpenRoot(s.Dir)
	if err != nil {
		return "", false, err
	}
	defer dir.Close()
	read := func(name string) string {
		if e := s.Entries[name]; e == nil || e.Type() != tree.TypeFile || e.Size > 1<<20 {
			return ""
		}
		b, rerr := dir.ReadFile(name[1:])
		err = errors.Join(err, rerr)
		return string(b)
	}
	for line := range strings.Lines(read("/etc/fstab")) {
		f := strings.Fields(line)
		if len(f) >= 3 && f[1] == "/" && !strings.HasPrefix(f[0], "#") {
			if id, ok := strings.CutPrefix(f[0], "UUID="); ok && isUUID(id) {
				return strings.ToLower(id), false, err
			}
			return newUUID(), false, err
		}
	}
	for _, name := range []string{bootdisk.ConfigPath, "/boot/grub2/grub.cfg", "/boot/extlinux/extlinux.conf"} {
		for word := range strings.FieldsSeq(read(name)) {
			if id, ok := strings.CutPrefix(word, "root=UUID="); ok && isUUID(id) {
				return strings.ToLower(id), true, err
			}
		}
	}
	return newUUID(), false, err
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func isUUID(s string) bool {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(b) == 16 && len(s) == 36 && s[8] == '-'
}

// settleRoot writes fstab, finds the boot loader's menu, and tells whether there is a
// kernel to boot. A menu of ours that fits the disk stays as it is.
func (m *maker) settleRoot(ctx context.Context, out *bootloader.Disk, byMenu bool) (bool, error) {
	d, err := guestfs.Open(ctx, m.run, []disk.Layer{{Path: out.Root, Format: disk.Raw}}, guestfs.ReadWrite)
	if err != nil {
		return false, err
	}
	t := d.TreeOf(d.Volumes[0])
	if t == nil {
		return false, errors.Join(refuse("the file system that was made cannot be read"), d.Close())
	}
	edit := t.Edit()
	if err := m.fstab(t, edit, out.UUID, byMenu); err != nil {
		return false, errors.Join(err, d.Close())
	}
	boots := m.menu(t, edit, out)
	if boots && out.Firmware == bootloader.Hybrid && out.Menu.Ramdisk == "" && out.Menu.Kernel != "" {
		return false, errors.Join(refuse("the kernel has no initial ramdisk, and by itself it knows its root by the number of a partition of an MBR only, which a disk for UEFI has not: say bios"), d.Close())
	}
	if err := edit.Commit(ctx); err != nil {
		return false, errors.Join(err, d.Close())
	}
	if boots && out.Loader == bootloader.SystemdBoot {
		err = m.besideLoader(d, out)
	}
	return boots, errors.Join(err, d.Close())
}

// settleAlone writes fstab in a file system that is a file by itself.
func (m *maker) settleAlone(ctx context.Context, r *rootImage) error {
	d, err := guestfs.Open(ctx, m.run, []disk.Layer{{Path: r.path, Format: disk.Raw}}, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	t := d.TreeOf(d.Volumes[0])
	if t == nil {
		return errors.Join(refuse("the file system that was made cannot be read"), d.Close())
	}
	edit := t.Edit()
	if err := m.fstab(t, edit, r.uuid, r.byMenu); err != nil {
		return errors.Join(err, d.Close())
	}
	return errors.Join(edit.Commit(ctx), d.Close())
}

// besideLoader reads the kernel and the ramdisk that go to the loader's own partition.
func (m *maker) besideLoader(d *guestfs.Disk, out *bootloader.Disk) (err error) {
	if out.Menu.Ramdisk == "" {
		return refuse("the kernel has no initial ramdisk, and by itself it knows its root by the number of a partition of an MBR only: take grub or extlinux")
	}
	t := d.TreeOf(d.Volumes[0])
	if t == nil {
		return refuse("the file system that was made cannot be read")
	}
	if out.Kernel, err = t.ReadFile(out.Menu.Kernel, maxBootFile); err == nil {
		out.Ramdisk, err = t.ReadFile(out.Menu.Ramdisk, maxBootFile)
	}
	m.out.Notes = append(m.out.Notes, "systemd-boot starts copies of "+out.Menu.Kernel+" and "+out.Menu.Ramdisk+" in \\hearth of the EFI system partition: an upgrade has to copy its own there")
	return err
}

// fstab names the root by its UUID, and puts lines out of use that name other
// disks: the tree is on one partition now.
func (m *maker) fstab(t *guestfs.Tree, edit *guestfs.Edit, uuid string, byMenu bool) error {
	old, err := t.ReadFile("/etc/fstab", 64<<10)
	if guestfs.Missing(err) {
		if _, err := t.Lstat("/etc"); err == nil {
			edit.Write("/etc/fstab", []byte(m.rootLine(uuid)), guestfs.Owner{Mode: 0o644})
			m.out.Notes = append(m.out.Notes, "/etc/fstab was made")
		}
		return nil
	}
	if err != nil {
		return err
	}
	text, notes := m.oneRoot(string(old), uuid, byMenu)
	if text != string(old) {
		edit.Rewrite("/etc/fstab", []byte(text), guestfs.Owner{Mode: 0o644})
		m.out.Notes = append(m.out.Notes, notes...)
	}
	return nil
}

// rootLine is that of the root in fstab; XFS, btrfs and f2fs are not checked at boot.
func (m *maker) rootLine(uuid string) string {
	if m.fs() == "ext4" {
		return "UUID=" + uuid + " / ext4 defaults 0 1\n"
	}
	return "UUID=" + uuid + " / " + m.fs() + " defaults 0 0\n"
}

func (m *maker) oneRoot(text, uuid string, byMenu bool) (string, []string) {
	var b strings.Builder
	var notes []string
	found := byMenu // a system that does without a line for its root is left so
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) < 3 || strings.HasPrefix(f[0], "#"):
		case f[1] == "/":
			found = true
			if want := "UUID=" + uuid; !strings.EqualFold(f[0], want) {
				line = strings.Replace(line, f[0], want, 1)
				notes = append(notes, "/etc/fstab: the root is "+want+", not "+f[0])
			}
			if f[2] != m.fs() && f[2] != "auto" { // the options are of the other kind
				line = m.rootLine(uuid)
				notes = append(notes, "/etc/fstab: the root is "+m.fs()+", not "+f[2])
			}
		case otherDisk(f[0]):
			notes = append(notes, "/etc/fstab: "+f[1]+" ("+f[0]+") is not in this image")
			line = "# not in this image: " + line
		}
		b.WriteString(line)
	}
	if !found {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteString("\n")
		}
		b.WriteString(m.rootLine(uuid))
		notes = append(notes, "/etc/fstab: a line for the root was added")
	}
	return b.String(), notes
}

// otherDisk tells whether a name in fstab is that of a disk or a part of one.
func otherDisk(name string) bool {
	for _, p := range []string{"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "/dev/sd", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/nvme", "/dev/mapper/", "/dev/disk/", "/dev/md"} {
		if strings.HasPrefix(strings.ToUpper(name), strings.ToUpper(p)) {
			return true
		}
	}
	return false
}

// menu makes the menu of the disk: the kernel that the tree's own boot loader starts by
// default, or the newest. One of GRUB's that is ours and fits stays as it is.
func (m *maker) menu(t *guestfs.Tree, edit *guestfs.Edit, out *bootloader.Disk) bool {
	uuid, mode := out.UUID, guestos.RootMode(m.fs())
	if mode != "ro" {
		m.laterMenus(t, edit, mode)
	}
	var kernel, ramdisk, args string
	e := guestos.DefaultEntry(t)
	if e != nil && e.Kernel != "" {
		kernel, ramdisk, args = e.Kernel, e.Ramdisk, e.Args
		old, _ := t.ReadFile(bootdisk.ConfigPath, 1<<20)
		fits := slices.Contains(strings.Fields(args), "root=UUID="+uuid) && (mode == "ro" || !guestos.MountsReadOnly(args))
		if out.Loader == bootloader.GRUB && e.Config == bootdisk.ConfigPath && strings.HasPrefix(string(old), bootdisk.ConfigMark) && fits {
			return true
		}
		if len(old) > 0 && out.Loader == bootloader.GRUB {
			m.out.Notes = append(m.out.Notes, bootdisk.ConfigPath+" was replaced")
		}
	} else if all := guestos.Kernels(t); len(all) > 0 {
		kernel, ramdisk = all[0].Path, all[0].Ramdisk
	} else if kernel, ramdisk = m.kernelBeside(edit); kernel == "" {
		m.out.Notes = append(m.out.Notes, "there is no kernel in /boot, so the disk has no boot loader; 'hearth bake tarball' adds both")
		return false
	}
	root := "UUID=" + uuid
	if ramdisk == "" { // the kernel itself knows no UUIDs of file systems
		root = fmt.Sprintf("PARTUUID=%08x-01", out.ID)
	}
	line := []string{"root=" + root}
	for f := range strings.FieldsSeq(args) {
		if !guestos.OfOldRoot(f) && (mode == "ro" || f != "ro" && f != mode) {
			line = append(line, f)
		}
	}
	if args == "" || mode != "ro" {
		line = append(line, mode)
	}
	if !strings.Contains(args, "console=ttyS") {
		line = append(line, "console=tty0", "console=ttyS0,115200")
	}
	if e != nil && bls.Is(e.Config) {
		m.out.Notes = append(m.out.Notes, "the menu was made of "+e.Config+": kernels that the system installs later are in "+path.Dir(e.Config)+", where this menu does not look")
	}
	title := "Linux"
	if os := guestos.Identify(t); os != nil {
		title = cmp.Or(strings.NewReplacer(`"`, "", "\\", "", "$", "", "\n", "").Replace(os.Name), title)
	}
	menu := bootdisk.Menu{Title: title, Kernel: kernel, Ramdisk: ramdisk, Params: strings.Join(line, " ")}
	out.Menu = menu
	if m.fs() != "ext4" {
		edit.Write(bootdisk.ConfigPath, menu.Config(), guestfs.Owner{Mode: 0o644})
	}
	return true
}

// laterMenus has the menus that update-grub makes in the guest mount its root as ours does: it
// writes ro before these words, and the last counts.
func (m *maker) laterMenus(t *guestfs.Tree, edit *guestfs.Edit, mode string) {
	const file, name = "/etc/default/grub", "GRUB_CMDLINE_LINUX"
	old, err := t.ReadFile(file, 1<<20)
	if err != nil {
		return
	}
	words := guestos.Variables(string(old))[name]
	if !guestos.MountsReadOnly(words) {
		return
	}
	edit.Rewrite(file, []byte(guestos.SetVariable(string(old), name, strings.TrimSpace(words+" "+mode))), guestfs.Owner{Mode: 0o644})
	m.out.Notes = append(m.out.Notes, file+": "+name+" has "+mode+", for a root that is "+m.fs())
}

// kernelBeside puts the kernel and the ramdisk of an Amazon image, which lie beside
// its root, into the tree.
func (m *maker) kernelBeside(edit *guestfs.Edit) (kernel, ramdisk string) {
	if m.src.beside == "" {
		return "", ""
	}
	put := func(end, name string) string {
		b, err := os.ReadFile(m.src.beside + end)
		if err != nil || len(b) > maxBootFile {
			return ""
		}
		edit.Write(name, b, guestfs.Owner{Mode: 0o644})
		m.out.Notes = append(m.out.Notes, name+" is "+filepath.Base(m.src.beside)+end)
		return name
	}
	if kernel = put(".vmlinuz", "/boot/vmlinuz"); kernel != "" {
		ramdisk = put(".initrd", "/boot/initrd")
	}
	return kernel, ramdisk
}
