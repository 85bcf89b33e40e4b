// Package inject puts into a guest's disk what its first boot needs: ssh keys, a
// hostname, files. Nothing is mounted and nothing of the guest runs; file systems
// that cannot be written to here are left alone.
package inject

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/netconf"
)

// Options says what goes into a disk.
type Options struct {
	Keys     []string // lines of authorized_keys
	User     string   // whose keys they are; "": root
	Hostname string   // "" leaves it
	Files    []File
	Network  *netconf.Network // nil leaves it
	Fstab    []string         // lines; each takes the place of the one with its folder
	Identity bool             // host keys, machine-id and the like are made new
}

// File is one file, with its mode and owner in the guest.
type File struct {
	Path  string // absolute, in the guest
	Data  []byte
	Owner guestfs.Owner
	Who   string // "USER", "USER:GROUP" or numbers as the guest knows them, before Owner; "": Owner
}

// Report says what was done.
type Report struct {
	System   string   `json:"system"`
	Changed  []string `json:"changed"`             // files of the guest
	HostKeys []string `json:"host_keys,omitempty"` // fingerprints of the new ones, as ssh-keygen -l prints them
	Warnings []string `json:"warnings"`
}

// Image puts opt into an image in place. It is a raw or qcow2 file of one layer
// that nobody uses meanwhile.
func Image(ctx context.Context, run *disk.Runner, layer disk.Layer, opt Options) (*Report, error) {
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, guestfs.ReadWrite)
	if err != nil {
		return nil, err
	}
	if err := holdsSystem(d, opt); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	report, err := Apply(ctx, d, opt)
	return report, errors.Join(err, d.Close())
}

// holdsSystem refuses to give a disk of data what a system has: a name, a network.
func holdsSystem(d *guestfs.Disk, opt Options) error {
	tree, err := d.Tree()
	if err != nil || opt.Hostname == "" && opt.Network == nil && !opt.Identity {
		return err
	}
	if _, err := tree.Stat("/etc"); guestfs.Missing(err) {
		return refuse("there is no system on this disk that could have a name, a network or an identity: it has no /etc")
	}
	return nil
}

// Apply puts opt into an open disk, all at once or, after an error, nothing.
func Apply(ctx context.Context, d *guestfs.Disk, opt Options) (*Report, error) {
	tree, err := d.Tree()
	if err != nil {
		return nil, err
	}
	w := &worker{tree: tree, edit: tree.Edit(), out: &Report{System: "an unknown system", Changed: []string{}, Warnings: []string{}}, gone: map[string]bool{}}
	family, system := guestos.Unknown, guestos.Identify(tree)
	if system != nil {
		w.out.System, family = system.Name, system.Family
	}
	w.labels()
	if opt.Identity {
		if err := w.fresh(); err != nil {
			return nil, err
		}
		if len(w.out.HostKeys) > 0 && asksTheCloud(tree) {
			w.out.Warnings = append(w.out.Warnings, "the guest has cloud-init or Hearth's agent: where there is metadata, it makes other host keys than these at its first boot")
		}
	}
	if opt.Hostname != "" {
		for _, c := range identity.SetHostname(tree, family, opt.Hostname) {
			w.edit.Rewrite(c.Path, c.Data, guestfs.Owner{Mode: 0o644})
			w.out.Changed = append(w.out.Changed, c.Path)
		}
		if asksTheCloud(tree) {
			w.out.Warnings = append(w.out.Warnings, "the guest has cloud-init or Hearth's agent: where there is metadata, it sets the hostname from that")
		}
	}
	if len(opt.Keys) > 0 {
		if err := w.keys(opt.User, opt.Keys); err != nil {
			return nil, err
		}
	}
	if opt.Network != nil {
		if err := w.network(system, *opt.Network); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.fstab(opt.Fstab), w.files(opt.Files)); err != nil {
		return nil, err
	}
	return w.out, w.edit.Commit(ctx)
}

type worker struct {
	tree *guestfs.Tree
	edit *guestfs.Edit
	out  *Report
	gone map[string]bool // files that go, by [guestfs.Node].Path
}

// account is a line of /etc/passwd.
type account struct {
	home     string
	uid, gid uint32
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "inject", Reason: fmt.Sprintf(format, args...)}
}

// find looks a user up in the guest.
func (w *worker) find(user string) (account, error) {
	b, err := w.tree.ReadFile("/etc/passwd", 1<<20)
	if err != nil {
		return account{}, refuse("the guest's /etc/passwd cannot be read: %v", err)
	}
	var have []string
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 {
			continue
		}
		uid, uerr := strconv.ParseUint(f[2], 10, 32)
		gid, gerr := strconv.ParseUint(f[3], 10, 32)
		if f[0] == user && uerr == nil && gerr == nil && strings.HasPrefix(f[5], "/") {
			return account{path.Clean(f[5]), uint32(uid), uint32(gid)}, nil
		}
		if uid == 0 || uid >= 1000 && uid < 65534 {
			have = append(have, f[0])
		}
	}
	return account{}, refuse("the guest has no user %q who could log in; it has %s", user, strings.Join(have, ", "))
}

// keys adds to a user's authorized_keys those that are not in it.
func (w *worker) keys(user string, keys []string) error {
	if user == "" {
		user = "root"
	}
	who, err := w.find(user)
	if err != nil {
		return err
	}
	dir := path.Join(who.home, ".ssh")
	name := dir + "/authorized_keys"
	now := ""
	if b, err := w.tree.ReadFile(name, 1<<20); err == nil {
		now = string(b)
	} else if !guestfs.Missing(err) {
		return err
	}
	text, err := withKeys(now, keys)
	if err != nil || text == now {
		return err
	}
	w.edit.Mkdir(who.home, guestfs.Owner{UID: who.uid, GID: who.gid, Mode: 0o700})
	w.edit.Mkdir(dir, guestfs.Owner{UID: who.uid, GID: who.gid, Mode: 0o700})
	w.edit.Write(name, []byte(text), guestfs.Owner{UID: who.uid, GID: who.gid, Mode: 0o600})
	w.out.Changed = append(w.out.Changed, name)
	return nil
}

// publicKey reads the one line of authorized_keys that a key is.
func publicKey(line string) (ssh.PublicKey, error) {
	if strings.Contains(line, "PRIVATE KEY-----") {
		return nil, refuse("a private key was given: it stays with its owner, and the public one (.pub) goes into the guest")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, refuse("%.40q is no public key of ssh: %v", line, err)
	}
	if strings.ContainsAny(line, "\r\n") {
		return nil, refuse("%.40q has more lines than one: give each key by itself", line)
	}
	return key, nil
}

// withKeys adds lines to authorized_keys. What is no key is Unsupported.
func withKeys(now string, keys []string) (string, error) {
	if now != "" && !strings.HasSuffix(now, "\n") {
		now += "\n"
	}
	have := map[string]bool{}
	for rest := []byte(now); len(rest) > 0; {
		key, _, _, next, err := ssh.ParseAuthorizedKey(rest)
		if err != nil {
			break
		}
		have[string(key.Marshal())] = true
		rest = next
	}
	for _, line := range keys {
		line = strings.TrimSpace(line)
		key, err := publicKey(line)
		if err != nil {
			return "", err
		}
		if !have[string(key.Marshal())] {
			have[string(key.Marshal())] = true
			now += line + "\n"
		}
	}
	return now, nil
}
