package cloud

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// InstanceSpec is all that a node needs to start an instance and to keep it
// going with the head away: the intent, the sizes, the images, the ports, and
// what its metadata service and config drive say.
type InstanceSpec struct {
	ID, Name, Hostname, ProjectID, UserID string
	Request                               string // the API's id of the request that asked last, for the logs of node and hypervisor; "" for none
	Intent                                Intent
	VCPUs, MemoryMB                       int
	RootGB, EphemeralGB, SwapMB           int   // RootGB 0: the image's size; EphemeralGB is all ephemeral disks together
	Ephemeral                             []int // the GB of each of these, when they are several
	Image                                 ImageRef
	Kernel, Ramdisk                       *ImageRef
	KernelArgs                            string
	ImageProperties                       map[string]string
	Deploy                                *DeploySpec      // how the root disk is made of Image; nil: it is a clone
	RescueAs                              *RescueAs        // of an instance that is being rescued; nil: by its first disk
	Ports                                 []InstancePort   // in the order of the guest's NICs
	Volumes                               []InstanceVolume // in the order of the guest's disks, the boot volume first
	CDs                                   []InstanceCD     // in the order of the guest's drives
	ConfigDrive                           bool
	Snapshots                             []string // ids of the images that its root disk is to be copied for; the copies of others go
	Meta                                  InstanceMeta
}

// ServerSnapshotDisk is the name, on its node, of the copy of a server's root disk
// that an image is made of.
func ServerSnapshotDisk(server, image string) string { return server + "-snap." + image }

// ServerRootDisk is the name, on its node, of the root disk that a server has on a
// turn.
func ServerRootDisk(server string, turn int64) string {
	if turn == 0 {
		return server + rootSuffix
	}
	return server + rootSuffix + "." + strconv.FormatInt(turn, 10)
}

const rootSuffix = "-root"

// IsServerRootDisk tells whether a disk is such a one.
func IsServerRootDisk(disk string) bool {
	if strings.HasSuffix(disk, rootSuffix) {
		return true
	}
	_, turn, ok := strings.Cut(disk, rootSuffix+".")
	_, err := strconv.ParseUint(turn, 10, 63)
	return ok && err == nil
}

// IsServerSnapshotDisk tells whether a disk is such a copy.
func IsServerSnapshotDisk(disk string) bool { return strings.Contains(disk, "-snap.") }

// InstancePort is a NIC of an instance.
type InstancePort struct {
	ID, NetworkID, MAC string
	MTU                int
	Tag                string // that its owner gave the NIC; "" for none
	Address            string `json:"-"` // on the guest's PCI bus, as its node sees it; "" while unknown
}

// InstanceVolume is a volume that a guest is to have as a disk.
type InstanceVolume struct {
	AttachmentID, VolumeID string
	Disk                   string // on the node's storage: VolumeDisk
	Device                 string // as the API tells it: "/dev/vdb"
	Bus                    string // virtio, scsi, ide; "" for the image's own
	Tag                    string // that its owner gave the disk; "" for none
	Boot                   bool   // the guest boots from it, and has no root disk of its own
	CDROM                  bool   // it is a CD-ROM, on ide or scsi, and read-only
	BootIndex              int    // of those that do not Boot: when it is tried; 0 for never, 1 for the first after the boot disk
	ReadOnly, Shared       bool   // Shared: other guests may have it too
	// Swaps is the id of the volume whose place it takes: what that one holds is to be
	// copied to it, under the guest if there is one; "" for none.
	Swaps     string
	SwapsDisk string // of that volume, on the node's storage
	SizeGB    int
	Key       Secret // what its disk is encrypted under, by LUKS; "" for one in the clear
	Label     string // of the file system that the guest is to mount at the path Mount; both "" for none
	Mount     string
	// Image is what the volume is to hold when the instance starts on the root disk of
	// its present turn for the first time; nil to leave it as it is.
	Image *ImageRef
	// NewKeys has the ssh host keys on it made new, unless the guest makes its own: the
	// instance boots from it, or from what Image puts on it, for the first time.
	NewKeys bool
	Source  VolumeSource // of a volume that another node keeps; zero for one of the instance's own node
	Address string       `json:"-"` // as InstancePort.Address
}

// Bytes is how large the disk is to be that the guest sees, own bytes of which are not
// the guest's.
func (v InstanceVolume) Bytes(own int64) int64 { return int64(v.SizeGB)*GiB - own }

// InstanceCD is an image that a guest has in a drive, as its node's cache holds it.
type InstanceCD struct {
	Image     ImageRef
	Bus       string // ide or scsi
	BootIndex int    // when it is tried: 0 for never, 1 for the first after the boot disk
}

// BootVolume is the volume that the instance boots from; nil for one that has a
// root disk of its own. One that is being rescued boots from an image's disk.
func (s InstanceSpec) BootVolume() *InstanceVolume {
	for i := range s.Volumes {
		if s.Volumes[i].Boot && s.Intent.Disk.Why != DiskRescue {
			return &s.Volumes[i]
		}
	}
	return nil
}

// Ephemerals are the sizes of the instance's ephemeral disks, in GB.
func (s InstanceSpec) Ephemerals() []int {
	if len(s.Ephemeral) == 0 && s.EphemeralGB > 0 {
		return []int{s.EphemeralGB}
	}
	return s.Ephemeral
}

// VolumeBoot tells whether the instance has no root disk of its own.
func (s InstanceSpec) VolumeBoot() bool {
	for _, v := range s.Volumes {
		if v.Boot {
			return true
		}
	}
	return false
}

// InstanceMeta is what an instance may ask about itself at 169.254.169.254 or
// on its config drive.
type InstanceMeta struct {
	LaunchIndex      int
	ReservationID    string
	AvailabilityZone string
	InstanceType     string // the flavor's name
	ImageID          string
	Keys             []MetaKey
	Metadata         map[string]string
	UserData         []byte
	Files            []GuestFile
	SecurityGroups   []string // names
	RandomSeed       []byte
	Links            []MetaLink
	FloatingIPs      []netip.Addr
	AdminPass        string `json:"-"` // never kept
	CreatedAt        time.Time
}

// GuestFile is a file that an instance's owner wants in the guest: its agent reads
// it from the config drive and writes it to Path.
type GuestFile struct {
	Path     string
	Contents []byte
}

// MetaKey is a public key in the metadata.
type MetaKey struct{ Name, Type, Data string }

// MetaLink is a NIC with its networks, as network_data.json tells them.
type MetaLink struct {
	PortID, NetworkID, MAC string
	MTU                    int
	Addresses              []MetaAddress
}

// MetaAddress is one address of a NIC with what is needed to set it up.
type MetaAddress struct {
	IP      netip.Addr
	Prefix  netip.Prefix // the subnet
	Gateway netip.Addr   // zero for none
	DNS     []netip.Addr
	Routes  []Route
	DHCP    bool   // got by DHCP rather than written down
	Mode    string // of IPv6: slaac, dhcpv6-stateful, dhcpv6-stateless or ""
}

// InstanceStatus is what a node reports of an instance.
type InstanceStatus struct {
	ID string
	Observation
	Steps []Step
}

// NetworkSpec is a network as one node must serve it: the whole of it, each
// time. The node makes the difference.
type NetworkSpec struct {
	ID, Name, Type, PhysicalNetwork string
	SegmentationID, MTU             int
	Generation                      int64
	Subnets                         []SubnetSpec
	Ports                           []PortSpec         // of the instances on this node
	DHCP                            *ServicePort       // where DHCP, DNS and metadata answer; nil for none
	Groups                          []GroupSpec        // every group that the ports wear or refer to
	AddressGroups                   []AddressGroupSpec // that the groups' rules refer to
	DNSDomain                       string
	Names                           []NameRecord
	Peers                           []netip.Addr // the other nodes' tunnel addresses
}

// SubnetSpec is a subnet as a node serves it.
type SubnetSpec struct {
	ID          string
	CIDR        netip.Prefix
	Gateway     netip.Addr
	DHCP        bool
	DNS         []netip.Addr
	Routes      []Route
	RAMode      string
	AddressMode string
	Routed      bool // a router has an interface on it: it sends the router advertisements
}

// ServicePort is the node's own port on a network.
type ServicePort struct {
	PortID, MAC string
	Addresses   []netip.Prefix // with the subnet's length
}

// PortSpec is an instance's port as the node filters and serves it.
type PortSpec struct {
	ID, InstanceID, MAC string
	Addresses           []FixedIP
	AllowedPairs        []AddressPair
	AdminUp, Security   bool     // Security false: no anti-spoofing, no groups
	Groups              []string // ids
	Stateless           bool
	Hostname            string
	DHCPOptions         []DHCPOption
	Egress, Ingress     Bandwidth // what the guest sends and receives
	DSCP                *int      // what the guest's packets are marked with, 0 to 63; nil to leave them
	SubPorts            []SubPortSpec
}

// SubPortSpec is a port, of whatever network on the same node, that a guest reaches
// by frames with a VLAN tag on the port which has it.
type SubPortSpec struct {
	PortID, NetworkID string
	VLAN              int
	MTU               int // of its network
}

// Bandwidth bounds one direction of a port; the zero one does not.
type Bandwidth struct {
	Kbps    int // 1000 bits a second each
	BurstKb int // kilobits that may go at once; 0 for a part of Kbps
}

// GroupSpec is a security group as the node enforces it.
type GroupSpec struct {
	ID      string
	Rules   []SecurityRule
	Members []netip.Addr // of the ports that wear it, anywhere: for rules with a remote group
}

// AddressGroupSpec is a group of addresses that rules refer to.
type AddressGroupSpec struct {
	ID        string
	Addresses []netip.Prefix
}

// NameRecord is a name that the network's DNS answers.
type NameRecord struct {
	Name string
	IPs  []netip.Addr
}

// RouterSpec is a router as a node runs it.
type RouterSpec struct {
	ID, Name    string
	Generation  int64
	AdminUp     bool
	Interfaces  []RouterPort
	Gateway     *RouterPort
	NextHops    []netip.Addr // default routes by the gateway: one for IPv4, one for IPv6
	SNAT        bool
	FloatingIPs []FloatingSpec
	Forwards    []ForwardSpec
	Routes      []Route
	Meters      []MeterSpec
}

// MeterSpec is a metering label with its rules, as a router counts by them.
type MeterSpec struct {
	ID, Name string
	Rules    []MeteringRule
}

// RouterPort is an interface of a router.
type RouterPort struct {
	PortID, NetworkID, MAC string
	MTU                    int
	Addresses              []netip.Prefix
	Advertise              []AdvertisedPrefix // IPv6 prefixes for router advertisements
	Scope4, Scope6         string             // the address scopes of its networks' subnets; "" for the one that has no name
}

// AdvertisedPrefix is an IPv6 prefix that a router announces.
type AdvertisedPrefix struct {
	Prefix netip.Prefix
	Mode   string // slaac, dhcpv6-stateful, dhcpv6-stateless
	DNS    []netip.Addr
}

// FloatingSpec maps an external address to an inner one.
type FloatingSpec struct {
	ID              string
	Floating, Fixed netip.Addr
}

// ForwardSpec maps a port of an external address to one of an inner address.
type ForwardSpec struct {
	ID                  string
	Floating, Fixed     netip.Addr
	Protocol            string // tcp or udp
	External, InnerPort int
}

// NetworkStatus is what a node reports of its data plane.
type NetworkStatus struct {
	Networks map[string]int64 // id to the generation served
	Routers  map[string]int64
	Ports    map[string]bool // id to whether a guest is plugged
}
