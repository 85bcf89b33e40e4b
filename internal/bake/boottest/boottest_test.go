package boottest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConsoleLines(t *testing.T) {
	for line, want := range map[string]string{
		"GRUB loading.":                                     Loader,
		"  GNU GRUB  version 2.06-13":                       Loader,
		"Loading /boot/vmlinuz":                             Loader,
		"SYSLINUX 6.04 EDD 20191223":                        Loader,
		"BdsDxe: starting Boot0002 \"UEFI\"":                Loader,
		"[    0.000000] Linux version 6.1.0-37-cloud-amd64": Kernel,
		"[    0.412345] pci 0000:00:01.0":                   Kernel,
		"spark login: ":                                     Prompt,
		"hearth-boot-test login:":                           Prompt,
		"Booting from Hard Disk...":                         "",
		"SeaBIOS (version 1.16.2-debian-1.16.2-1)":          "",
		"Last login: Sat Nov 21":                            "",
		"login: failed":                                     "",
	} {
		if got, _ := stageOf(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"No bootable device.":                                     "no boot loader",
		"BdsDxe: No bootable option or device was found.":         "no boot loader",
		"grub rescue> ":                                           "does not find its files",
		"ALERT!  UUID=1234 does not exist.  Dropping to a shell!": "virtio_blk",
		"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)": "root file system",
		"[    1.2] Kernel panic - not syncing: Attempted to kill init!":                            "panicked",
		"You are in emergency mode. After logging in":                                              "fstab",
		"sh: can't access tty; job control turned off":                                             "virtio_blk",
		"(initramfs) ":      "virtio_blk",
		"Welcome to Debian": "",
	} {
		if got := endOf(line); got == "" != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// capture is a file of frames in one of the two orders.
func capture(order binary.ByteOrder, frames ...[]byte) []byte {
	b := make([]byte, 24)
	order.PutUint32(b, 0xa1b2c3d4)
	for _, f := range frames {
		head := make([]byte, 16)
		order.PutUint32(head[8:], uint32(len(f)))
		order.PutUint32(head[12:], uint32(len(f)))
		b = append(append(b, head...), f...)
	}
	return b
}

// dhcp is a frame with a message of a kind from a server.
func dhcp(kind byte) []byte {
	f := make([]byte, 14+20+8+240)
	be := binary.BigEndian
	be.PutUint16(f[12:], 0x0800)
	f[14], f[14+9] = 0x45, 17
	be.PutUint16(f[34:], 67)
	be.PutUint16(f[36:], 68)
	f[42] = 2
	copy(f[42+16:], []byte{10, 0, 2, 15})
	be.PutUint32(f[42+236:], 0x63825363)
	return append(f, 0, 54, 4, 10, 0, 2, 2, 53, 1, kind, 255)
}

func TestLeases(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		var got []string
		err := leases(bytes.NewReader(capture(order, []byte("short"), dhcp(2), make([]byte, 300), dhcp(5))), func(ip net.IP) { got = append(got, ip.String()) })
		if !errors.Is(err, io.EOF) || strings.Join(got, " ") != "10.0.2.15" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if err := leases(strings.NewReader(strings.Repeat("x", 100)), nil); err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func FuzzLeases(f *testing.F) {
	f.Add(capture(binary.LittleEndian, dhcp(5), dhcp(2)))
	f.Add(capture(binary.BigEndian, dhcp(5)[:100]))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = leases(bytes.NewReader(b), func(ip net.IP) {
			if len(ip) != 4 {
				t.Errorf("%v", ip)
			}
		})
	})
}

func TestDefaultUser(t *testing.T) {
	for text, want := range map[string]string{
		"system_info:\n  distro: debian\n  default_user:\n    lock_passwd: true\n    name: \"debian\"\n": "debian",
		"users:\n - default\n": "",
		"default_user:\n":      "",
	} {
		if got := strings.Join(defaultUser(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestSentences holds what is said of a failure against how far a guest came.
func TestSentences(t *testing.T) {
	for _, c := range []struct {
		reached []string
		want    string
		stage   string // that has the failure
	}{
		{nil, "nothing was seen", Loader},
		{[]string{Loader}, "no kernel was seen", Kernel},
		{[]string{Loader, Kernel}, "nothing came of it", DHCP},
		{[]string{Loader, Kernel, Prompt}, "virtio_net", DHCP},
		{[]string{Kernel, DHCP}, "no ssh server", Prompt},
		{[]string{Kernel, DHCP, Prompt, Banner}, "tried ada, root", Login},
		{[]string{Kernel, DHCP, Banner, Login}, "", ""},
	} {
		f := &follower{test: &test{users: []string{"ada", "root"}, hint: "", opt: Options{Timeout: time.Minute}}, began: time.Now()}
		for _, s := range c.reached {
			f.reach(s, "seen")
			f.reach(s, "again")
		}
		if len(f.reached) != len(c.reached) {
			t.Errorf("%v: %+v", c.reached, f.reached)
		}
		why := ""
		if c.want != "" {
			if why = f.timeout(); !strings.Contains(why, c.want) {
				t.Errorf("%v: %q, want %q", c.reached, why, c.want)
			}
		}
		r := &Report{}
		r.finish(f, why, "console")
		for _, s := range r.Stages {
			if (s.Result == Failed) != (s.Name == c.stage) {
				t.Errorf("%v: %+v", c.reached, s)
			}
		}
		if (r.Result == Failed) != (c.want != "") || len(r.Stages) != len(order) {
			t.Errorf("%v: %+v", c.reached, r)
		}
	}
}

func TestReport(t *testing.T) {
	f := &follower{test: &test{}, began: time.Now(), user: "ada", lease: net.IP{10, 0, 2, 15}}
	for _, s := range []string{Kernel, DHCP, Banner, Login} {
		f.reach(s, "seen <that> & more")
	}
	r := &Report{Image: "/images/x.qcow2", Started: time.Unix(0, 0).UTC()}
	r.finish(f, "the guest did not heed", "a\x01b]]>\n")
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "boot-test.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var s junitSuite
	if err := xml.Unmarshal(b, &s); err != nil || s.Tests != 7 || s.Failures != 1 || s.Skipped != 2 || !strings.Contains(s.Out, "b]]>") {
		t.Errorf("%+v, %v", s, err)
	}
	if b, err = os.ReadFile(filepath.Join(dir, "boot-test.json")); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || back.Result != Failed || back.User != "ada" || back.Address != "10.0.2.15" || len(back.Stages) != 7 {
		t.Errorf("%+v, %v", back, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "console.log")); err != nil || string(b) != "a\x01b]]>\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestKernelLine: a kernel outside of the image is told its root, and to speak.
func TestKernelLine(t *testing.T) {
	for _, c := range []struct {
		args    string
		ramdisk bool
		want    string
	}{
		{"", true, "root=UUID=ab console=ttyS0,115200"},
		{"root=UUID=cd ro quiet BOOT_IMAGE=/vmlinuz console=tty0 console=ttyS0,9600", true, "root=UUID=ab ro quiet console=tty0 console=ttyS0,9600"},
		{"root=PARTUUID=1-01 ro", false, "root=/dev/vda ro console=ttyS0,115200"},
	} {
		if got := kernelLine(c.args, "ab", c.ramdisk); got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

// TestBeside: NAME.ext4 is an Amazon image when its kernel lies beside it.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.ext4", "a.vmlinuz", "a.initrd", "b.ext4"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]Options{"a.ext4": {Kernel: filepath.Join(dir, "a.vmlinuz"), Ramdisk: filepath.Join(dir, "a.initrd")}, "b.ext4": {}, "a.raw": {}} {
		r := &test{opt: Options{Image: filepath.Join(dir, name)}}
		if r.beside(); r.opt.Kernel != want.Kernel || r.opt.Ramdisk != want.Ramdisk {
			t.Errorf("%s: %+v", name, r.opt)
		}
	}
}
