package kiwi

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// oemConfig is what KIWI does when such an image comes to its disk.
type oemConfig struct {
	Title    string `xml:"oem-boot-title"`
	Swap     string `xml:"oem-swap"`
	SwapSize string `xml:"oem-swapsize"` // MiB
	Resize   string `xml:"oem-resize"`
	rest
}

// installing names the attributes and elements that are about an installer, by how they begin.
var installing = []string{"install", "oem-shutdown", "oem-unattended", "oem-reboot", "oem-silent", "oem-skip-verify", "oem-device-filter", "oem-dumphalt", "oem-bootwait", "oem-kiwi-initrd", "oem-ataraid-scan", "oem-multipath-scan"}

// preferences takes the primary type, or the only one.
func (r *reader) preferences(d *description) error {
	var all []imageType
	for _, p := range d.Preferences {
		if r.on(p.Profiles) {
			all = append(all, p.Types...)
			r.left("preferences", p.rest)
		}
	}
	if len(all) == 0 {
		return errors.New("no <type> in <preferences> says what image it is")
	}
	t := all[0]
	for _, o := range all {
		if o.Primary == "true" {
			t = o
		}
	}
	if err := r.form(t); err != nil {
		return err
	}
	r.loader(t.Loader+t.LoaderPart.Name, t.Firmware)
	r.Boot.Arguments, r.Boot.Title = t.CommandLine, strings.TrimSpace(t.OEM.Title)
	if r.Boot.Title == "" {
		r.Boot.Title = strings.TrimSpace(d.DisplayName)
	}
	if wait := t.Timeout + t.LoaderPart.Timeout; wait != "" {
		var err error
		if r.Boot.Wait, err = strconv.Atoi(wait); err != nil {
			return fmt.Errorf("the boot loader's timeout %q is no number of seconds", wait)
		}
	}
	if v := strings.TrimSpace(t.Size.Value); v != "" {
		unit := map[string]string{"": "MiB", "M": "MiB", "G": "GiB"}[t.Size.Unit]
		r.Disk.Size = v + unit
	}
	r.installer(&t)
	r.left("bootloader", t.LoaderPart.rest)
	r.left("type", t.rest)
	r.left("oemconfig", t.OEM.rest)
	return r.swap(t.OEM)
}

// form takes what kind of image it is, and refuses disks that are put together otherwise.
func (r *reader) form(t imageType) error {
	switch t.Image {
	case "vmx", "oem":
		switch t.Format {
		case "qcow2":
			r.Outputs = []string{"qcow2"}
		case "", "raw":
			r.Outputs = []string{"raw"}
		default:
			return fmt.Errorf("the format %s is not made here: bake qcow2 and use hearth image convert", t.Format)
		}
	case "tbz", "tar":
		r.Outputs = []string{"tar"}
	default:
		return fmt.Errorf("images of the type %q are not available; there are vmx, oem, tbz and tar", t.Image)
	}
	switch t.FileSystem {
	case "", "ext4":
	case "ext2", "ext3":
		r.warn("the file system %s becomes ext4", t.FileSystem)
	default:
		return fmt.Errorf("the file system %s is not available; there is ext4", t.FileSystem)
	}
	switch {
	case t.Encrypted != "":
		return errors.New("an encrypted root (luks) is not available: leave it out, and encrypt the volume in the cloud")
	case t.OverlayRoot == "true":
		return errors.New("a root of overlays (overlayroot) is not available")
	case t.Volumes != nil || t.Partitions != nil || t.Mirrored != "":
		return errors.New("disks of several volumes or partitions (systemdisk, partitions, mdraid) are not available: there is one root")
	}
	return nil
}

// installer tells once what is about an installer, and takes it out of what is not read.
func (r *reader) installer(t *imageType) {
	var found []string
	about := func(name string) bool {
		return slices.ContainsFunc(installing, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	for _, a := range t.Attributes {
		if about(a.Name.Local) {
			found = append(found, a.Name.Local)
		}
	}
	for _, e := range t.OEM.Elements {
		if about(e.XMLName.Local) {
			found = append(found, e.XMLName.Local)
		}
	}
	if len(found) == 0 {
		return
	}
	if len(found) > maxUnread {
		found = append(found[:maxUnread], "…")
	}
	r.warn("no installer is made, the image is the disk that one would have left: %s mean nothing here", strings.Join(found, ", "))
	t.Attributes = slices.DeleteFunc(t.Attributes, func(a xml.Attr) bool { return about(a.Name.Local) })
	t.OEM.Elements = slices.DeleteFunc(t.OEM.Elements, func(e element) bool { return about(e.XMLName.Local) })
}

// swap takes the swap space, which is a file here.
func (r *reader) swap(o oemConfig) error {
	size := strings.TrimSpace(o.SwapSize)
	if strings.TrimSpace(o.Resize) == "false" {
		r.warn("oem-resize is false, yet the root grows to its disk in a cloud")
	}
	if strings.TrimSpace(o.Swap) != "true" {
		if size != "" {
			r.warn("oem-swapsize goes with oem-swap true: no swap space is made")
		}
		return nil
	}
	if size == "" {
		r.warn("oem-swap without oem-swapsize is twice the memory of a machine that is not known here: no swap space is made")
		return nil
	}
	n, err := strconv.ParseUint(size, 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("oem-swapsize %q is no number of MiB", size)
	}
	r.Disk.Swap = fmt.Sprintf("%dMiB", n)
	return nil
}
