package instance

import (
	"context"
	"fmt"
	"strings"

	"hearth/internal/cloud"
)

// PropertyHostKeys is the property of an image whose clones are to answer with the
// image's own ssh host keys, when it is KeepHostKeys.
const (
	PropertyHostKeys = "hearth_host_keys"
	KeepHostKeys     = "keep"
)

// ownsHostKeys tells whether the root disk of a spec is a new one of an image, whose
// keys other guests have too. A server that comes back from its own snapshot, as from a
// shelf, keeps those by which it is known; a definition that deploys one says itself what becomes of them.
func ownsHostKeys(spec cloud.InstanceSpec) bool {
	why := spec.Intent.Disk.Why
	return spec.BootVolume() == nil && spec.Deploy == nil && (why == cloud.DiskFirst || why == cloud.DiskRebuild) &&
		spec.ImageProperties[PropertyHostKeys] != KeepHostKeys && spec.ImageProperties["instance_uuid"] != spec.ID
}

// renewHostKeys gives the new root disk ssh host keys of its own.
func (w *worker) renewHostKeys(ctx context.Context, spec cloud.InstanceSpec) error {
	img, err := w.image(ctx, spec.Image)
	if err != nil {
		return err
	}
	root, err := w.m.Storage.Disk(ctx, diskID(spec.ID, rootName(spec.Intent.Disk.Turn)))
	if err != nil {
		return err
	}
	shown, err := w.m.HostKeys(ctx, img, root)
	if err != nil {
		return hostError("instance.host-keys", fmt.Errorf("the ssh host keys that image %s has could not be made new for this server, and with them it could be taken for another; the image's property %s=%s keeps them: %w",
			spec.Image.ID, PropertyHostKeys, KeepHostKeys, err))
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
