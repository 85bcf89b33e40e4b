package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

const opExport = "hypervisor.Export"

var _ hypervisor.Exporter = (*Driver)(nil)

// Export implements hypervisor.Exporter. The process is a QEMU without a machine: it has the sandbox that guests have, which
// qemu-storage-daemon and qemu-nbd lack, and reads what other hosts send.
func (d *Driver) Export(ctx context.Context, e hypervisor.Export) (out hypervisor.Exported, err error) {
	if err := e.Validate(); err != nil {
		return out, err
	}
	binary, err := findBinary(d.options.Binary)
	if err != nil {
		return out, err
	}
	if e.Dir, err = makeDir(e.Dir); err != nil {
		return out, err
	}
	cfg := hypervisor.Config{ID: e.ID, Dir: e.Dir, Disks: []hypervisor.Disk{e.Disk}}
	lock, err := takeLock(cfg)
	if err != nil {
		return out, err
	}
	defer lock.Close()
	user, release, err := d.users.take(e.ID)
	if err != nil {
		return out, cloud.E(opExport, cloud.Internal, "export %s: no user id for it: %w", e.ID, err)
	}
	defer release()
	defer forgetIdentities(e.Dir)
	words, passed := buildExport(e, blockDevices(cfg))
	files, err := open(cfg, lock, passed, user)
	defer closeAll(files, lock)
	if err != nil {
		return out, cloud.E(opExport, cloud.KindOf(err), "export %s: %s", e.ID, cloud.Message(err))
	}
	return d.serve(ctx, e, command{path: binary, words: words, files: files, user: user})
}

// peerRule lets a node of a name in, by its certificate's subject as GnuTLS writes it: "O=Hearth,OU=hearth-export,CN=node-1".
// Other certificates of the cloud's authority have another role in OU (node/remote/pki).
func peerRule(peer string) map[string]any {
	return map[string]any{"match": "*OU=hearth-export,CN=" + peer, "policy": "allow", "format": "glob"}
}

// buildExport makes QEMU's arguments for an export, and the list of descriptors they assume.
func buildExport(e hypervisor.Export, devices map[string]bool) ([]string, []passed) {
	a := &arguments{devices: devices}
	a.add(passed{role: roleLock})
	monitor := a.add(passed{role: roleMonitor})
	a.option("-name", "guest="+escape(e.ID)+",debug-threads=on", "-no-user-config", "-nodefaults", "-display", "none", "-msg", "timestamp=on")
	a.option("-machine", "none", "-S", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
	a.option("-chardev", fmt.Sprintf("socket,id=mon,fd=%d,server=on,wait=off", monitor), "-mon", "chardev=mon,mode=control")
	identity := a.add(passed{role: roleIdentity, copy: identityName("export"), identity: e.Identity})
	a.object(identityObject("tls", "server", int64(identity)))
	var rules []any
	for _, p := range e.Peers {
		rules = append(rules, peerRule(p))
	}
	a.object(map[string]any{"qom-type": "authz-list", "id": "peers", "policy": "deny", "rules": rules})
	a.cluster(e.Disk)
	a.option("-blockdev", string(encode(block(e.Disk, a.file(e.Disk)))))
	return a.words, a.files
}

// serve starts the process and has it listen. If that fails, there is no process.
func (d *Driver) serve(ctx context.Context, e hypervisor.Export, c command) (out hypervisor.Exported, err error) {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(e.Address))
	if err != nil {
		return out, cloud.E(opExport, cloud.Unavailable, "export %s: %w", e.ID, err)
	}
	defer ln.Close()
	listening, err := ln.File()
	if err != nil {
		return out, cloud.E(opExport, cloud.Internal, "export %s: %w", e.ID, err)
	}
	defer listening.Close()
	line := hypervisor.Config{ID: e.ID}.StartLine(time.Now(), c.path+" "+strings.Join(c.words, " "))
	log, err := openLog(filepath.Join(e.Dir, hypervisor.FileLog), line)
	if err != nil {
		return out, cloud.E(opExport, cloud.Internal, "export %s: %w", e.ID, err)
	}
	defer log.Close()
	boot, err := bootID()
	if err != nil {
		return out, cloud.E(opExport, cloud.Internal, "export %s: %w", e.ID, err)
	}
	p, err := spawn(c, log.File)
	if err != nil {
		return out, cloud.E(opExport, cloud.Internal, "export %s: QEMU could not be started: %w", e.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.options.Patience)
	defer cancel()
	closeAll(c.files[1:], nil)
	h := hypervisor.Handle{Driver: kindName, ID: e.ID, Dir: e.Dir, PID: p.pid, Started: p.started, BootID: boot}
	mon, err := dial(ctx, e.Dir)
	if err != nil {
		return out, errors.Join(failed(ctx, h, p, log, err), end(opExport, h, p))
	}
	defer mon.Close()
	if err := give(ctx, mon, e, listening); err != nil {
		return out, errors.Join(cloud.E(opExport, cloud.Internal, "export %s: %w", e.ID, err), end(opExport, h, p))
	}
	address := ln.Addr().(*net.TCPAddr).AddrPort()
	return hypervisor.Exported{Handle: h, Address: netip.AddrPortFrom(address.Addr().Unmap(), address.Port())}, nil
}

// give has QEMU take clients on a socket that listens already. Every write is on the disk before it is answered: a client
// that connects again after the process died is not told what was lost.
func give(ctx context.Context, mon *qmp.Client, e hypervisor.Export, listening *os.File) error {
	if err := mon.ExecuteWith(ctx, listening, "getfd", map[string]any{"fdname": "nbd"}, nil); err != nil {
		return err
	}
	server := map[string]any{"addr": map[string]any{"type": "fd", "data": map[string]any{"str": "nbd"}}, "tls-creds": "tls", "tls-authz": "peers", "max-connections": 0}
	if err := mon.Execute(ctx, "nbd-server-start", server, nil); err != nil {
		return err
	}
	return mon.Execute(ctx, "block-export-add", map[string]any{"type": "nbd", "id": "export", "node-name": blockName(e.Disk.ID), "name": e.Name,
		"writable": !e.Disk.ReadOnly, "writethrough": true}, nil)
}

// Await implements hypervisor.Exporter.
func (d *Driver) Await(ctx context.Context, h hypervisor.Handle) error {
	p, err := d.find("hypervisor.Await", h)
	if cloud.Is(err, cloud.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	defer p.letGo()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Freeze implements hypervisor.Exporter: the kernel keeps the connections up.
func (d *Driver) Freeze(_ context.Context, h hypervisor.Handle, still bool) error {
	const op = "hypervisor.Freeze"
	p, err := d.find(op, h)
	if err != nil {
		return err
	}
	defer p.letGo()
	signal := unix.SIGCONT
	if still {
		signal = unix.SIGSTOP
	}
	if err := p.send(signal); err != nil {
		return cloud.E(op, cloud.Internal, "export %s: process %d: %w", h.ID, h.PID, err)
	}
	return nil
}
