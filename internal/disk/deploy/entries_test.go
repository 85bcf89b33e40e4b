package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk/bls"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
)

// grubenv is an environment block with the variables.
func grubenv(lines string) string {
	b := "# GRUB Environment Block\n" + lines
	return b + strings.Repeat("#", 1024-len(b))
}

// fedoras is what a tree of Fedora's kind has in place of Debian's menu: two entries as grubby
// writes them, one whose kernel is gone, and one of a system before 2020, whose arguments are in
// a variable of GRUB's.
func fedoras() []member {
	entry := func(version, options string) member {
		return member{name: "./boot/loader/entries/abc-" + version + ".conf", mode: 0o644,
			data: "title Fedora Linux (" + version + ") 40\nversion " + version + "\nlinux /boot/vmlinuz-" + version + "\ninitrd /boot/initramfs-" + version + ".img $tuned_initrd\noptions " + options + "\ngrub_arg --unrestricted\n"}
	}
	list := []member{{name: "./boot/loader", dir: true, mode: 0o755}, {name: "./boot/loader/entries", dir: true, mode: 0o755}, {name: "./boot/grub2", dir: true, mode: 0o755}, {name: "./etc/kernel", dir: true, mode: 0o755},
		{name: "./boot/grub2/grub.cfg", data: "search --fs-uuid --set=boot dead\nset kernelopts=\"root=UUID=dead ro\"\nblscfg\n", mode: 0o600},
		{name: "./boot/grub2/grubenv", data: grubenv("saved_entry=abc-5.9.1\nkernelopts=root=UUID=dead ro rd.lvm.lv=fedora/root rhgb\n"), mode: 0o644},
		{name: "./etc/kernel/cmdline", data: "root=UUID=dead ro rootflags=subvol=root rhgb\n", mode: 0o644},
		entry("5.9.1", "root=UUID=dead ro rootflags=subvol=root rd.luks.uuid=luks-1 rhgb nosmt $tuned_params systemd.machine_id=abc"), entry("5.10.2", "$kernelopts nosmt debug $tuned_params"), entry("5.11.0", "root=UUID=dead ro gone")}
	for _, v := range []string{"5.9.1", "5.10.2"} {
		list = append(list, member{name: "./boot/vmlinuz-" + v, data: kernel(), mode: 0o755}, member{name: "./boot/initramfs-" + v + ".img", data: "ramdisk", mode: 0o600})
	}
	return list
}

// TestEntryFiles: a tree whose menu is a folder of entries has them with the new root and each
// wanted word once, in a form that its own tools go on with, and GRUB reads them itself.
func TestEntryFiles(t *testing.T) {
	image := archive(t, fedoras()...)
	for _, c := range []struct{ settings, boot string }{{"SWAP=yes\n", ""}, {"LAYOUT", "/boot"}} {
		d := definition(t, "FILESYSTEM=ext4\nKERNEL_ARGS='nosmt rhgb'\n"+strings.TrimPrefix(c.settings, "LAYOUT"))
		if c.boot != "" {
			d.Layout = oneRoot()
		}
		target := filepath.Join(t.TempDir(), "disk.raw")
		r := deployTo(t, Options{Definition: d, Image: image, Target: target, Size: 160 << 20, Name: "web1", Serial: true})
		root := "root=UUID=" + r.Partitions[len(r.Partitions)-1].UUID + " ro"
		const serial = "console=tty0 console=ttyS0,115200n8"
		tree := open(t, target)
		want := map[string]string{
			"/boot/loader/entries/abc-5.9.1.conf":  "linux " + c.boot + "/vmlinuz-5.9.1\ninitrd " + c.boot + "/initramfs-5.9.1.img $tuned_initrd\noptions " + root + " rhgb nosmt $tuned_params " + serial + "\ngrub_arg",
			"/boot/loader/entries/abc-5.10.2.conf": "linux " + c.boot + "/vmlinuz-5.10.2\ninitrd " + c.boot + "/initramfs-5.10.2.img $tuned_initrd\noptions $kernelopts debug $tuned_params\ngrub_arg",
			"/boot/grub2/grubenv":                  "saved_entry=abc-5.9.1\nkernelopts=" + root + " rhgb nosmt " + serial + "\n#",
			"/etc/kernel/cmdline":                  root + " rhgb nosmt " + serial + "\n",
			bls.ConfigPath:                         "set boot=\"($root)" + c.boot + "\"\n",
			"/boot/hearth/i386-pc/linux16.mod":     "\x7fELF",
		}
		for name, part := range want {
			if got := text(t, tree, name); !strings.Contains(got, part) {
				t.Errorf("%s: %q lacks in %s", name, part, got)
			}
		}
		if got := text(t, tree, "/boot/loader/entries/abc-5.11.0.conf"); !strings.Contains(got, "UUID=dead ro gone") {
			t.Errorf("the entry of no kernel was changed: %s", got)
		}
		if n := len(text(t, tree, "/boot/grub2/grubenv")); n != 1024 {
			t.Errorf("the environment block has %d bytes", n)
		}
		if want := root + " rhgb nosmt " + serial; r.CommandLine != want || len(r.Warnings) > 0 {
			t.Errorf("%q, want %q; %q", r.CommandLine, want, r.Warnings)
		}
		if menu := text(t, tree, bls.ConfigPath); !strings.Contains(menu, "($root)"+c.boot+"/loader/entries/*.conf") || !strings.Contains(menu, "menuentry \"Linux 6.1.0-test\"") {
			t.Error(menu)
		}
		if _, err := tree.Stat("/boot/grub/grub.cfg"); err == nil {
			t.Error("there is a menu that nothing reads")
		}
	}
	if check, err := exec.LookPath("grub-script-check"); err == nil {
		out, err := exec.Command(check, "--", scriptFile(t)).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestEntryFilesElsewhere: GRUB does not see entries that are on another partition.
func TestEntryFilesElsewhere(t *testing.T) {
	image := archive(t, member{name: "./efi", dir: true, mode: 0o755}, member{name: "./efi/loader", dir: true, mode: 0o755}, member{name: "./efi/loader/entries", dir: true, mode: 0o755}, member{name: "./efi/linux", data: kernel(), mode: 0o644},
		member{name: "./efi/loader/entries/x.conf", data: "title it's\nlinux /linux\noptions root=UUID=dead quiet\n", mode: 0o644})
	target := filepath.Join(t.TempDir(), "disk.raw")
	r := deployTo(t, Options{Definition: definition(t, "SWAP=no\n"), Image: image, Target: target, Size: 128 << 20})
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "/efi/loader/entries are on another partition") || !strings.Contains(text(t, open(t, target), "/boot/grub/grub.cfg"), r.Partitions[1].UUID+" ro quiet") {
		t.Errorf("%+v", r)
	}
	d := definition(t, "")
	d.Layout = oneRoot()
	r = deployTo(t, Options{Definition: d, Image: image, Target: target + "2", Size: 128 << 20})
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "x.conf has a ' in it") || !strings.HasPrefix(r.CommandLine, "root=PARTUUID=") {
		t.Errorf("%+v", r)
	}
}

// TestOwnEntries: a disk keeps its own loader; the words are there once, in the variable where
// there is one, and new kernels get them too.
func TestOwnEntries(t *testing.T) {
	image := guestfstest.Image(t, guestfstest.Options{Partition: true, Size: 32 << 20}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=fedora\n", "etc/kernel/cmdline=root=UUID=1 ro\n", "boot/grub2/grub.cfg=blscfg\n", "boot/grub2/grubenv="+grubenv("kernelopts=root=UUID=1 ro quiet\n"), "boot/vmlinuz-1=k",
			"boot/loader/entries/a.conf=title a\nlinux /boot/vmlinuz-1\noptions $kernelopts\n", "boot/loader/entries/b.conf=title b\nlinux /boot/vmlinuz-1\noptions root=UUID=1 quiet\n")
	})
	target := filepath.Join(t.TempDir(), "disk.raw")
	r := deployTo(t, Options{Definition: definition(t, "KERNEL_ARGS='quiet nosmt'"), Image: image, Target: target, Name: "web1"})
	tree := open(t, target)
	for name, want := range map[string]string{"/boot/loader/entries/a.conf": "options $kernelopts\n", "/boot/loader/entries/b.conf": "options root=UUID=1 quiet nosmt\n",
		"/boot/grub2/grubenv": "\nkernelopts=root=UUID=1 ro quiet nosmt\n#", "/etc/kernel/cmdline": "root=UUID=1 ro quiet nosmt\n"} {
		if got := text(t, tree, name); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks in %s; %+v", name, want, got, r)
		}
	}
}

func scriptFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "grub.cfg")
	if err := os.WriteFile(name, bls.Menu{Boot: "/boot", Entries: "/boot", Serial: true, KernelOpts: "ro"}.Config(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// oneRoot is the layout of a disk with one partition.
func oneRoot() *osdef.Layout {
	return &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/", Boot: true}}}
}
