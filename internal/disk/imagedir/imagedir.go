// Package imagedir reads a folder of images as ganeti-instance-image names them
// (its README and its create script): NAME-ARCH.tar.gz is the tarball of a system,
// NAME-ARCH-root.dump and perhaps NAME-ARCH-boot.dump are dumps of its file systems,
// NAME-ARCH.img, .raw, .qcow2 is a whole disk.
package imagedir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// Kind is what an image is made of.
type Kind string

// The kinds.
const (
	Disk    Kind = "disk"
	Tarball Kind = "tarball"
	Dump    Kind = "dump"
)

// Image is one of the folder.
type Image struct {
	Name   string
	Arch   string // as the Image API has it: "x86_64", "i686", "aarch64" …
	Kind   Kind
	Format disk.Format // of a disk, by its bytes
	Path   string      // of the disk, the tarball, or the dump of the root
	Boot   string      // of the dump of /boot; "" for none
}

// Other is a file that is no image here, and why.
type Other struct{ Path, Why string }

// archs are the names that machines go by, to those of the Image API.
var archs = map[string]string{
	"x86_64": "x86_64", "amd64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686", "i686": "i686", "x86": "i686",
	"aarch64": "aarch64", "arm64": "aarch64", "armv7l": "armv7l", "armhf": "armv7l", "ppc64le": "ppc64le", "ppc64el": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
}

var endings = []struct {
	ending string
	kind   Kind
}{
	{".tar.gz", Tarball}, {".tar.bz2", Tarball}, {".tar.xz", Tarball}, {".tar.zst", Tarball}, {"-root.dump", Dump}, {"-boot.dump", Dump},
	{".img", Disk}, {".raw", Disk}, {".qcow2", Disk}, {".vmdk", Disk}, {".vdi", Disk}, {".vhd", Disk}, {".vhdx", Disk},
}

// Read lists the images of a folder by name. Links are not followed, but told of, and what
// lies in folders within it is left alone.
func Read(dir string) (images []Image, others []Other, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	boots := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			others = append(others, Other{path, "it is a link, which is not followed"})
		}
		if !e.Type().IsRegular() {
			continue
		}
		img, ending, why := parse(path)
		switch {
		case why != "":
			others = append(others, Other{path, why})
		case ending == "-boot.dump":
			boots[strings.TrimSuffix(path, ending)] = path
		default:
			images = append(images, img)
		}
	}
	for i := range images {
		whole, ok := strings.CutSuffix(images[i].Path, "-root.dump")
		if ok {
			images[i].Boot = boots[whole]
			delete(boots, whole)
		}
	}
	for _, path := range boots {
		others = append(others, Other{path, "the dump of its root, …-root.dump, is missing"})
	}
	slices.SortFunc(others, func(a, b Other) int { return strings.Compare(a.Path, b.Path) })
	return images, others, nil
}

// parse reads a name; why is why it is none of an image.
func parse(path string) (img Image, ending, why string) {
	for _, e := range endings {
		whole, ok := strings.CutSuffix(filepath.Base(path), e.ending)
		if !ok {
			continue
		}
		i := strings.LastIndexByte(whole, '-')
		if i <= 0 || archs[whole[i+1:]] == "" {
			return img, "", "its name is not NAME-ARCH" + e.ending + ", with an architecture such as x86_64"
		}
		img = Image{Name: whole[:i], Arch: archs[whole[i+1:]], Kind: e.kind, Path: path}
		_, info, err := guestfs.Image(path)
		if err != nil {
			return img, "", err.Error()
		}
		if why := unlike(e.kind, e.ending, info); why != "" {
			return img, "", why
		}
		if e.kind != Disk {
			return img, e.ending, ""
		}
		if img.Format = info.Format; img.Format == disk.ISO { // a disk that starts from either
			img.Format = disk.Raw
		}
		return img, e.ending, ""
	}
	return img, "", "its ending is none of an image"
}

// unlike says why a file is not what its ending says; "" if it may be.
func unlike(kind Kind, ending string, info disk.Info) string {
	packed := info.Content == disk.Packed
	switch {
	case info.Format == disk.Raw && info.VirtualSize == 0:
		return "it is empty"
	case kind == Tarball && !packed && info.Content != disk.Archive:
		return "its bytes are none of an archive"
	case kind == Dump && info.Content != disk.Archive:
		return "its bytes are none of a dump"
	case kind == Disk && (packed || info.Content == disk.Kernel || info.Content == disk.Ramdisk):
		return "it is no disk but " + string(info.Content)
	case kind == Disk && info.Format == disk.Raw && ending != ".img" && ending != ".raw":
		return "its bytes are none of a " + ending[1:]
	}
	return ""
}
