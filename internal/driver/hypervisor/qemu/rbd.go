package qemu

import (
	"context"
	"errors"
	"fmt"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// cephKeyName is the name of the object with the key by which a disk's cluster is spoken to.
func cephKeyName(disk string) string { return "ceph-" + disk }

// rbdNode describes an image of a Ceph cluster; nil for other paths. QEMU speaks to the cluster itself.
func rbdNode(disk, path string, readOnly bool) *node {
	r, ok := hypervisor.RBDOf(path)
	if !ok {
		return nil
	}
	return &node{Driver: "rbd", ReadOnly: readOnly, Pool: r.Pool, Image: r.Image, User: r.User, Conf: r.Conf, KeySecret: cephKeyName(disk)}
}

// cluster gives QEMU the key to the cluster that a disk is in, from the keyring, which it cannot read itself.
func (a *arguments) cluster(d hypervisor.Disk) {
	if _, ok := hypervisor.RBDOf(d.Path); ok {
		fd := a.add(passed{role: roleKeyring, path: d.Path})
		a.option("-object", fmt.Sprintf("secret,id=%s,format=base64,file=/proc/self/fd/%d", cephKeyName(d.ID), fd))
	}
}

// withCluster has a running QEMU open a disk with the key to its cluster, which it then forgets.
func (g *guest) withCluster(ctx context.Context, op string, d hypervisor.Disk, open func() error) error {
	r, ok := hypervisor.RBDOf(d.Path)
	if !ok {
		return open()
	}
	key, err := r.Key()
	if err != nil {
		return cloud.E(op, cloud.Internal, "guest %s: %w", g.handle.ID, err)
	}
	if err := g.dropObject(ctx, op, cephKeyName(d.ID)); err != nil { // of a try that was cut off, or of the start
		return err
	}
	err = g.ask(ctx, op, nil, "object-add", map[string]any{"qom-type": "secret", "id": cephKeyName(d.ID), "format": "base64", "data": string(key)}, nil)
	if err == nil {
		err = open()
	}
	return errors.Join(err, g.dropObject(ctx, op, cephKeyName(d.ID)))
}
