package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// identityName is the name of the object with what a disk of another host is opened by, and of the directory that QEMU
// reads it from.
func identityName(disk string) string { return "tls-" + disk }

// remoteNode describes a disk of another host; nil for one of this host.
func remoteNode(d hypervisor.Disk) *node {
	r := d.Remote
	if r == nil {
		return nil
	}
	return &node{Driver: "nbd", ReadOnly: d.ReadOnly, Export: r.Name, TLS: identityName(d.ID), TLSName: r.Peer, Reconnect: hypervisor.RemotePatience,
		Server: &inet{Type: "inet", Host: r.Address.Addr().String(), Port: strconv.Itoa(int(r.Address.Port()))}}
}

// identityObject are the properties of an end's credentials, in the directory that has descriptor fd
// (https://www.qemu.org/docs/master/system/tls.html). QEMU's check of its own certificate is left out: it wants even of
// keys on elliptic curves, which cannot do so, that they encipher others. The peer's it checks as ever.
func identityObject(id, endpoint string, fd int64) map[string]any {
	return map[string]any{"qom-type": "tls-creds-x509", "id": id, "dir": fmt.Sprintf("/proc/self/fd/%d", fd), "endpoint": endpoint, "verify-peer": true, "sanity-check": false}
}

// credentials gives QEMU what it opens another host's disk by.
func (a *arguments) credentials(d hypervisor.Disk) {
	if d.Remote == nil {
		return
	}
	fd := a.add(passed{role: roleIdentity, copy: identityName(d.ID), identity: d.Remote.Identity})
	a.object(identityObject(identityName(d.ID), "client", int64(fd)))
}

// object adds one, in JSON.
func (a *arguments) object(properties map[string]any) {
	a.option("-object", string(encodeAny(properties)))
}

// identityDir makes a directory that user can read an identity from, with the names that QEMU looks for, and opens it: QEMU
// gets at it by its descriptor alone, for on the way there are closed doors.
func identityDir(dir string, id hypervisor.Identity, user uint32) (*os.File, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	files := map[string][]byte{"ca-cert.pem": id.CA}
	for _, end := range []string{"client", "server"} {
		files[end+"-cert.pem"], files[end+"-key.pem"] = id.Cert, []byte(id.Key)
	}
	give := func(path string) error {
		if user == 0 {
			return nil
		}
		return os.Chown(path, int(user), int(user))
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, text, 0o400), give(path)); err != nil {
			return nil, err
		}
	}
	if err := give(dir); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// forgetIdentities removes the directories that QEMU has read by now, and those of a start that was cut off.
func forgetIdentities(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, identityName("*")))
	if err != nil {
		return // the pattern is well-formed
	}
	for _, d := range found {
		_ = os.RemoveAll(d) // only root can read what is left, and the next start removes it
	}
}

// passIdentity gives a running QEMU what it opens another host's disk by.
func (g *guest) passIdentity(ctx context.Context, op string, d hypervisor.Disk) error {
	name := identityName(d.ID)
	if err := g.dropObject(ctx, op, name); err != nil { // of a try that was cut off
		return err
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", g.handle.PID))
	if err != nil {
		return g.missing(op)
	}
	user := info.Sys().(*syscall.Stat_t).Uid
	if int(user) == os.Geteuid() {
		user = 0
	}
	defer forgetIdentities(g.handle.Dir)
	dir, err := identityDir(filepath.Join(g.handle.Dir, name), d.Remote.Identity, user)
	if err != nil {
		return cloud.E(op, cloud.Internal, "guest %s: %w", g.handle.ID, err)
	}
	defer dir.Close()
	var set struct {
		ID int64 `json:"fdset-id"`
		FD int64 `json:"fd"`
	}
	if err := g.ask(ctx, op, dir, "add-fd", map[string]any{"opaque": name}, &set); err != nil {
		return err
	}
	err = g.ask(ctx, op, nil, "object-add", identityObject(name, "client", set.FD), nil)
	return errors.Join(err, g.ask(ctx, op, nil, "remove-fd", map[string]any{"fdset-id": set.ID}, nil))
}

// resizeRemote makes a guest see that a disk of another host is larger, which NBD tells when a connection is made: the one
// that was there ended when the other host made the disk larger, and QEMU makes another when it reads.
func (g *guest) resizeRemote(ctx context.Context, op, disk string, resize func() error) error {
	var said string
	read := map[string]any{"command-line": fmt.Sprintf(`qemu-io %s "read -q 0 512"`, blockName(disk))}
	if err := g.ask(ctx, op, nil, "human-monitor-command", read, &said); err != nil {
		return err
	}
	err := resize()
	if cloud.Is(err, cloud.Conflict) {
		return cloud.E(op, cloud.Unavailable, "guest %s: the disk %s is not larger yet where it is kept: %s", g.handle.ID, disk, cloud.Message(err))
	}
	return err
}
