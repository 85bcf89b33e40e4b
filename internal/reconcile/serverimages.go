package reconcile

import (
	"context"
	"io"
	"os"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/node"
	"hearth/internal/store"
)

// takeSnapshots gives the images that are made of a server the bytes that its
// node has copied for them. What is done is taken off the list, and the node
// removes the copy at the next spec.
func (k *Housekeeper) takeSnapshots(ctx context.Context, server cloud.Server, n node.Node) error {
	for _, id := range server.Snapshots {
		if !slices.Contains(server.Seen.Snapshots, id) {
			continue
		}
		done, err := k.takeSnapshot(ctx, server, n, id)
		if err != nil {
			return err
		}
		if done {
			k.Hook("reconcile.snapshot.after")
			if err := k.forgetSnapshot(ctx, server.ID, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeSnapshot uploads one. It is done, too, when the image was deleted, or has
// its bytes from a try before.
func (k *Housekeeper) takeSnapshot(ctx context.Context, server cloud.Server, n node.Node, id string) (done bool, err error) {
	caller := cloud.Caller{UserID: server.UserID, ProjectID: server.ProjectID, Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader}}
	var img cloud.Image
	err = k.Store.View(ctx, func(tx *store.Tx) (err error) {
		img, err = tx.Images.Get(id)
		return err
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return true, nil
	case err != nil:
		return false, err
	case img.Status == cloud.ImageActive || img.Status == cloud.ImageDeactivated:
		return true, nil
	}
	name := cloud.ServerSnapshotDisk(server.ID, id)
	open := func() (io.ReadCloser, error) { return n.ReadVolume(ctx, name) }
	if img.Prepared() {
		path, err := k.prepared(ctx, id, open)
		defer os.Remove(path)
		if reason := disk.KindOf(err); reason == disk.Unsupported || reason == disk.Refused || reason == disk.ToolFailed {
			return true, k.refuseImage(ctx, id, err)
		}
		if err != nil {
			return false, err
		}
		open = func() (io.ReadCloser, error) { return os.Open(path) }
	}
	size, err := measure(open)
	if err != nil {
		return false, err
	}
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(disk.WriteQCOW2(ctx, w, size, open))
	}()
	err = k.Images.Upload(ctx, caller, id, r, -1)
	_ = r.Close()
	if cloud.Is(err, cloud.NotFound) || cloud.Is(err, cloud.Gone) {
		return true, nil
	}
	return err == nil, err
}

// measure is how many bytes a disk holds.
func measure(open func() (io.ReadCloser, error)) (int64, error) {
	src, err := open()
	if err != nil {
		return 0, err
	}
	defer src.Close()
	return io.Copy(io.Discard, src)
}

// forgetSnapshot takes an image off the server's list.
func (k *Housekeeper) forgetSnapshot(ctx context.Context, server, image string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(server)
		if err != nil {
			return unlessGone(err)
		}
		s.Snapshots = slices.DeleteFunc(slices.Clone(s.Snapshots), func(id string) bool { return id == image })
		s.UpdatedAt = k.Clock.Now()
		if err := k.rotate(tx, &s, image); err != nil {
			return err
		}
		if s.Settled() {
			if err := k.finishActions(tx, s); err != nil {
				return err
			}
		}
		return tx.Servers.Update(s)
	})
}

// dropImages deletes the images of a server that goes which never got their
// bytes.
func dropImages(tx *store.Tx, server string) error {
	s, err := tx.Servers.Get(server)
	if err != nil {
		return unlessGone(err)
	}
	for _, id := range s.Snapshots {
		img, err := tx.Images.Get(id)
		if cloud.Is(err, cloud.NotFound) || err == nil && img.Status != cloud.ImageQueued {
			continue
		}
		if err != nil {
			return err
		}
		if err := tx.Images.Delete(id); err != nil {
			return err
		}
	}
	return nil
}
