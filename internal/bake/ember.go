package bake

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/workdir"
)

//go:embed ember
var emberFiles embed.FS

// emberPackages is where ember's programs come from. They are unpacked, not
// installed: the host's own programs are not used.
var emberPackages = []string{"busybox-static", "dropbear-bin", "libtomcrypt1", "libtommath1", "zlib1g", "libcrypt1", "libgmp10", "libc6"}

const (
	emberUser = "ember"
	// emberSize of the root file system holds all and leaves some 20 MB.
	emberSize = 63 << 20
	console   = "console=tty0 console=ttyS0,115200"
)

// ember makes the small guest: busybox, dropbear, Debian's cloud kernel and
// Hearth's own agent. Its user has the ssh key, no password, and becomes root
// by sudo.
func ember(ctx context.Context, o *oven) (*system, error) {
	agent, err := guest.Agent()
	if err != nil {
		return nil, err
	}
	kernel, mods, err := o.debianKernel(ctx)
	if err != nil {
		return nil, err
	}
	progs, err := o.emberPrograms(ctx)
	if err != nil {
		return nil, err
	}
	initrd, err := o.initialRamdisk(ctx, progs["bin/busybox"], mods, bootModules)
	if err != nil {
		return nil, err
	}
	user := orElse(o.User, emberUser)
	t := newTree()
	if err := emberTree(t, progs, agent, user); err != nil {
		return nil, err
	}
	s, err := t.stage(workdir.Tree(o.work))
	if err != nil {
		return nil, err
	}
	uuid := newUUID()
	params := "root=UUID=" + uuid + " " + console
	menu := bootdisk.Menu{Title: "Ember (Hearth)", Kernel: "/boot/vmlinuz", Ramdisk: "/boot/initrd", Params: params}
	return &system{kernel: kernel, ramdisk: initrd, root: s, label: "ember", uuid: uuid, minSize: emberSize, user: user, small: true,
		params: params, menu: menu, boot: []disk.File{
			{Path: "/boot/vmlinuz", Mode: 0o644, Data: kernel},
			{Path: "/boot/initrd", Mode: 0o644, Data: initrd},
		}}, nil
}

// debianKernel gives Debian's current cloud kernel and its modules.
func (o *oven) debianKernel(ctx context.Context) ([]byte, modules, error) {
	name, err := kernelPackage(ctx)
	if err != nil {
		return nil, nil, err
	}
	debs, err := o.fetch(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	done := o.steps.begin("unpack the kernel", debs[name].size)
	files, err := unpack(ctx, debs[name], func(n string) bool {
		return strings.HasPrefix(n, "boot/vmlinuz-") || strings.HasSuffix(n, ".ko")
	})
	if done.end(err) != nil {
		return nil, nil, err
	}
	for n, b := range files {
		if strings.HasPrefix(n, "boot/vmlinuz-") {
			return b, newModules(files), nil
		}
	}
	return nil, nil, fmt.Errorf("the package %s has no kernel", name)
}

// emberPrograms gives busybox, dropbear and the libraries it needs.
func (o *oven) emberPrograms(ctx context.Context) (map[string][]byte, error) {
	wanted := slices.Concat(emberPackages, mke2fsPackages)
	debs, err := o.fetch(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, name := range wanted {
		files, err := unpack(ctx, debs[name], func(n string) bool { return path.Base(n) != "" && !strings.HasPrefix(n, "usr/share") })
		if err != nil {
			return nil, err
		}
		for n, b := range files {
			all[strings.TrimPrefix(n, "usr/")] = b
		}
	}
	for _, n := range []string{"bin/busybox", "sbin/dropbear", "bin/dropbearkey"} {
		if all[n] == nil {
			return nil, fmt.Errorf("the packages have no %s", n)
		}
	}
	return all, nil
}

// libraries is what dropbear and dropbearkey are linked with.
var libraries = []string{"libtomcrypt.so.1", "libtommath.so.1", "libz.so.1", "libcrypt.so.1", "libgmp.so.10", "libc.so.6"}

func emberTree(t *tree, progs map[string][]byte, agent []byte, user string) error {
	t.dir(0o755, "/dev", "/proc", "/sys", "/run", "/bin", "/mnt", "/var/lib", "/var/log", "/usr", "/home", "/etc/dropbear")
	t.dir(0o777|fs.ModeSticky, "/tmp", "/var/tmp")
	t.dir(0o700, "/root", "/etc/dropbear", "/lost+found")
	for name, target := range map[string]string{"/sbin": "bin", "/usr/bin": "../bin", "/usr/sbin": "../bin", "/var/run": "../run", "/etc/mtab": "../proc/mounts"} {
		t.symlink(name, target)
	}
	if err := addLibraries(t, progs, libraries); err != nil {
		return err
	}
	loader := progs["lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"]
	if loader == nil {
		return fmt.Errorf("the packages have no dynamic loader")
	}
	t.file("/lib64/ld-linux-x86-64.so.2", 0o755, loader)
	t.file("/bin/dropbear", 0o755, progs["sbin/dropbear"])
	t.file("/bin/dropbearkey", 0o755, progs["bin/dropbearkey"])
	// One file of three names, and so of one mode: wheel may become root by each.
	t.put(entry{path: "/bin/sudo", mode: 0o750 | fs.ModeSetuid, gid: wheel, data: agent})
	t.put(entry{path: "/bin/hearth-guest", same: "/bin/sudo"})
	t.put(entry{path: userShell, same: "/bin/sudo"})
	if err := addTools(t, progs); err != nil {
		return err
	}
	if err := busyboxTree(t, progs["bin/busybox"]); err != nil {
		return err
	}
	accounts(t, user)
	return emberConfig(t, user)
}

// busyboxTree adds busybox under the name of each of its applets.
func busyboxTree(t *tree, busybox []byte) error {
	names := applets(busybox)
	if len(names) < 100 {
		return fmt.Errorf("busybox names %d applets only; its form is not understood", len(names))
	}
	t.file("/bin/busybox", 0o755, busybox)
	for _, n := range names {
		if _, taken := t.entries["/bin/"+n]; !taken {
			t.put(entry{path: "/bin/" + n, same: "/bin/busybox"})
		}
	}
	return nil
}

// applets reads busybox's table of names: strings ended by zero, in order, the
// first two being [ and [[, ended by an empty one.
func applets(busybox []byte) []string {
	i := bytes.Index(busybox, []byte("\x00[\x00[[\x00"))
	if i < 0 {
		return nil
	}
	var names []string
	for _, n := range bytes.Split(busybox[i+1:], []byte{0}) {
		if len(n) == 0 {
			break
		}
		names = append(names, string(n))
	}
	return names
}

const (
	wheel   = 10
	userID  = 1000
	noLogin = "*" // no password matches this
	// userShell is the agent by the name that makes it /bin/sh with raw sockets, for ping.
	userShell = "/bin/hearth-shell"
)

func accounts(t *tree, user string) {
	t.text("/etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\n%s:x:%d:%d::/home/%s:%s\nnobody:x:65534:65534:nobody:/:/bin/false\n", user, userID, userID, user, userShell))
	t.text("/etc/group", fmt.Sprintf("root:x:0:\ntty:x:5:\nwheel:x:%d:%s\n%s:x:%d:\nnogroup:x:65534:\n", wheel, user, user, userID))
	t.file("/etc/shadow", 0o600, []byte("root:"+noLogin+":20000::::::\n"+user+":"+noLogin+":20000::::::\nnobody:"+noLogin+":20000::::::\n"))
	t.text("/etc/shells", "/bin/sh\n/bin/ash\n"+userShell+"\n")
	t.put(entry{path: "/home/" + user, mode: fs.ModeDir | 0o755, uid: userID, gid: userID})
}

func emberConfig(t *tree, user string) error {
	for name, mode := range map[string]fs.FileMode{"rc": 0o755, "console": 0o755, "udhcpc.script": 0o755, "inittab": 0o644, "profile": 0o644, "motd": 0o644} {
		b, err := emberFiles.ReadFile("ember/" + name)
		if err != nil {
			return err
		}
		t.file("/etc/"+name, mode, b)
	}
	t.text("/etc/hearth-guest.conf", "user="+user+"\n")
	t.text("/etc/hostname", "ember\n")
	t.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n")
	t.text("/etc/issue", "Ember, a small Linux guest of Hearth, on \\l\n")
	t.text("/etc/os-release", "ID=ember\nNAME=Ember\nPRETTY_NAME=\"Ember (Hearth)\"\n")
	t.text("/etc/fstab", "")
	t.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	return nil
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
