package hypervisor

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// Config is a guest as it is to be started. It is plain data but for the open tap devices.
type Config struct {
	ID       string // unique on the host; letters, digits, '.', '_', '-'; at most 64
	Name     string // for people
	Request  string // the id of the request that asked for it, for the guest's log: of printable letters, at most 64; "" for none
	UUID     string // what the guest's firmware shows
	VCPUs    int
	MemoryMB int
	Machine  string // "" for the host's default; "pc", "q35"
	CPU      string // "" for the host's default
	Video    string // the card of its screen, one of Videos; "" for none
	Disks    []Disk // disks and CD-ROMs, in the guest's order
	NICs     []NIC
	Kernel   string // direct boot: path of a Linux kernel; "" to boot from a disk
	Initrd   string // with Kernel
	Cmdline  string // with Kernel
	SMBIOS   SMBIOS
	Notice   string // text that is put into the console log before the guest says anything; "" for none
	// Agent gives the guest a line to the host on which an agent in it may listen (org.qemu.guest_agent.0).
	Agent bool
	// Saved has the guest go on with the memory in FileMemory, where Save has put it: the configuration must be as it
	// was then. The guest is paused when Start returns; the file stays, and means nothing any more once the guest ran.
	// Start is NotFound without the file.
	Saved bool
	Dir   string // absolute, the guest's own: see Files. Made if it is not there; its parent must exist.
}

// LogMark begins the lines of a guest's log that are the driver's own, not the hypervisor's.
const LogMark = "hearth: "

// StartLine is such a line, written before each start: when it is, whose request it was, and the command that is run,
// in which there are no secrets.
func (c Config) StartLine(now time.Time, command string) string {
	request := c.Request
	if request == "" {
		request = "none"
	}
	return fmt.Sprintf("%s%s guest %s is started, request=%s: %s\n", LogMark, now.UTC().Format(time.RFC3339Nano), c.ID, request,
		strings.ReplaceAll(command, "\n", " "))
}

// Videos are the cards that a guest can have for a screen, by nova's names.
var Videos = []string{"vga", "virtio", "cirrus", "qxl", "bochs"}

// SMBIOS is what the guest's firmware says of the machine. cloud-init finds its data source by it.
type SMBIOS struct {
	Manufacturer, Product, Version, Serial, Family string
}

// OpenStackSMBIOS is what an instance of nova shows (ds-identify of cloud-init looks for the product).
func OpenStackSMBIOS(serial string) SMBIOS {
	return SMBIOS{Manufacturer: "OpenStack Foundation", Product: "OpenStack Nova", Serial: serial, Family: "Virtual Machine"}
}

// Format of a disk's file. It is always told, never guessed: a guest could write a header that makes a guesser follow it.
const (
	FormatRaw   = "raw"
	FormatQCOW2 = "qcow2"
)

// Bus that a disk hangs on.
const (
	BusVirtio = "virtio"
	BusSCSI   = "scsi" // virtio-scsi
	BusIDE    = "ide"
	BusUSB    = "usb" // the disk of a stick, on a controller of its own
)

// Disk is a disk or CD-ROM of a guest.
type Disk struct {
	ID        string // unique in the guest; letters, digits, '_', '-'; at most 16
	Path      string // absolute, of a file or block device; or see RBD
	Format    string
	ReadOnly  bool
	Shared    bool   // other guests may have it open too
	CDROM     bool   // on BusIDE or BusSCSI, read-only
	Bus       string // "" is virtio, of a CD-ROM ide
	Serial    string // what the guest sees; /dev/disk/by-id
	BootIndex int    // 1 is tried first; 0 is never booted from
	// Key is the passphrase of a disk that is encrypted by LUKS: the guest sees what is in it. "" for others.
	Key cloud.Secret
	// Backing is the file below a qcow2 overlay of our own making. Whatever the overlay's header says is not read;
	// with a nil Backing nothing is below.
	Backing *Backing
	// Remote is where the disk is that another host gives; then there is no Path. nil for a disk of this host.
	Remote *Remote
}

// Backing is a file below an overlay, read only, itself with nothing below.
type Backing struct {
	Path, Format string
}

// NIC is a network card of a guest.
type NIC struct {
	ID  string   // unique in the guest, as Disk.ID
	MAC string   // 48 bits
	Tap *os.File // an open tap device, made by the network driver; the guest gets a copy
	MTU int      // told to the guest; 0 for none
	// Model is "" for virtio, or a QEMU device of another make: "e1000".
	Model string
}

// Files of a guest in its directory.
const (
	FileLock    = "lock"        // held open and locked by the guest's process as long as it lives
	FileMonitor = "qmp.sock"    // QMP
	FileAgent   = "agent.sock"  // the line to the agent in the guest
	FileSerial  = "serial.sock" // the serial console, for one at a time to read and type on
	FileConsole = "console.log" // all that was printed on it, the last megabyte or so
	FileLog     = "qemu.log"    // what the hypervisor itself had to say
	FileMemory  = "memory"      // of a saved guest
	FileKernel  = "kernel"      // copies for direct boot, where the originals are not readable by all
	FileInitrd  = "initrd"
)

// ConsoleLog is the path of the text a guest printed on its serial console.
func (h Handle) ConsoleLog() string { return filepath.Join(h.Dir, FileConsole) }

// hardware parses a MAC address and says whether a NIC can have it.
func hardware(mac string) bool {
	a, err := net.ParseMAC(mac)
	return err == nil && len(a) == 6 && a[0]&1 == 0
}
