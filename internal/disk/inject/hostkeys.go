package inject

import (
	"context"
	"errors"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/sysprep"
)

// SharesHostKeys tells whether all clones of an image would answer with the same ssh
// host keys: it has some, and neither cloud-init nor Hearth's agent, which make their
// own at the first boot. false for what cannot be read here.
func SharesHostKeys(ctx context.Context, run *disk.Runner, image disk.Layer) bool {
	d, err := guestfs.Open(ctx, run, []disk.Layer{image}, guestfs.ReadOnly)
	if err != nil {
		return false
	}
	defer d.Close()
	tree, err := d.Tree()
	return err == nil && sharesHostKeys(tree)
}

func sharesHostKeys(tree *guestfs.Tree) bool {
	if asksTheCloud(tree) {
		return false
	}
	for _, pattern := range sysprep.Patterns("host-keys") {
		if found, err := tree.Glob(pattern); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// asksTheCloud tells whether the guest has what makes its identity of the cloud's metadata.
func asksTheCloud(tree *guestfs.Tree) bool {
	return guestos.Has(tree, "/usr/bin/cloud-init", "/usr/sbin/hearth-guest")
}

// RenewHostKeys makes the ssh host keys on the disk of chain (the layer to change
// first) new, of each type that the guest's server asks for, and gives their
// fingerprints, as ssh-keygen -l prints them. Nobody uses the disk meanwhile. All keys
// are changed, or after an error none.
func RenewHostKeys(ctx context.Context, run *disk.Runner, chain []disk.Layer) ([]string, error) {
	d, err := guestfs.Open(ctx, run, chain, guestfs.ReadWrite)
	if err != nil {
		return nil, err
	}
	fingerprints, err := renew(ctx, d)
	return fingerprints, errors.Join(err, d.Close())
}

func renew(ctx context.Context, d *guestfs.Disk) ([]string, error) {
	tree, err := d.Tree()
	if err != nil {
		return nil, err
	}
	w := &worker{tree: tree, edit: tree.Edit(), out: &Report{}}
	w.labels()
	made, err := identity.HostKeys(tree)
	if err == nil {
		err = w.replace(made, "host-keys")
	}
	if err != nil {
		return nil, err
	}
	return w.out.HostKeys, w.edit.Commit(ctx)
}
