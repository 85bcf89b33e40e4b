package bake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/workdir"
)

// dressing is what a system without cloud-init is made ready with.
type dressing struct {
	title string // in the boot loader's menu
	label string // of the root file system, and the host name until there is one
	user  string // who gets the ssh keys
	bare  bool   // without Hearth's agent
}

// dress makes a guest of the root file system in an archive: a kernel and a
// boot loader, a login on the serial line, a network by DHCP, ssh by key only,
// the user, and Hearth's agent, started by whatever starts services there.
func (o *oven) dress(ctx context.Context, archive string, d dressing) (*system, error) {
	done := o.steps.begin("unpack the system", fileLength(archive))
	s, err := stageTar(archive, workdir.Tree(o.work), newTree(), done.at)
	if done.end(err) != nil {
		return nil, err
	}
	r, err := openRootfs(s)
	if err != nil {
		return nil, err
	}
	defer r.root.Close()
	status, err := r.read("/var/lib/dpkg/status")
	if err != nil {
		return nil, err
	}
	o.packages = append(o.packages, installed(status)...)
	k, err := o.kernelFor(ctx, r)
	if err != nil {
		return nil, err
	}
	uuid := newUUID()
	if err := r.dress(d, uuid); err != nil {
		return nil, err
	}
	if err := o.efi(r, uuid); err != nil {
		return nil, err
	}
	if o.Overlay != "" {
		if err := o.overlay(r); err != nil {
			return nil, err
		}
	}
	const kernel, ramdisk = "/boot/hearth/vmlinuz", "/boot/hearth/initrd"
	// eth0 is what the network is set up for, whatever slot the NIC is in.
	params := "root=UUID=" + uuid + " ro net.ifnames=0 " + console
	return &system{kernel: k.image, ramdisk: k.ramdisk, root: s, label: d.label, uuid: uuid, user: d.user, params: params, minSize: roomFor(s),
		menu: bootdisk.Menu{Title: d.title, Kernel: kernel, Ramdisk: ramdisk, Params: params}, boot: []disk.File{
			{Path: kernel, Mode: 0o644, Data: k.image},
			{Path: ramdisk, Mode: 0o644, Data: k.ramdisk},
		}}, nil
}

// dress makes a system ready for its first start.
func (r *rootfs) dress(d dressing, uuid string) error {
	init, err := r.initSystem()
	if err != nil {
		return err
	}
	var files []guest.File
	if !d.bare {
		if files, err = guest.Install(init, d.user); err != nil {
			return err
		}
	}
	for _, f := range files {
		e := entry{path: f.Path, mode: f.Mode, data: f.Data, link: f.Link}
		if f.Link != "" {
			e.mode = fs.ModeSymlink | 0o777
		}
		if err := r.put(e); err != nil {
			return err
		}
	}
	err = errors.Join(
		r.text("/etc/fstab", "UUID="+uuid+" / ext4 defaults 0 1\n"),
		r.text("/etc/hostname", d.label+"\n"),
		r.edit("/etc/hosts", 0o644, func(s string) string { return line(s, "127.0.0.1\tlocalhost") }),
	)
	switch init {
	case guest.Systemd:
		err = errors.Join(err, r.text("/etc/machine-id", "")) // made new by the first boot
	case guest.SysV:
		if !d.bare {
			err = errors.Join(err, r.startOrder())
		}
	}
	return errors.Join(err, r.account(d.user, true), r.sudo(), r.network(init), r.ssh(init), r.console(init))
}

// startOrder puts the agent before the ssh servers in the list that insserv made,
// where there is one: a script that is not in it is not started at all.
func (r *rootfs) startOrder() error {
	const list = "/etc/init.d/.depend.start"
	if !r.has(list) {
		return nil
	}
	return r.edit(list, 0o644, beforeSSH)
}

// beforeSSH edits such a list, which has the form of a makefile.
func beforeSSH(list string) string {
	const agent = " hearth-guest"
	var b strings.Builder
	var servers []string
	for l := range strings.Lines(list) {
		l = strings.TrimRight(l, "\n")
		name, needs, _ := strings.Cut(l, ":")
		switch {
		case strings.HasPrefix(l, "TARGETS = "):
			for _, s := range []string{"ssh", "dropbear"} {
				if slices.Contains(strings.Fields(l), s) {
					servers = append(servers, s)
				}
			}
			l += agent
		case slices.Contains(servers, name):
			l, servers = name+":"+agent+needs, slices.DeleteFunc(servers, func(s string) bool { return s == name })
		}
		b.WriteString(l + "\n")
	}
	for _, s := range servers {
		b.WriteString(s + ":" + agent + "\n")
	}
	return b.String()
}

// network has eth0 ask for its address, in the words of what this system sets
// its network up with.
func (r *rootfs) network(init string) error {
	switch {
	case r.has("/etc/init.d/net.lo"): // netifrc, Gentoo's
		return r.netifrc()
	case r.first("/sbin/ifup", "/usr/sbin/ifup") != "" && r.has("/etc/network"):
		return r.text("/etc/network/interfaces", "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n")
	case init == guest.Systemd && r.first("/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd") != "":
		return errors.Join(
			r.text("/etc/systemd/network/80-hearth.network", "[Match]\nName=eth*\n\n[Network]\nDHCP=yes\n"),
			r.symlink("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "/usr/lib/systemd/system/systemd-networkd.service"))
	case init == guest.OpenRC && r.has("/etc/init.d/dhcpcd"):
		return r.symlink("/etc/runlevels/default/dhcpcd", "/etc/init.d/dhcpcd")
	}
	return errors.New("the system has neither netifrc, ifupdown, systemd-networkd nor dhcpcd as a service, so it would have no network: put one into it")
}

func (r *rootfs) netifrc() error {
	if r.first("/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd", "/sbin/dhclient", "/usr/bin/dhclient", "/sbin/udhcpc", "/usr/bin/udhcpc", "/bin/udhcpc") == "" {
		// A stage3 has no client but that in busybox, which has no name of its own there.
		busybox := r.first("/bin/busybox", "/usr/bin/busybox")
		if busybox == "" {
			return errors.New("the system has no DHCP client: put dhcpcd or busybox into it")
		}
		if err := r.symlink("/sbin/udhcpc", busybox); err != nil {
			return err
		}
	}
	return errors.Join(
		r.text("/etc/conf.d/net", "config_eth0=\"dhcp\"\n"),
		r.symlink("/etc/init.d/net.eth0", "net.lo"),
		r.symlink("/etc/runlevels/default/net.eth0", "/etc/init.d/net.eth0"))
}

// ssh starts the server of this system, with keys only. Where installing it
// enabled it, as Debian's does, there is nothing to do.
func (r *rootfs) ssh(init string) error {
	if r.first("/usr/sbin/sshd", "/usr/bin/sshd", "/usr/sbin/dropbear", "/usr/bin/dropbear") == "" {
		return errors.New("the system has no ssh server: put openssh or dropbear into it")
	}
	// Read first by sshd, so that user-data may put another file before it.
	err := r.text("/etc/ssh/sshd_config.d/60-hearth.conf", "PasswordAuthentication no\nKbdInteractiveAuthentication no\n")
	for _, name := range []string{"sshd", "ssh", "dropbear"} {
		switch {
		case init == guest.OpenRC && r.has("/etc/init.d/"+name):
			return errors.Join(err, r.symlink("/etc/runlevels/default/"+name, "/etc/init.d/"+name))
		case init == guest.Systemd:
			if unit := r.first("/usr/lib/systemd/system/"+name+".service", "/lib/systemd/system/"+name+".service"); unit != "" {
				return errors.Join(err, r.symlink("/etc/systemd/system/multi-user.target.wants/"+name+".service", unit))
			}
		}
	}
	return err
}

// console has a login on the serial line.
func (r *rootfs) console(init string) error {
	switch {
	case init == guest.Systemd:
		return r.symlink("/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", "/usr/lib/systemd/system/serial-getty@.service")
	case init == guest.Runit:
		if r.has("/etc/sv/getty-ttyS0") {
			return r.symlink("/etc/runit/runsvdir/default/getty-ttyS0", "/etc/sv/getty-ttyS0")
		}
		return nil
	case r.has("/etc/inittab"):
		getty := r.first("/sbin/getty", "/sbin/agetty", "/usr/bin/agetty", "/usr/sbin/agetty")
		return r.edit("/etc/inittab", 0o644, func(s string) string { return line(s, "hs0:2345:respawn:"+getty+" -L 115200 ttyS0 vt100") })
	case r.has("/etc/init.d/agetty"): // openrc-init
		return errors.Join(r.symlink("/etc/init.d/agetty.ttyS0", "agetty"), r.symlink("/etc/runlevels/default/agetty.ttyS0", "/etc/init.d/agetty.ttyS0"))
	}
	return nil
}

// overlay puts the operator's own files over all: a folder, whose files then
// belong to root, or an archive, whose files belong to whom it says.
func (o *oven) overlay(r *rootfs) error {
	done := o.steps.begin("put the overlay over it", 0)
	st, err := os.Stat(o.Overlay)
	if err != nil {
		return done.end(err)
	}
	if !st.IsDir() {
		return done.end(r.overTar(o.Overlay, "/"))
	}
	return done.end(r.putFolder(o.Overlay, entry{path: "/"}, nil))
}

// shadowLine is how a password is locked in /etc/shadow: no password matches it.
func shadowLine(user string) string {
	return strings.Join([]string{user, noLogin, "20000", "0", "99999", "7", "", "", ""}, ":")
}
