package inject

import (
	"context"
	"errors"
	"os"

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

func sharesHostKeys(tree *guestfs.Tree) bool { return !asksTheCloud(tree) && hasHostKeys(tree) }

func hasHostKeys(tree *guestfs.Tree) bool {
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
	w := &worker{tree: tree, edit: tree.Edit(), out: &Report{}, gone: map[string]bool{}}
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

// DraftHostKeys writes to the new redo log what is to change on the disk of chain (the
// layer to change first) of size bytes, so that its ssh host keys are new, and gives their
// fingerprints as [RenewHostKeys] does: [disk.Runner.Redo] carries that out, and the disk
// itself is not touched before. There are none, and no log, for a disk without keys and
// for one whose guest makes its own. Unsupported and Refused for what cannot be read or
// changed here.
func DraftHostKeys(ctx context.Context, run *disk.Runner, chain []disk.Layer, size int64, log string) ([]string, error) {
	var found look
	if len(chain) == 1 {
		var err error
		if found, err = lookAt(ctx, run, chain[0]); found.settled || err != nil {
			return nil, err
		}
	}
	if err := run.CreateRedo(ctx, log, size); err != nil {
		return nil, err
	}
	fingerprints, err := draft(ctx, run, append([]disk.Layer{{Path: log, Format: disk.QCOW2}}, chain...), found)
	if err == nil && len(fingerprints) > 0 {
		err = disk.SealRedo(log)
	}
	if err != nil || len(fingerprints) == 0 {
		return nil, errors.Join(err, os.Remove(log))
	}
	return fingerprints, nil
}

// look is what is plain of a disk without a change.
type look struct {
	settled bool          // no keys are to be made
	unclean []*disk.ExtFS // of partitions, with journals that may hold more
}

// lookAt looks at a disk in one file, in process.
func lookAt(ctx context.Context, run *disk.Runner, layer disk.Layer) (found look, err error) {
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		return found, err
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		return found, err
	}
	for _, v := range d.Unclean() {
		if v.Start > 0 && v.FS().NeedsRecovery {
			found.unclean = append(found.unclean, v.FS().ExtFS)
		}
	}
	found.settled = asksTheCloud(tree) || !hasHostKeys(tree) && len(d.Unclean()) == 0
	return found, nil
}

// draft makes the keys on the disk of chain, whose topmost layer is the log.
func draft(ctx context.Context, run *disk.Runner, chain []disk.Layer, found look) ([]string, error) {
	if len(chain) > 2 {
		a, err := run.Attach(ctx, chain)
		if err != nil {
			return nil, err
		}
		found, err = lookAt(ctx, run, disk.Layer{Path: a.Path, Format: disk.Raw})
		if err = errors.Join(err, a.Close()); found.settled || err != nil {
			return nil, err
		}
	}
	for _, fs := range found.unclean { // else they would be copied, whole
		if err := run.CheckExtIn(ctx, chain, fs); err != nil {
			return nil, err
		}
	}
	d, err := guestfs.Open(ctx, run, chain, guestfs.ReadWrite)
	if err != nil {
		return nil, err
	}
	tree, err := d.Tree()
	var fingerprints []string
	if err == nil && sharesHostKeys(tree) {
		fingerprints, err = renew(ctx, d)
	}
	return fingerprints, errors.Join(err, d.Close())
}
