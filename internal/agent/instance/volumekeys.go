package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/cloud"
)

// A volume that an instance boots from for the first time gets ssh host keys of its
// own. What is to change is written to a log first, beside the record; from when that
// is noted the new keys count, and the log is carried out, after a crash again. Before,
// the volume is as it was. What was done is noted beside the record, too: one that
// cannot be read must not have a guest that is known change its keys.

const (
	volumeKeysName = "hostkeys.json"
	volumeKeysLog  = "hostkeys.qcow2"
)

// volumeKeys is what became of the keys on the volume that an instance boots from.
type volumeKeys struct {
	Volume  string   // its id
	Disk    string   // on the node's storage
	Turn    int64    // the disk turn with which that was
	Shown   []string // fingerprints of the new ones
	Pending bool     // the log is not carried out yet
	Left    string   // why those that there may be stayed; "" when none had to
}

// volumeKeysDone reads what is noted; false for nothing.
func (w *worker) volumeKeysDone() (done volumeKeys, found bool, err error) {
	raw, err := os.ReadFile(filepath.Join(w.dir, volumeKeysName))
	if errors.Is(err, fs.ErrNotExist) {
		return done, false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &done)
	}
	return done, err == nil, hostError("instance.host-keys", err)
}

func (w *worker) noteVolumeKeys(k volumeKeys) error {
	return hostError("instance.host-keys", w.m.write(w.dir, volumeKeysName, k, true))
}

func (w *worker) volumeKeysLog() string { return filepath.Join(w.dir, volumeKeysLog) }

// renewVolumeKeys makes the ssh host keys on the boot volume new, once for a turn.
func (w *worker) renewVolumeKeys(ctx context.Context, spec cloud.InstanceSpec, v cloud.InstanceVolume) error {
	k, found, err := w.volumeKeysDone()
	if err != nil {
		return err
	}
	turn := spec.Intent.Disk.Turn
	switch {
	case found && k.Volume == v.VolumeID && (k.Turn == turn || k.Pending && v.Image == nil):
	case !ownsHostKeys(spec): // what was pending was for what an image has taken the place of
		return w.forgetVolumeKeys()
	default:
		if k, err = w.draftVolumeKeys(ctx, v, turn); err != nil {
			return err
		}
	}
	if err := w.applyVolumeKeys(ctx, k, v.Disk); err != nil {
		return err
	}
	w.rec.HostKeys = k.Shown
	return nil
}

// draftVolumeKeys notes what is to become of the keys.
func (w *worker) draftVolumeKeys(ctx context.Context, v cloud.InstanceVolume, turn int64) (volumeKeys, error) {
	k := volumeKeys{Volume: v.VolumeID, Disk: v.Disk, Turn: turn, Left: unreached(v)}
	if err := w.forgetVolumeKeys(); err != nil { // of an older turn, or of an agent that was killed over it
		return k, err
	}
	if k.Left == "" {
		root, err := w.m.Storage.Disk(ctx, v.Disk)
		if err != nil {
			return k, err
		}
		w.m.Hook("instance.keys.before")
		if k.Shown, k.Left, err = w.m.HostKeys.Draft(ctx, root, w.volumeKeysLog()); err != nil {
			return k, hostError("instance.host-keys", fmt.Errorf("the ssh host keys on volume %s could not be made new for this server, and with them it could be taken for another; the volume's property %s=%s keeps them: %w",
				v.VolumeID, cloud.PropertyHostKeys, cloud.KeepHostKeys, err))
		}
		w.m.Hook("instance.keys.drafted")
	}
	if k.Left != "" {
		w.log.Warn("the ssh host keys on the volume that the instance boots from stay as they are", "volume", v.VolumeID, "why", k.Left)
	}
	k.Pending = len(k.Shown) > 0
	return k, w.noteVolumeKeys(k)
}

// unreached tells why the bytes of a volume cannot be changed here; "" if they can.
func unreached(v cloud.InstanceVolume) string {
	switch {
	case v.Key != "":
		return "the volume is encrypted"
	case v.Source.Node != "":
		return "the volume is on the node " + v.Source.Node
	case v.ReadOnly, v.CDROM:
		return "the volume is read-only"
	}
	return ""
}

// applyVolumeKeys carries out what is pending. It is not given up half way: what is
// half done must be finished before anybody else has the volume.
func (w *worker) applyVolumeKeys(ctx context.Context, k volumeKeys, disk string) error {
	if k.Pending {
		root, err := w.m.Storage.Disk(ctx, disk)
		if err != nil {
			return err
		}
		w.m.Hook("instance.keys.noted")
		if err := w.m.HostKeys.Apply(context.WithoutCancel(ctx), root, w.volumeKeysLog()); err != nil {
			return hostError("instance.host-keys", fmt.Errorf("the new ssh host keys could not be written to volume %s: %w", k.Volume, err))
		}
		w.m.Hook("instance.keys.applied")
		k.Pending = false
		if err := w.noteVolumeKeys(k); err != nil {
			return err
		}
		w.m.Hook("instance.keys.after")
	}
	return removeFile(w.volumeKeysLog())
}

// volumeKeysPending tells whether a volume may have a part of its new keys.
func (w *worker) volumeKeysPending() bool {
	k, found, err := w.volumeKeysDone()
	return err != nil || found && k.Pending
}

// finishVolumeKeys carries out what is pending for an instance that does not boot from
// its volume now.
func (w *worker) finishVolumeKeys(ctx context.Context) error {
	k, found, err := w.volumeKeysDone()
	if err != nil || !found {
		return err
	}
	return w.applyVolumeKeys(ctx, k, k.Disk)
}

// undoVolumeKeys leaves no half of the keys on the volume of an instance that goes: they
// are finished, as the old ones are gone. What cannot be holds nobody up.
func (w *worker) undoVolumeKeys(ctx context.Context) error {
	if err := w.finishVolumeKeys(ctx); err != nil && !cloud.Is(err, cloud.NotFound) {
		w.log.Error("new ssh host keys were written to a volume in part; who boots from it next may have none", "error", err)
	}
	return nil
}

// forgetVolumeKeys removes what is noted, and then the log.
func (w *worker) forgetVolumeKeys() error {
	if err := removeFile(filepath.Join(w.dir, volumeKeysName)); err != nil {
		return err
	}
	return removeFile(w.volumeKeysLog())
}

// removeFile removes a file if it is there.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return hostError("instance.host-keys", err)
}

// keysFacts tell what became of the keys on the volume that an instance boots from.
func (w *worker) keysFacts() []cloud.Fact {
	k, found, err := w.volumeKeysDone()
	var text string
	switch {
	case err != nil || !found:
		return nil
	case k.Left != "":
		text = "left as they are on volume " + k.Volume + ": " + k.Left
	case len(k.Shown) > 0:
		text = "made new on volume " + k.Volume + ": " + strings.Join(k.Shown, ", ")
	default:
		text = "the guest of volume " + k.Volume + " makes its own, or has none"
	}
	return []cloud.Fact{{Topic: "host keys", Value: text}}
}
