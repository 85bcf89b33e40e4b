package bake

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/sdboot"
	"hearth/internal/disk/workdir"
)

//go:embed debian
var debianFiles embed.FS

const (
	debianUser  = "debian"
	debianSuite = "bookworm"
)

// debianPackages make a server that people expect of a cloud image.
var debianPackages = []string{"linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "udev", "dbus", "systemd-resolved",
	"netplan.io", "cloud-init", "cloud-guest-utils", "fdisk", "e2fsprogs", "openssh-server", "sudo", "iproute2", "iputils-ping",
	"isc-dhcp-client", "ca-certificates", "procps", "kmod"}

// debianModules keeps the ramdisk small: what finds the root, not all drivers.
const debianModules = `virtio_pci\nvirtio_blk\nvirtio_scsi\nvirtio_net\nsd_mod\nata_piix\n`

// debian makes a Debian server with cloud-init and sshd by mmdebstrap, which
// works as root and, in a user namespace, as anyone with ids in /etc/subuid.
func debian(ctx context.Context, o *oven) (*system, error) {
	if o.Init != "" {
		return plainDebian(ctx, o)
	}
	if o.Overlay != "" {
		return nil, errors.New("an overlay goes over a Debian with Hearth's agent: say --init systemd too")
	}
	archive := filepath.Join(o.work, "debian.tar")
	initramfs := `mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"` +
		` && printf 'MODULES=list\nCOMPRESS=zstd\n' >"$1/etc/initramfs-tools/conf.d/hearth"` +
		` && printf '` + debianModules + `' >"$1/usr/share/initramfs-tools/modules.d/hearth"`
	if err := o.bootstrap(ctx, archive, debianPackages, "--essential-hook="+initramfs); err != nil {
		return nil, err
	}
	uuid, user := newUUID(), orElse(o.User, debianUser)
	over, err := debianOverlay(user, uuid)
	if err != nil {
		return nil, err
	}
	if err := o.debianEFI(over, uuid); err != nil {
		return nil, err
	}
	done := o.steps.begin("unpack the system", fileLength(archive))
	s, err := stageTar(archive, workdir.Tree(o.work), over, done.at)
	if done.end(err) != nil {
		return nil, err
	}
	if err := os.Remove(archive); err != nil {
		return nil, err
	}
	status, err := os.ReadFile(filepath.Join(s.dir, "var/lib/dpkg/status"))
	if err != nil {
		return nil, err
	}
	o.packages = installed(string(status))
	kernel, err := readOne(s.dir, "boot/vmlinuz-*")
	if err != nil {
		return nil, err
	}
	initrd, err := readOne(s.dir, "boot/initrd.img-*")
	if err != nil {
		return nil, err
	}
	params := "root=UUID=" + uuid + " ro " + console
	return &system{kernel: kernel, ramdisk: initrd, root: s, label: "debian", uuid: uuid, user: user, params: params,
		minSize: roomFor(s), menu: bootdisk.Menu{Title: "Debian GNU/Linux (Hearth)", Kernel: "/vmlinuz", Ramdisk: "/initrd.img", Params: params, Wait: time.Second}}, nil
}

// installed lists the packages of dpkg's status file as NAME_VERSION.
func installed(status string) []string {
	var list []string
	for stanza := range strings.SplitSeq(status, "\n\n") {
		name, version := "", ""
		for line := range strings.Lines(stanza) {
			if v, ok := strings.CutPrefix(line, "Package: "); ok {
				name = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "Version: "); ok {
				version = strings.TrimSpace(v)
			}
		}
		if name != "" {
			list = append(list, name+"_"+version)
		}
	}
	return list
}

// roomFor leaves a third, and 128 MiB, to a system.
func roomFor(s *staged) int64 {
	need := s.bytes + int64(s.files)*256
	return (need + need/3 + 128<<20) / (16 << 20) * (16 << 20)
}

// bootstrap makes an archive of a Debian with the packages. Those that were
// fetched stay in the cache.
func (o *oven) bootstrap(ctx context.Context, archive string, packages []string, options ...string) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return errors.New("mmdebstrap is not installed; Debian has it in a package of the same name")
	}
	suite := orElse(o.Suite, debianSuite)
	cache := filepath.Join(o.CacheDir, suite)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	if strings.ContainsAny(cache, " '\"\\$`\n") {
		return fmt.Errorf("the cache folder %q has a character that mmdebstrap's hooks do not take", cache)
	}
	over, err := o.turn(ctx)
	if err != nil {
		return err
	}
	defer over()
	done := o.steps.begin("install "+suite+" (mmdebstrap)", 0)
	if len(packages) > 0 {
		options = append(slices.Clone(options), "--include="+strings.Join(packages, ","))
	}
	args := slices.Concat(options, []string{"--variant=minbase", "--mode=auto", "--format=tar", // not --quiet, which keeps apt's errors to itself
		"--architectures=amd64",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--skip=download/empty", "--skip=essential/unlink",
		`--setup-hook=mkdir -p "$1/var/cache/apt/archives"`, "--setup-hook=sync-in " + cache + " /var/cache/apt/archives",
		"--customize-hook=sync-out /var/cache/apt/archives " + cache,
		`--customize-hook=cd "$1/var/cache/apt/archives" && rm -f lock && chown 0:0 .`, // sync-in made it whose the cache is
		suite, archive}, o.mirror)
	_, err = command(ctx, o.work, nil, "mmdebstrap", args...)
	return done.end(withoutIDs(err))
}

// withoutIDs says what mmdebstrap misses where a user has no ids to give to a system's users.
func withoutIDs(err error) error {
	if err == nil || !strings.Contains(err.Error(), "unable to pick chroot mode") {
		return err
	}
	return errors.New("a system of packages has more users than one, and this user has no ids for them: root gives some, such as by " +
		"'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER' (and the package uidmap), or bakes; a recipe whose base is a tarball needs none")
}

// debianOverlay is what this recipe puts over the packages' files. An entry
// without mode removes a file.
func debianOverlay(user, uuid string) (*tree, error) {
	cfg, err := debianFiles.ReadFile("debian/cloud.cfg")
	if err != nil {
		return nil, err
	}
	ssh, err := debianFiles.ReadFile("debian/ssh.conf")
	if err != nil {
		return nil, err
	}
	t := newTree()
	t.text("/etc/cloud/cloud.cfg.d/90_hearth.cfg", strings.ReplaceAll(string(cfg), "@USER@", user))
	t.text("/etc/cloud/ds-identify.cfg", "policy: search,found=first,maybe=all,notfound=enabled\n")
	t.file("/etc/systemd/system/ssh.service.d/hearth.conf", 0o644, ssh)
	// After 50-cloud-init.conf, so that user-data may allow passwords.
	t.text("/etc/ssh/sshd_config.d/60-hearth.conf", "PasswordAuthentication no\nKbdInteractiveAuthentication no\n")
	t.text("/etc/fstab", rootLine(uuid))
	t.text("/etc/hostname", "debian\n")
	t.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	t.text("/etc/machine-id", "")
	t.symlink("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
	wants := "/etc/systemd/system/multi-user.target.wants/"
	t.symlink(wants+"systemd-networkd.service", "/lib/systemd/system/systemd-networkd.service")
	t.symlink("/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", "/lib/systemd/system/serial-getty@.service")
	return t, nil
}

func rootLine(uuid string) string { return "UUID=" + uuid + " / ext4 defaults,errors=remount-ro 0 1\n" }

// debianEFI has it mount the EFI system partition, if its loader reads that.
func (o *oven) debianEFI(t *tree, uuid string) error {
	hooks := o.efiHooks()
	if hooks == nil {
		return nil
	}
	fstab, err := o.fstab(rootLine(uuid), uuid)
	if err != nil {
		return err
	}
	t.text("/etc/fstab", fstab)
	t.dir(0o700, sdboot.Mounted)
	for _, e := range hooks {
		t.put(e)
	}
	return nil
}

// dropped are files of an installation that must not be in an image.
func dropped(name string) bool {
	for _, pattern := range []string{"/etc/ssh/ssh_host_*", "/var/lib/dbus/machine-id", "/var/lib/systemd/random-seed", "/var/log/*.log",
		"/var/log/apt/*", "/var/cache/ldconfig/*", "/var/lib/dhcp/*", "/dev/*", "/etc/machine-id", "/etc/hostname", "/etc/resolv.conf"} {
		if ok, _ := filepath.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

func readOne(dir, pattern string) ([]byte, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("the system has %d files %s, it should have one", len(found), pattern)
	}
	return os.ReadFile(found[0])
}

func fileLength(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
