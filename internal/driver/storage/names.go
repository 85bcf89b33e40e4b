package storage

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

var (
	idForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	digestForm = regexp.MustCompile(`^sha512:[0-9a-f]{128}$`)
	imageForm  = regexp.MustCompile(`^i-([0-9a-f]{128})\.([0-9]{1,18})$`)
)

// CheckID refuses what cannot be the id of a disk: Invalid.
func CheckID(op, id string) error {
	if !idForm.MatchString(id) {
		return cloud.E(op, cloud.Invalid, "%q cannot be the id of a disk", id)
	}
	return nil
}

// CheckDigest refuses what is no digest of an image: Invalid.
func CheckDigest(op, digest string) error {
	if !digestForm.MatchString(digest) {
		return cloud.E(op, cloud.Invalid, "%q is no image digest: sha512: and 128 hexadecimal digits are expected", digest)
	}
	return nil
}

// As is the image, raw, in the format that it was asked for under: the same bytes can be
// registered as raw and as kernel.
func (i Image) As(format string) Image {
	switch format {
	case "aki", "ari", "iso":
		i.Format = format
	default:
		i.Format = "raw"
	}
	return i
}

// ImageName is what a cached image of size bytes is called where things have names alone.
func ImageName(digest string, size int64) string {
	return fmt.Sprintf("i-%s.%d", strings.TrimPrefix(digest, "sha512:"), size)
}

// ShortImageName is what a cached image is called where names have little room: its digest is
// kept elsewhere, in whole.
func ShortImageName(digest string) string { return "i-" + strings.TrimPrefix(digest, "sha512:")[:40] }

// ByID is the order that drivers list disks in.
func ByID(a, b Disk) int { return strings.Compare(a.ID, b.ID) }

// ByDigest is the order that drivers list images in.
func ByDigest(a, b Image) int { return strings.Compare(a.Digest, b.Digest) }

// NamedImage is the image of such a name, without its path; false if it is none.
func NamedImage(name string) (Image, bool) {
	m := imageForm.FindStringSubmatch(name)
	if m == nil {
		return Image{}, false
	}
	size, _ := strconv.ParseInt(m[2], 10, 64) // of no more digits than an int64 takes
	return Image{Digest: "sha512:" + m[1], Format: "raw", VirtualSize: size}, true
}
