package disk

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// ConfigDriveLabel is the volume label by which cloud-init and the guest agent
// find their data.
const ConfigDriveLabel = "config-2"

// maxConfigDrive is 64 MiB, the size nova gives a config drive.
const maxConfigDrive = 64 << 20

// WriteConfigDrive makes an ISO 9660 image at dst, which must not exist, with
// the label config-2 and Rock Ridge names. The keys of files are paths such as
// "openstack/latest/meta_data.json". A half written image is removed.
func WriteConfigDrive(dst string, files map[string][]byte) error {
	return WriteDrive(dst, ConfigDriveLabel, files)
}

// WriteDrive is [WriteConfigDrive] with another label, such as cidata of cloud-init's
// NoCloud.
func WriteDrive(dst, label string, files map[string][]byte) error {
	return WriteISO(dst, iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: label}, files)
}

// WriteISO makes an ISO 9660 image as opt says, of files as [WriteConfigDrive] takes them.
func WriteISO(dst string, opt iso9660.FinalizeOptions, files map[string][]byte) (err error) {
	total := 0
	for name, data := range files {
		if name == "" || path.Clean("/"+name) != "/"+name || strings.ContainsAny(name, "\x00\\") {
			return fail(Refused, "write config drive", "the name %q is not a clean relative path", name)
		}
		total += len(data)
	}
	if total > maxConfigDrive {
		return fail(TooBig, "write config drive", "the files have %d bytes, the limit is %d", total, maxConfigDrive)
	}
	work, err := os.MkdirTemp("", "hearth-config-drive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	f, err := os.OpenFile(dst, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(dst)
		}
	}()
	return fillISO(f, work, opt, files)
}

func fillISO(f *os.File, work string, opt iso9660.FinalizeOptions, files map[string][]byte) error {
	fs, err := iso9660.Create(file.New(f, false), 0, 0, 2048, work)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if dir := path.Dir(name); dir != "." {
			if err := fs.Mkdir(dir); err != nil {
				return err
			}
		}
		out, err := fs.OpenFile(name, os.O_CREATE|os.O_RDWR)
		if err != nil {
			return err
		}
		_, err = out.Write(files[name])
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	return fs.Finalize(opt)
}
