package guestos

import (
	"reflect"
	"testing"

	"hearth/internal/disk/guestfs/guestfstest"
)

// files is a guest in memory.
type files = guestfstest.Files

func TestIdentify(t *testing.T) {
	tests := []struct {
		files files
		want  *OS
	}{
		{files{"/etc/os-release": "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\n", "/usr/lib/systemd/systemd": ""}, &OS{ID: "debian", Name: "Debian GNU/Linux 12", Version: "12", Family: Debian, Init: "systemd"}},
		{files{"/usr/lib/os-release": "NAME=X\nID=x\nID_LIKE=\"y fedora\"\n"}, &OS{ID: "x", Name: "X", Family: RedHat}},
		{files{"/etc/redhat-release": "CentOS release 6.10 (Final)\n"}, &OS{ID: "rhel", Name: "CentOS release 6.10 (Final)", Version: "6.10", Family: RedHat}},
		{files{"/etc/gentoo-release": "Gentoo Base System release 2.14\n", "/sbin/openrc": ""}, &OS{ID: "gentoo", Name: "Gentoo Base System release 2.14", Version: "2.14", Family: Gentoo, Init: "openrc"}},
		{files{"/etc/debian_version": "4.0\n"}, &OS{ID: "debian", Name: "Debian 4.0", Version: "4.0", Family: Debian}},
		{files{"/etc/os-release": "\x00\xff"}, nil},
		{files{}, nil},
	}
	for _, tt := range tests {
		if got := Identify(tt.files); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v is %+v, want %+v", tt.files, got, tt.want)
		}
	}
}

func TestDefaultEntry(t *testing.T) {
	tests := []struct {
		name string
		f    files
		want Entry
	}{
		{"debian", files{"/boot/grub/grub.cfg": "set default=\"0\"\nserial --unit=0\nmenuentry 'Debian GNU/Linux' --class debian {\n\tlinux /boot/vmlinuz-6.1 root=UUID=1 ro console=ttyS0\n\tinitrd /boot/initrd.img-6.1\n}\nmenuentry 'old' {\n linux /boot/vmlinuz-5\n}\n",
			"/boot/vmlinuz-6.1": "", "/boot/initrd.img-6.1": ""}, Entry{"/boot/grub/grub.cfg", "Debian GNU/Linux", "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "root=UUID=1 ro console=ttyS0", true}},
		{"boot of its own, second entry", files{"/boot/grub2/grub.cfg": "set default=1\nmenuentry a {\nlinux16 /vmlinuz-1\n}\nmenuentry b {\nlinux16 ($root)/vmlinuz-2 quiet\ninitrd16 ($root)/initramfs-2.img\n}", "/boot/vmlinuz-1": "", "/boot/vmlinuz-2": "", "/boot/initramfs-2.img": ""},
			Entry{"/boot/grub2/grub.cfg", "b", "/boot/vmlinuz-2", "/boot/initramfs-2.img", "quiet", false}},
		{"extlinux", files{"/boot/extlinux/extlinux.conf": "SERIAL 0 115200\nDEFAULT linux\nLABEL linux\n  KERNEL ../vmlinuz\n  APPEND root=/dev/vda1 initrd=/boot/initrd ro\n", "/boot/vmlinuz": "", "/boot/initrd": ""},
			Entry{"/boot/extlinux/extlinux.conf", "linux", "/boot/vmlinuz", "/boot/initrd", "root=/dev/vda1 ro", true}},
		{"entries as files", files{"/boot/grub2/grub.cfg": "blscfg\n", "/boot/loader/entries/a-5.conf": "title Fedora 5\nlinux /vmlinuz-5\n", "/boot/loader/entries/a-6.conf": "title Fedora 6\nlinux /vmlinuz-6\ninitrd /initramfs-6.img $tuned_initrd\noptions root=UUID=2 ro $kernelopts\n", "/boot/vmlinuz-6": "", "/boot/initramfs-6.img": ""},
			Entry{"/boot/loader/entries/a-6.conf", "Fedora 6", "/boot/vmlinuz-6", "/boot/initramfs-6.img", "root=UUID=2 ro", false}},
		{"entries as files, arguments in GRUB's environment, read by a menu of deploy's", files{"/boot/grub2/grub.cfg": "blscfg\n", "/boot/hearth/grub.cfg": "serial --unit=0\nmenuentry x {\nlinux16 /vmlinuz-4\n}\n", "/boot/grub2/grubenv": "# GRUB Environment Block\nsaved_entry=a-6.9\nkernelopts=root=UUID=3 ro\n",
			"/boot/loader/entries/a-6.10.conf": "title ten\nlinux /vmlinuz-6.10\n", "/boot/loader/entries/a-6.9.conf": "title nine\nlinux /vmlinuz-6.9\noptions $kernelopts $tuned quiet\n", "/boot/vmlinuz-6.9": ""},
			Entry{"/boot/loader/entries/a-6.9.conf", "nine", "/boot/vmlinuz-6.9", "", "root=UUID=3 ro quiet", true}},
		{"names a file that is not there", files{"/boot/grub/grub.cfg": "menuentry x {\nlinux /nothing\n}"}, Entry{Config: "/boot/grub/grub.cfg", Title: "x"}},
	}
	for _, tt := range tests {
		got := DefaultEntry(tt.f)
		if got == nil || *got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := DefaultEntry(files{}); got != nil {
		t.Errorf("without a boot loader: %+v", got)
	}
}

func FuzzDefaultEntry(f *testing.F) {
	f.Add("set default=1\nmenuentry 'a' {\nlinux /x ${y}\n}", "LABEL x\nKERNEL y", "title a\nlinux b")
	f.Fuzz(func(_ *testing.T, grub, extlinux, bls string) {
		DefaultEntry(files{"/boot/grub/grub.cfg": grub})
		DefaultEntry(files{"/boot/extlinux.conf": extlinux})
		DefaultEntry(files{"/boot/loader/entries/x.conf": bls})
		Identify(files{"/etc/os-release": bls})
	})
}

// TestMountsReadOnly: the last word counts, and without one a kernel reads only.
func TestMountsReadOnly(t *testing.T) {
	for args, want := range map[string]bool{"": true, "root=/dev/vda quiet": true, "ro": true, "rw": false, "ro quiet rw": false, "rw ro": true, "rworld": true} {
		if got := MountsReadOnly(args); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
	if RootMode("f2fs") != "rw" || RootMode("ext4") != "ro" {
		t.Error("an f2fs is mounted for writing at once, others are not")
	}
}

// TestSetVariable: one line has the name, where the first was or at the end.
func TestSetVariable(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "A=\"x y\"\n",
		"B=1":                  "B=1\nA=\"x y\"\n",
		"A=1\nB=2\nA='3'\nC=4": "A=\"x y\"\nB=2\nC=4",
		"# A=1\nAB=2\n":        "# A=1\nAB=2\nA=\"x y\"\n",
	} {
		if got := SetVariable(text, "A", "x y"); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
