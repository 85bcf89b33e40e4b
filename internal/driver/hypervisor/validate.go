package hypervisor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/cloud"
)

// Bounds of a guest's size: what QEMU's pc machine can be given.
const (
	maxVCPUs    = 255
	minMemoryMB = 4
	maxMemoryMB = 4 << 20
)

var (
	guestID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	deviceID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,15}$`)
	uuid     = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	word     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*(,[+-]?[A-Za-z0-9._=-]+)*$`)
)

// Validate tells whether a driver can start such a guest; Invalid with a sentence if not. Files are not looked at.
func (c Config) Validate() error {
	const op = "hypervisor.Start"
	bad := func(format string, args ...any) error { return cloud.E(op, cloud.Invalid, format, args...) }
	switch {
	case !guestID.MatchString(c.ID):
		return bad("the guest's id %q must be 1 to 64 letters, digits, '.', '_' or '-'", c.ID)
	case c.Request != "" && !guestID.MatchString(c.Request):
		return bad("the request's id %q must be 1 to 64 letters, digits, '.', '_' or '-'", c.Request)
	case c.UUID != "" && !uuid.MatchString(c.UUID):
		return bad("%q is no UUID", c.UUID)
	case c.VCPUs < 1 || c.VCPUs > maxVCPUs:
		return bad("a guest has 1 to %d processors, not %d", maxVCPUs, c.VCPUs)
	case c.MemoryMB < minMemoryMB || c.MemoryMB > maxMemoryMB:
		return bad("a guest has %d to %d MB of memory, not %d", minMemoryMB, maxMemoryMB, c.MemoryMB)
	case c.Machine != "" && !word.MatchString(c.Machine), c.CPU != "" && !word.MatchString(c.CPU):
		return bad("machine %q or CPU %q is not a name", c.Machine, c.CPU)
	case c.Video != "" && !slices.Contains(Videos, c.Video):
		return bad("the screen's card %q is none of %v", c.Video, Videos)
	case !clean(c.Dir):
		return bad("the guest's directory %q must be an absolute path", c.Dir)
	case c.Kernel == "" && (c.Initrd != "" || c.Cmdline != ""):
		return bad("an initrd or a kernel command line needs a kernel")
	case c.Kernel != "" && !clean(c.Kernel), c.Initrd != "" && !clean(c.Initrd):
		return bad("the kernel's and the initrd's paths must be absolute")
	case strings.ContainsRune(c.Cmdline+c.Name+c.SMBIOS.text(), 0):
		return bad("a NUL byte in a text")
	}
	return c.devices(bad)
}

func (c Config) devices(bad func(string, ...any) error) error {
	seen := map[string]bool{}
	for _, d := range c.Disks {
		if seen[d.ID] {
			return bad("the disk's id %q is used twice", d.ID)
		}
		seen[d.ID] = true
		if why := d.fault(); why != "" {
			return bad("disk %s: %s", d.ID, why)
		}
	}
	for _, n := range c.NICs {
		if seen[n.ID] {
			return bad("the NIC's id %q is used twice", n.ID)
		}
		seen[n.ID] = true
		if why := n.fault(); why != "" {
			return bad("NIC %s: %s", n.ID, why)
		}
	}
	return nil
}

// Validate tells whether such a disk can be plugged; Invalid with a sentence if not.
func (d Disk) Validate() error { return sentence("hypervisor.PlugDisk", "disk "+d.ID, d.fault()) }

// Validate tells whether such a NIC can be plugged; Invalid with a sentence if not.
func (n NIC) Validate() error { return sentence("hypervisor.PlugNIC", "NIC "+n.ID, n.fault()) }

func sentence(op, what, why string) error {
	if why == "" {
		return nil
	}
	return cloud.E(op, cloud.Invalid, "%s: %s", what, why)
}

// fault says what is wrong with a NIC; "" if nothing.
func (n NIC) fault() string {
	switch {
	case !deviceID.MatchString(n.ID):
		return "its id is malformed"
	case !hardware(n.MAC):
		return fmt.Sprintf("%q is no MAC address of a station", n.MAC)
	case n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535):
		return fmt.Sprintf("an MTU is 68 to 65535, not %d", n.MTU)
	case n.Model != "" && !deviceID.MatchString(n.Model):
		return fmt.Sprintf("%q is no model's name", n.Model)
	}
	return ""
}

// fault says what is wrong with a disk; "" if nothing.
func (d Disk) fault() string {
	switch {
	case !deviceID.MatchString(d.ID):
		return "its id is malformed"
	case d.Remote != nil && (d.Path != "" || d.Backing != nil || d.Format != FormatRaw):
		return "what another host gives is raw, and has no file here"
	case d.Remote != nil && d.Remote.fault() != "":
		return d.Remote.fault()
	case d.Remote == nil && !d.place():
		return "its path must be absolute"
	case d.Format != FormatRaw && d.Format != FormatQCOW2:
		return "its format must be raw or qcow2, not " + d.Format
	case d.Backing != nil && d.Format != FormatQCOW2:
		return "only a qcow2 overlay has a file below it"
	case d.Backing != nil && (!clean(d.Backing.Path) || d.Backing.Format != FormatRaw && d.Backing.Format != FormatQCOW2):
		return "the file below it needs an absolute path and a format, raw or qcow2"
	case d.Bus != "" && d.Bus != BusVirtio && d.Bus != BusSCSI && d.Bus != BusIDE && d.Bus != BusUSB:
		return "its bus must be virtio, scsi, ide or usb, not " + d.Bus
	case d.CDROM && (d.Bus == BusVirtio || d.Bus == BusUSB || !d.ReadOnly):
		return "a CD-ROM is read-only and on ide or scsi"
	case len(d.Serial) > 36 || strings.ContainsRune(d.Serial, 0):
		return "its serial is longer than 36 bytes or has a NUL in it"
	case d.BootIndex < 0:
		return "its boot index is negative"
	}
	return ""
}

// clean tells whether a path is absolute and says what it seems to say.
func clean(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && !strings.ContainsRune(path, 0)
}

func (s SMBIOS) text() string { return s.Manufacturer + s.Product + s.Version + s.Serial + s.Family }
