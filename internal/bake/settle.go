package bake

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"hearth/internal/bake/guest"
	"hearth/internal/bake/recipe"
	filetree "hearth/internal/disk/tree"
)

// settle makes a system that of the recipe.
func (k *kitchen) settle(r *rootfs, uuid string) error {
	login := k.loginUser()
	host := orElse(k.recipe.Hostname, strings.ReplaceAll(k.recipe.Name, "_", "-"))
	// Accounts first: what follows finds the login's account and leaves it.
	for i, u := range append([]recipe.User{login}, k.recipe.Users...) {
		if err := r.user(u, i == 0); err != nil {
			return err
		}
	}
	if k.agent() == "cloud-init" {
		if err := r.cloudInit(login.LoginName(), host, uuid); err != nil {
			return err
		}
	} else if err := r.dress(dressing{label: host, user: login.LoginName(), bare: k.agent() == "none"}, uuid); err != nil {
		return err
	}
	init, err := r.initSystem()
	if err != nil {
		return err
	}
	for _, s := range k.recipe.Services.Enable {
		err = errors.Join(err, r.enable(init, s))
	}
	for _, s := range k.recipe.Services.Disable {
		err = errors.Join(err, r.disable(init, s))
	}
	return err
}

// cloudInit sets a Debian up whose first boot is cloud-init's.
func (r *rootfs) cloudInit(user, host, uuid string) error {
	if r.first("/usr/bin/cloud-init") == "" {
		return errors.New("agent: cloud-init goes with the package cloud-init, which is not installed")
	}
	if r.first("/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd") == "" || r.first("/usr/sbin/netplan") == "" {
		return errors.New("agent: cloud-init goes with systemd and netplan.io here: cloud-init writes the network for it")
	}
	over, err := debianOverlay(user, uuid)
	if err != nil {
		return err
	}
	for _, e := range over.sorted() {
		if e.path == "/etc/resolv.conf" && r.first("/lib/systemd/systemd-resolved", "/usr/lib/systemd/systemd-resolved") == "" {
			continue
		}
		if err := r.put(e); err != nil {
			return err
		}
	}
	return r.text("/etc/hostname", host+"\n")
}

// user makes or completes an account. Of those besides the login, who are told their groups, none
// is an administrator unless that is among them.
func (r *rootfs) user(u recipe.User, login bool) error {
	name := u.LoginName()
	if err := r.account(name, login || len(u.Groups) == 0); err != nil {
		return err
	}
	passwd, err := r.read("/etc/passwd")
	if err != nil {
		return err
	}
	groups, err := r.read("/etc/group")
	if err != nil {
		return err
	}
	for _, g := range u.Groups {
		if field(groups, g, 0) == "" {
			return fmt.Errorf("the user %s should be in the group %s, which the system does not have", name, g)
		}
	}
	err = r.edit("/etc/group", 0o644, func(s string) string {
		for _, g := range u.Groups {
			if !inGroup(s, g, name) {
				s = joinGroup(s, g, name)
			}
		}
		return s
	})
	if u.Shell != "" {
		err = errors.Join(err, r.edit("/etc/passwd", 0o644, func(s string) string { return withField(s, name, 6, u.Shell) }))
	}
	if u.PasswordHash != "" {
		err = errors.Join(err, r.edit("/etc/shadow", 0o600, func(s string) string { return withField(s, name, 1, u.PasswordHash) }))
	}
	if len(u.Keys) == 0 || err != nil {
		return err
	}
	uid, _ := strconv.Atoi(field(passwd, name, 2))
	gid, _ := strconv.Atoi(field(passwd, name, 3))
	dir := path.Join(field(passwd, name, 5), ".ssh")
	return errors.Join(r.put(entry{path: dir, mode: fs.ModeDir | 0o700, uid: uid, gid: gid}),
		r.put(entry{path: dir + "/authorized_keys", mode: 0o600, uid: uid, gid: gid, data: []byte(strings.Join(u.Keys, "\n") + "\n")}))
}

func inGroup(groups, group, user string) bool {
	for m := range strings.SplitSeq(field(groups, group, 3), ",") {
		if m == user {
			return true
		}
	}
	return false
}

// withField changes a field of a user's line in /etc/passwd or /etc/shadow.
func withField(file, user string, n int, value string) string {
	var b strings.Builder
	for l := range strings.Lines(file) {
		if f := strings.Split(strings.TrimRight(l, "\n"), ":"); n < len(f) && f[0] == user {
			f[n] = value
			l = strings.Join(f, ":") + "\n"
		}
		b.WriteString(l)
	}
	return b.String()
}

// enable starts a service at boot.
func (r *rootfs) enable(init, name string) error {
	switch init {
	case guest.Systemd:
		return r.enableUnit(name)
	case guest.OpenRC:
		return r.startAt("/etc/init.d/"+name, "/etc/runlevels/default/"+name, "/etc/init.d/"+name)
	case guest.Runit:
		return r.startAt("/etc/sv/"+name, "/etc/runit/runsvdir/default/"+name, "/etc/sv/"+name)
	}
	if r.has("/etc/init.d/.depend.start") {
		return fmt.Errorf("enable %s: this system orders its services by insserv, which is run by a script with update-rc.d %s defaults", name, name)
	}
	var err error
	for _, level := range []string{"2", "3", "5"} {
		err = errors.Join(err, r.startAt("/etc/init.d/"+name, "/etc/rc"+level+".d/S20"+name, "../init.d/"+name))
	}
	return err
}

func (r *rootfs) startAt(file, link, target string) error {
	if !r.has(file) {
		return fmt.Errorf("enable %s: the system has no %s", path.Base(file), file)
	}
	return r.symlink(link, target)
}

// enableUnit does what systemctl enable does with WantedBy= and Alias=.
func (r *rootfs) enableUnit(name string) error {
	unit := name
	if path.Ext(unit) == "" {
		unit += ".service"
	}
	file := r.first("/etc/systemd/system/"+unit, "/usr/lib/systemd/system/"+unit, "/lib/systemd/system/"+unit)
	if file == "" {
		return fmt.Errorf("enable %s: the system has no unit %s", name, unit)
	}
	text, err := r.read(file)
	if err != nil {
		return err
	}
	links := installLinks(text, unit)
	if len(links) == 0 {
		return fmt.Errorf("enable %s: %s says neither WantedBy=, RequiredBy= nor Alias=, so nothing would start it", name, file)
	}
	for _, l := range links {
		err = errors.Join(err, r.symlink("/etc/systemd/system/"+l, file))
	}
	return err
}

// installLinks lists the links of the section [Install], from /etc/systemd/system.
// Source: systemd.unit(5), "[Install] section options".
func installLinks(text, unit string) (links []string) {
	section := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			section = l
		}
		key, value, ok := strings.Cut(l, "=")
		if section != "[Install]" || !ok {
			continue
		}
		for v := range strings.FieldsSeq(value) {
			if strings.ContainsAny(v, "/%") {
				continue
			}
			switch strings.TrimSpace(key) {
			case "WantedBy":
				links = append(links, v+".wants/"+unit)
			case "RequiredBy":
				links = append(links, v+".requires/"+unit)
			case "Alias":
				links = append(links, v)
			}
		}
	}
	return links
}

// disable has a service not started at boot.
func (r *rootfs) disable(init, name string) error {
	var patterns []string
	switch init {
	case guest.Systemd:
		unit := name
		if path.Ext(unit) == "" {
			unit += ".service"
		}
		patterns = []string{"etc/systemd/system/*.wants/" + unit, "etc/systemd/system/*.requires/" + unit}
	case guest.OpenRC:
		patterns = []string{"etc/runlevels/*/" + name}
	case guest.Runit:
		patterns = []string{"etc/runit/runsvdir/*/" + name, "etc/service/" + name}
	default:
		patterns = []string{"etc/rc[2345S].d/S[0-9][0-9]" + name}
	}
	for _, p := range patterns {
		found, err := fs.Glob(r.root.FS(), p)
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := r.remove("/" + f); err != nil {
				return err
			}
		}
	}
	return nil
}

// setOwner changes to whom a file belongs, or its mode, if they are not negative.
func (r *rootfs) setOwner(name string, uid, gid, mode int) error {
	name = r.real(name)
	st, err := r.root.Lstat(name[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s should get another mode or owner, and the system has no such file", name)
	}
	if err != nil {
		return err
	}
	o := filetree.Entry{Path: name, Mode: entry{mode: st.Mode()}.unixMode()}
	for _, was := range r.owners {
		if path.Base(was.Path) == path.Base(name) && r.real(was.Path) == name {
			o = was
		}
	}
	if uid >= 0 {
		o.UID, o.GID = uid, gid
	}
	if mode >= 0 {
		o.Mode = o.Mode&^0o7777 | uint32(mode)
	}
	r.touch(name)
	r.owners, r.folders = append(r.owners, o), nil // the next overlay may change folders
	return nil
}
