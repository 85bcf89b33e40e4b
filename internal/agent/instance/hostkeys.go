package instance

import (
	"context"
	"fmt"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// HostKeys makes ssh host keys new on disks that no guest has open.
type HostKeys interface {
	// Renew makes those on a new root disk of an image the instance's own, and gives
	// their fingerprints; none where the guest does so, or has no keys.
	Renew(ctx context.Context, image storage.Image, root storage.Disk) ([]string, error)
	// Draft writes to the new file log what is to change on a disk, which it leaves as it
	// is, and gives the fingerprints; none, and no log, where Renew gives none. left says
	// why the keys stay where nothing can be changed.
	Draft(ctx context.Context, root storage.Disk, log string) (shown []string, left string, err error)
	// Apply carries a log out. Done again, whole or after a part, it leaves the same.
	Apply(ctx context.Context, root storage.Disk, log string) error
}

// ownsHostKeys tells whether the root disk of a spec has keys that other guests have
// too: that of a new image, or of a volume that is booted for the first time. A server
// that comes back from its own snapshot, as from a shelf, keeps those by which it is
// known; a definition that deploys one says itself what becomes of them.
func ownsHostKeys(spec cloud.InstanceSpec) bool {
	if spec.ImageProperties[cloud.PropertyHostKeys] == cloud.KeepHostKeys {
		return false
	}
	if v := spec.BootVolume(); v != nil {
		return v.NewKeys
	}
	why := spec.Intent.Disk.Why
	return spec.Deploy == nil && (why == cloud.DiskFirst || why == cloud.DiskRebuild) && spec.ImageProperties["instance_uuid"] != spec.ID
}

// renewHostKeys gives the new root disk ssh host keys of its own.
func (w *worker) renewHostKeys(ctx context.Context, spec cloud.InstanceSpec) error {
	switch v := spec.BootVolume(); {
	case v != nil:
		return w.renewVolumeKeys(ctx, spec, *v)
	case !ownsHostKeys(spec):
		return w.finishVolumeKeys(ctx)
	}
	img, err := w.image(ctx, spec.Image)
	if err != nil {
		return err
	}
	root, err := w.m.Storage.Disk(ctx, diskID(spec.ID, rootName(spec.Intent.Disk.Turn)))
	if err != nil {
		return err
	}
	shown, err := w.m.HostKeys.Renew(ctx, img, root)
	if err != nil {
		return hostError("instance.host-keys", fmt.Errorf("the ssh host keys that image %s has could not be made new for this server, and with them it could be taken for another; the image's property %s=%s keeps them: %w",
			spec.Image.ID, cloud.PropertyHostKeys, cloud.KeepHostKeys, err))
	}
	w.rec.HostKeys = shown
	return nil
}

// notice tells the fingerprints on the console as cloud-init does, so that whatever
// reads them there finds them.
func notice(fingerprints []string) string {
	if len(fingerprints) == 0 {
		return ""
	}
	return "-----BEGIN SSH HOST KEY FINGERPRINTS-----\r\n" + strings.Join(fingerprints, "\r\n") + "\r\n-----END SSH HOST KEY FINGERPRINTS-----\r\n"
}
