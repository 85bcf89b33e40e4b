package bootloader

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

func TestSettle(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"", ""}:                      "grub bios",
		{"", "uefi"}:                  "systemd-boot uefi",
		{"", "hybrid"}:                "grub hybrid",
		{"extlinux", ""}:              "extlinux bios",
		{"systemd-boot", ""}:          "systemd-boot uefi",
		{"extlinux", "uefi"}:          "extlinux starts under BIOS only: take systemd-boot",
		{"extlinux", "hybrid"}:        "extlinux starts under BIOS only",
		{"systemd-boot", "bios"}:      "systemd-boot starts under UEFI only",
		{"grub", "uefi"}:              "say hybrid",
		{"lilo", ""}:                  `no boot loader "lilo"`,
		{"systemd-boot", "openfirmw"}: `the firmware "openfirmw"`,
	} {
		l, f, err := Settle(in[0], in[1])
		got := l + " " + f
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestMake makes a disk by each loader and looks at it with the reader of guests' disks,
// e2fsck and what the loader itself will look for.
func TestMake(t *testing.T) {
	for _, c := range [][2]string{{GRUB, BIOS}, {Extlinux, BIOS}, {SystemdBoot, UEFI}} {
		t.Run(c[0], func(t *testing.T) {
			dir, ctx, run, tree := t.TempDir(), context.Background(), &disk.Runner{}, t.TempDir()
			guestfstest.Tree(t, tree, "etc/os-release=ID=debian\n", "boot/x=x")
			root := filepath.Join(t.TempDir(), "root")
			if err := run.MakeExt(ctx, root, disk.ExtOptions{Size: 16 << 20, UUID: "01234567-89ab-cdef-0123-456789abcdef", Dir: tree}); err != nil {
				t.Skip(err)
			}
			d := Disk{Loader: c[0], Firmware: c[1], Path: filepath.Join(dir, "disk"), Root: root, UUID: "01234567-89ab-cdef-0123-456789abcdef", Work: t.TempDir(),
				Menu:   bootdisk.Menu{Title: "T", Kernel: "/boot/vmlinuz", Ramdisk: "/boot/initrd", Params: "root=UUID=x", Wait: 2 * time.Second},
				Kernel: []byte("kernel"), Ramdisk: []byte("ramdisk"), Files: []disk.File{{Path: "/boot/vmlinuz", Mode: 0o644, Data: []byte("kernel")}}}
			err := d.Make(ctx, run)
			if disk.KindOf(err) == disk.ToolMissing {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
			st, err := os.Stat(d.Path)
			if rootSize := d.length(); err != nil || st.Size() > rootSize+d.Besides() || st.Size() < rootSize+d.Besides()-2<<20 {
				t.Errorf("%d bytes of %d + %d, %v", st.Size(), rootSize, d.Besides(), err)
			}
			look(t, d)
		})
	}
}

func look(t *testing.T, d Disk) {
	t.Helper()
	g, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: d.Path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	last := g.Volumes[len(g.Volumes)-1]
	guestfstest.Clean(t, d.Path, last.Start)
	tree := g.TreeOf(last)
	switch d.Loader {
	case SystemdBoot:
		v := g.Volumes[0]
		if g.Scheme != disk.SchemeGPT || v.Content != "vfat" || v.UUID != "0123-4567" {
			t.Errorf("%+v", v)
		}
		fs, err := fat.Open(io.NewSectionReader(g.Reader(), v.Start, v.Size), v.Size)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"/loader/entries/linux.conf": "options root=UUID=x\n", "/loader/loader.conf": "timeout 2\n", "/hearth/initrd": "ramdisk", "/EFI/BOOT/BOOTX64.EFI": "systemd-boot"} {
			if b, err := fs.ReadFile(name, 1<<20); err != nil || !strings.Contains(string(b), want) && !bytes.Contains(b, []byte(strings.Join(strings.Split(want, ""), "\x00"))) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := tree.Stat("/boot/vmlinuz"); err == nil {
			t.Error("the kernel is there twice")
		}
	case Extlinux:
		checkExtlinux(t, g, tree, last.Start)
	default:
		if b, err := tree.ReadFile(bootdisk.ConfigPath, 1<<20); err != nil || !strings.Contains(string(b), "linux16 /boot/vmlinuz root=UUID=x") {
			t.Errorf("%s %v", b, err)
		}
	}
}

// checkExtlinux does as the boot sector and the first sector of ldlinux.sys do: it loads
// the rest by the list of sectors and adds it up.
func checkExtlinux(t *testing.T, g *guestfs.Disk, tree *guestfs.Tree, start int64) {
	t.Helper()
	le := binary.LittleEndian
	read := func(sector uint64, n int) []byte {
		b := make([]byte, n*512)
		if _, err := g.Reader().ReadAt(b, start+int64(sector)*512); err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole, err := tree.ReadFile("/boot/extlinux/ldlinux.sys", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	boot := read(0, 1)
	area := bytes.Index(whole[:512], []byte{0xfe, 0x02, 0xb2, 0x3e})
	more := int(le.Uint16(whole[area+22:]))
	field := func(i int) int { return int(le.Uint16(whole[more+2*i:])) }
	image := read(uint64(le.Uint32(boot[field(7):]))|uint64(le.Uint32(boot[field(8):]))<<32, 1)
	for at := field(5); le.Uint16(whole[at+8:]) != 0; at += 10 {
		image = append(image, read(le.Uint64(whole[at:]), int(le.Uint16(whole[at+8:])))...)
	}
	sectors, sum := int(le.Uint16(image[area+8:])), uint32(0)
	for i := range le.Uint32(image[area+12:]) {
		sum += le.Uint32(image[4*i:])
	}
	if len(image) != 512*sectors || sum != 0x3eb202fe || !bytes.Equal(image, whole[:len(image)]) || len(whole) != len(image)+1024 {
		t.Errorf("%d bytes of %d sectors, sum %x, file %d", len(image), sectors, sum, len(whole))
	}
	if v := read(le.Uint64(whole[field(0)+8:]), 1); le.Uint32(v) != 0x5a2d2fa5 {
		t.Errorf("the second copy of its variables begins with %x", v[:4])
	}
	if got := string(whole[field(1):][:15]); got != "/boot/extlinux\x00" || boot[510] != 0x55 {
		t.Errorf("folder %q", got)
	}
	conf, err := tree.ReadFile("/boot/extlinux/extlinux.conf", 1<<20)
	for _, want := range []string{"SERIAL 0", "PROMPT 1\nTIMEOUT 20\n", "LINUX /boot/vmlinuz\n", "APPEND root=UUID=x\n"} {
		if err != nil || !strings.Contains(string(conf), want) {
			t.Errorf("%s lacks %q, %v", conf, want, err)
		}
	}
}
