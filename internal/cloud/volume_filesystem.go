package cloud

import (
	"path"
	"regexp"
	"strings"
)

// The metadata of a volume by which its owner asks for a file system on it when it is
// made, and for guests to mount it: OpenStack has no words for either.
const (
	VolumeFS    = "hearth:fs"    // ext4: the volume, which is made of nothing else, gets one
	VolumeLabel = "hearth:label" // of the file system; by default the last part of the path, or "data"
	VolumeMount = "hearth:mount" // the absolute path that guests mount it at
)

// VolumeFileSystem is what the metadata of a volume says of its file system.
type VolumeFileSystem struct {
	Type  string // ext4; "" for none that Hearth made
	Label string // "" with neither a type nor a path
	Path  string // where guests mount it; "" for nowhere
}

var (
	labelForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$`) // ext4 keeps 16 bytes
	mountForm = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$`)
)

// kept are the directories that a guest needs as they are, and all below them; the
// others may have a file system mounted below.
var keptDirs = []string{"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"}

// ParseVolumeFileSystem reads the metadata of a volume. Invalid.
func ParseVolumeFileSystem(metadata map[string]string) (fs VolumeFileSystem, err error) {
	const op = "volume.FileSystem"
	fs = VolumeFileSystem{Type: metadata[VolumeFS], Label: metadata[VolumeLabel], Path: metadata[VolumeMount]}
	if fs == (VolumeFileSystem{}) {
		return fs, nil
	}
	if fs.Type != "" && fs.Type != "ext4" {
		return fs, E(op, Invalid, "%s is %q: volumes are formatted with ext4", VolumeFS, fs.Type)
	}
	if fs.Path != "" && (!mountForm.MatchString(fs.Path) || len(fs.Path) > 255) {
		return fs, E(op, Invalid, "%s is %q: write an absolute path of letters, digits, dots and dashes, such as /data", VolumeMount, fs.Path)
	}
	for _, dir := range keptDirs {
		if fs.Path == dir || strings.HasPrefix(fs.Path, dir+"/") && dir != "/usr" && dir != "/boot" {
			return fs, E(op, Invalid, "%s is %q: a guest needs %s as it is; choose another path, such as /data", VolumeMount, fs.Path, dir)
		}
	}
	if fs.Label == "" {
		fs.Label = "data"
		if base := path.Base(fs.Path); fs.Path != "" && labelForm.MatchString(base) {
			fs.Label = base
		}
	}
	if !labelForm.MatchString(fs.Label) || fs.Label == "swap" {
		return fs, E(op, Invalid, "%s is %q: a label has up to 16 letters, digits, dots and dashes, and is not swap", VolumeLabel, fs.Label)
	}
	return fs, nil
}
