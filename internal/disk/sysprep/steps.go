package sysprep

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"path"
	"regexp"
	"slices"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/selinux"
)

// Step is one thing that a disk must lose before others boot from it.
type Step struct {
	Name    string
	What    string // for people
	Default bool   // done unless it is left out

	remove []string // patterns of what goes, folders with all that is in them
	also   func(*run) error
}

// Steps lists all there are, in their order.
func Steps() []Step {
	home := func(names ...string) (all []string) {
		for _, n := range names {
			all = append(all, "/root/"+n, "/home/*/"+n)
		}
		return all
	}
	return []Step{
		{Name: "host-keys", What: "ssh host keys of every type", Default: true, remove: []string{"/etc/ssh/ssh_host_*", "/etc/dropbear/dropbear_*_host_key", "/etc/dropbear/dropbear_*_host_key.pub", "/etc/openssh/ssh_host_*"}, also: remake},
		{Name: "machine-id", What: "machine-id of systemd and D-Bus", Default: true, remove: []string{"/var/lib/dbus/machine-id"}, also: machineID},
		{Name: "duid", What: "DHCP unique identifiers", Default: true, remove: []string{"/var/lib/dhcpcd/duid", "/etc/dhcpcd.duid", "/var/lib/wicked/duid.xml", "/var/lib/wicked/iaid.xml", "/etc/wicked/duid.xml", "/var/lib/dhcpv6/dhcp6c_duid", "/var/lib/NetworkManager/secret_key", "/var/db/dhcpcd/duid", "/etc/dhcpcd.secret", "/var/lib/dhcpcd/secret", "/var/db/dhcpcd/secret"}},
		{Name: "random-seed", What: "saved random seeds", Default: true, remove: []string{"/var/lib/systemd/random-seed", "/var/lib/random-seed", "/var/lib/urandom/random-seed", "/var/lib/misc/random-seed", "/var/lib/seedrng/*", "/var/lib/systemd/credential.secret"}},
		{Name: "storage-names", What: "names of iSCSI's and NVMe's initiators", Default: true, remove: []string{"/etc/nvme/hostnqn", "/etc/nvme/hostid"}, also: initiator},
		{Name: "history", What: "histories of shells and editors", Default: true, remove: home(".bash_history", ".ash_history", ".sh_history", ".zsh_history", ".histfile", ".local/share/fish/fish_history", ".viminfo", ".lesshst", ".python_history", ".mysql_history", ".psql_history", ".sqlite_history", ".wget-hsts", ".rnd")},
		{Name: "logs", What: "logs and the journal; log files stay, empty", Default: true, remove: []string{"/var/log/journal/*", "/var/lib/systemd/coredump/*", "/var/crash/*"}, also: logs},
		{Name: "cloud-init", What: "cloud-init's and Hearth's agent's memory of the instance", Default: true, remove: []string{"/var/lib/cloud/instance", "/var/lib/cloud/instances", "/var/lib/cloud/data", "/var/lib/cloud/sem", "/var/lib/cloud/handlers",
			"/etc/netplan/50-cloud-init.yaml", "/etc/network/interfaces.d/50-cloud-init", "/etc/network/interfaces.d/50-cloud-init.cfg", "/etc/systemd/network/10-cloud-init-*.network", "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection", "/etc/udev/rules.d/70-persistent-net-cloud-init.rules", "/var/lib/hearth-guest/*"}},
		{Name: "leases", What: "DHCP leases", Default: true, remove: []string{"/var/lib/dhcp/*.lease*", "/var/lib/dhclient/*", "/var/lib/dhcp3/*", "/var/lib/dhcpcd/*.lease*", "/var/lib/dhcpcd5/*.lease*", "/var/db/dhcpcd/*.lease*", "/var/lib/NetworkManager/*.lease", "/var/lib/wicked/lease-*", "/var/lib/dhcp/dhclient.*"}},
		{Name: "net-rules", What: "udev rules that tie names to the old network cards", Default: true, remove: []string{"/etc/udev/rules.d/*persistent-net.rules", "/etc/udev/rules.d/*persistent-net-*.rules"}},
		{Name: "mail", What: "mail that lies about", Default: true, remove: []string{"/var/mail/*", "/var/spool/mail/*"}},
		{Name: "tmp", What: "temporary files", Default: true, remove: []string{"/tmp/*", "/tmp/.[!.]*", "/var/tmp/*", "/var/tmp/.[!.]*"}},
		{Name: "package-cache", What: "packages that were fetched", Default: true, remove: []string{"/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/pkgcache.bin", "/var/cache/apt/srcpkgcache.bin", "/var/cache/dnf/*", "/var/cache/yum/*", "/var/cache/zypp/packages/*", "/var/cache/pacman/pkg/*", "/var/cache/apk/*", "/var/cache/distfiles/*"}},
		{Name: "authorized-keys", What: "ssh keys of those who may log in", remove: home(".ssh/authorized_keys", ".ssh/authorized_keys2")},
		{Name: "ssh-known-hosts", What: "hosts that users have logged in to", remove: home(".ssh/known_hosts", ".ssh/known_hosts.old")},
		{Name: "cron-jitter", What: "the minutes of cron's daily jobs, by chance: not all guests of a host at once", also: jitter},
		{Name: "selinux-relabel", What: "SELinux labels, made new at the next boot", also: relabel},
	}
}

// Patterns gives what some steps remove, as patterns of names.
func Patterns(names ...string) (all []string) {
	for _, s := range Steps() {
		if slices.Contains(names, s.Name) {
			all = append(all, s.remove...)
		}
	}
	return all
}

// machineID empties /etc/machine-id, which has systemd make one. Where another init is, it
// goes: dbus-uuidgen makes a file that is not there, and fails over one without an id.
func machineID(r *run) error {
	n, err := r.tree.Stat("/etc/machine-id")
	switch {
	case guestfs.Missing(err):
		return nil
	case err != nil:
		return err
	case r.init != "" && r.init != "systemd":
		return r.removeFile("/etc/machine-id")
	case n.IsRegular() && n.Size > 0:
		r.emptyFile(n)
	}
	return nil
}

// initiator has open-iscsi make a name at its next start: Debian's when it is asked to, that of
// Fedora and SUSE when there is none.
func initiator(r *run) error {
	const name = "/etc/iscsi/initiatorname.iscsi"
	b, err := r.tree.ReadFile(name, 1<<20)
	if guestfs.Missing(err) || err == nil && !bytes.Contains(b, []byte("InitiatorName=")) {
		return nil
	}
	switch {
	case err != nil:
		return err
	case guestos.Has(r.tree, "/lib/open-iscsi/startup-checks.sh", "/usr/lib/open-iscsi/startup-checks.sh"):
		r.edit.Rewrite(name, []byte("GenerateName=yes\n"), guestfs.Owner{Mode: 0o600})
		r.report("added", name)
		return nil
	case !guestos.Has(r.tree, "/lib/systemd/system/iscsi-init.service", "/usr/lib/systemd/system/iscsi-init.service"):
		r.warn("nothing in this guest makes a name for iSCSI anew: write InitiatorName=$(iscsi-iname) to " + name + " in it at its first boot")
	}
	return r.removeFile(name)
}

// rotated are names of logs that were put aside.
var rotated = regexp.MustCompile(`(\.gz|\.xz|\.bz2|\.zst|\.old|\.[0-9]+|-[0-9]{8})$`)

// logs empties the files under /var/log and removes those put aside.
func logs(r *run) error {
	top, err := r.tree.Stat("/var/log") // it may be a link
	if guestfs.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.tree.Walk(top.Path, func(n *guestfs.Node) error {
		switch {
		case n.IsDir() && n.Path == path.Join(top.Path, "journal"):
			return fs.SkipDir // it is removed
		case n.IsRegular() && rotated.MatchString(path.Base(n.Path)):
			return r.removeFile(n.Path)
		case n.IsRegular() && n.Size > 0:
			r.emptyFile(n)
		}
		return nil
	})
}

// jitter moves the jobs of /etc/crontab.
func jitter(r *run) error {
	b, err := r.tree.ReadFile("/etc/crontab", 1<<20)
	if guestfs.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := identity.Jitter(string(b), rand.Reader)
	if err == nil && text != string(b) {
		r.edit.Rewrite("/etc/crontab", []byte(text), guestfs.Owner{Mode: 0o644})
		r.report("added", "/etc/crontab")
	}
	return err
}

// relabel asks a guest with SELinux to label its files.
func relabel(r *run) error {
	if _, present := selinux.Load(r.tree); present && !guestos.Has(r.tree, "/.autorelabel") {
		r.edit.Write("/.autorelabel", nil, guestfs.Owner{Mode: 0o644})
		r.report("added", "/.autorelabel")
	}
	return nil
}

const hostKeyUnit = `# An image has no host keys; nothing else in this guest makes them.
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -A'
ExecStartPre=/usr/sbin/sshd -t
`

const dropbearUnit = `# An image has no host keys; nothing else in this guest makes them.
[Service]
ExecStartPre=/bin/sh -c 'for t in rsa ecdsa ed25519; do f=/etc/dropbear/dropbear_$${t}_host_key; test -e $$f || dropbearkey -t $$t -f $$f; done'
`

// remake sees to it that host keys are made anew at the next boot. Those of
// RedHat, SUSE, Arch, Alpine and Gentoo start sshd and Dropbear so; Debian does not.
func remake(r *run) error {
	t := r.tree
	if r.family != guestos.Debian || guestos.Has(t, "/usr/sbin/hearth-guest") {
		return nil
	}
	if guestos.Has(t, "/etc/ssh/sshd_config") && !guestos.Has(t, "/usr/bin/cloud-init", "/etc/systemd/system/ssh.service.d/hearth.conf") {
		r.remakeBy("ssh", hostKeyUnit, "ssh-keygen -A")
	}
	if guestos.Has(t, "/usr/sbin/dropbear") && guestos.Has(t, "/etc/dropbear") {
		r.remakeBy("dropbear", dropbearUnit, "dropbearkey")
	}
	return nil
}

// remakeBy adds to a service of systemd what makes host keys.
func (r *run) remakeBy(service, unit, command string) {
	if !guestos.Has(r.tree, "/lib/systemd/system/"+service+".service", "/usr/lib/systemd/system/"+service+".service") {
		r.warn("nothing in this guest makes host keys anew: run " + command + " in it at its first boot")
		return
	}
	name := "/etc/systemd/system/" + service + ".service.d/hearth-host-keys.conf"
	r.edit.Write(name, []byte(unit), guestfs.Owner{Mode: 0o644})
	r.report("added", name)
}
