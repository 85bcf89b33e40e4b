package ova

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"
)

// envelope is as much of a descriptor as is used (DSP0243, 6 to 9). Names are taken
// without their name spaces, which differ between the versions.
type envelope struct {
	XMLName xml.Name `xml:"Envelope"`
	Files   []struct {
		ID          string `xml:"id,attr"`
		Href        string `xml:"href,attr"`
		Compression string `xml:"compression,attr"`
		ChunkSize   string `xml:"chunkSize,attr"`
	} `xml:"References>File"`
	Disks []struct {
		ID       string `xml:"diskId,attr"`
		File     string `xml:"fileRef,attr"`
		Capacity string `xml:"capacity,attr"`
		Units    string `xml:"capacityAllocationUnits,attr"`
		Parent   string `xml:"parentRef,attr"`
	} `xml:"DiskSection>Disk"`
	System     *system   `xml:"VirtualSystem"`
	Collection *struct{} `xml:"VirtualSystemCollection"`
}

type system struct {
	ID       string `xml:"id,attr"`
	Name     string `xml:"Name"`
	Guest    string `xml:"OperatingSystemSection>Description"`
	Hardware []struct {
		Items    []item `xml:"Item"`
		Storage  []item `xml:"StorageItem"`      // of version 2
		Ethernet []item `xml:"EthernetPortItem"` // of version 2
		Config   []struct {
			Key   string `xml:"key,attr"`
			Value string `xml:"value,attr"`
		} `xml:"Config"`
	} `xml:"VirtualHardwareSection"`
}

type item struct {
	Type       string `xml:"ResourceType"`
	SubType    string `xml:"ResourceSubType"`
	ID         string `xml:"InstanceID"`
	Parent     string `xml:"Parent"`
	Quantity   string `xml:"VirtualQuantity"`
	Units      string `xml:"AllocationUnits"`
	Host       string `xml:"HostResource"`
	Connection string `xml:"Connection"`
}

// The types of resources (CIM_ResourceAllocationSettingData.ResourceType).
const (
	typeCPU    = "3"
	typeMemory = "4"
	typeIDE    = "5"
	typeSCSI   = "6"
	typeNIC    = "10"
	typeDisk   = "17"
	typeSATA   = "20"
)

// The bounds of a descriptor.
const (
	maxOVF   = 1 << 20
	maxItems = 1000
	maxText  = 255
)

// parseOVF reads a descriptor. The disks it gives name members of the package.
func parseOVF(text []byte) (*Machine, error) {
	var e envelope
	if err := xml.Unmarshal(text, &e); err != nil {
		return nil, refuse("the descriptor is no OVF: %v", err)
	}
	switch {
	case e.Collection != nil || e.System == nil:
		return nil, unsupported("the package has not one virtual machine but a collection, or none; export one by itself")
	case len(e.System.Hardware) == 0:
		return nil, refuse("the descriptor says nothing of the machine's hardware")
	case len(e.Files) > maxItems || len(e.Disks) > maxItems:
		return nil, refuse("the descriptor names %d files and %d disks", len(e.Files), len(e.Disks))
	}
	hw := e.System.Hardware[0]
	items := append(append(hw.Items, hw.Storage...), hw.Ethernet...)
	if len(items) > maxItems {
		return nil, refuse("the machine has %d devices", len(items))
	}
	m := &Machine{Name: short(e.System.Name), System: short(e.System.Guest), NICs: []NIC{}, Disks: []Disk{}}
	if m.Name == "" {
		m.Name = short(e.System.ID)
	}
	for _, c := range hw.Config {
		if c.Key == "firmware" {
			m.Firmware = short(c.Value)
		}
	}
	for _, i := range items {
		if err := e.device(m, i, items); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// device adds what an item stands for.
func (e *envelope) device(m *Machine, i item, all []item) error {
	switch strings.TrimSpace(i.Type) {
	case typeCPU:
		n, err := strconv.Atoi(strings.TrimSpace(i.Quantity))
		if err != nil || n < 1 || n > 1024 {
			return refuse("the machine has %.20q processors", i.Quantity)
		}
		m.CPUs = n
	case typeMemory:
		b, err := bytesOf(i.Quantity, i.Units)
		if err != nil {
			return err
		}
		m.MemoryMB = (b + 1<<20 - 1) >> 20
	case typeNIC:
		m.NICs = append(m.NICs, NIC{short(i.Connection), short(i.SubType)})
	case typeDisk:
		d, err := e.disk(i.Host)
		if err != nil || d == nil {
			return err
		}
		d.Bus = bus(i.Parent, all)
		m.Disks = append(m.Disks, *d)
	}
	return nil
}

// disk finds the disk that a device names (DSP0243, 8.3.2: ovf:/disk/ID or
// ovf:/file/ID); nil for one that has no file, being empty.
func (e *envelope) disk(host string) (*Disk, error) {
	host = strings.TrimPrefix(strings.TrimSpace(host), "ovf:")
	kind, id, _ := strings.Cut(strings.TrimPrefix(host, "/"), "/")
	d := &Disk{ID: short(id)}
	file := id
	if kind == "disk" {
		found := false
		for _, x := range e.Disks {
			if x.ID != id {
				continue
			}
			found = true
			if x.Parent != "" {
				return nil, unsupported("the disk %.40q is one of differences to another", id)
			}
			if file = x.File; file == "" {
				return nil, nil
			}
			var err error
			if d.Capacity, err = bytesOf(x.Capacity, x.Units); err != nil {
				return nil, err
			}
		}
		if !found {
			return nil, refuse("a device names the disk %.40q, which is not in the descriptor", id)
		}
	} else if kind != "file" {
		return nil, refuse("a disk is %.60q, which is not in the package", host)
	}
	for _, f := range e.Files {
		if f.ID != file {
			continue
		}
		switch {
		case f.ChunkSize != "":
			return nil, unsupported("the disk %.40q is in pieces; export it as one file", f.Href)
		case f.Compression != "" && f.Compression != "identity":
			return nil, unsupported("the disk %.40q is packed by %.20q within the package; export it without", f.Href, f.Compression)
		}
		d.File = f.Href
		return d, flat(f.Href)
	}
	return nil, refuse("the disk %.40q is of the file %.40q, which is not in the descriptor", id, file)
}

// flat refuses a name that is not that of a member beside the descriptor.
func flat(name string) error {
	if name == "" || len(name) > maxText || name[0] == '.' || strings.ContainsAny(name, "/\\\x00\n\r") || strings.Contains(name, ":") {
		return refuse("the package names the file %.60q, which is not beside the descriptor", name)
	}
	return nil
}

// bus is that of the controller a disk hangs on, as a node here can have it: of
// SCSI it has virtio's only, and who boots from another has AHCI.
func bus(parent string, all []item) string {
	for _, c := range all {
		if parent == "" || c.ID != parent {
			continue
		}
		switch strings.TrimSpace(c.Type) {
		case typeIDE:
			return "ide"
		case typeSCSI:
			if strings.Contains(strings.ToLower(c.SubType), "virtio") {
				return "scsi"
			}
			return "sata"
		case typeSATA:
			if strings.Contains(strings.ToLower(c.SubType), "virtio") {
				return "virtio"
			}
			return "sata"
		}
	}
	return ""
}

// bytesOf reads a quantity with its unit: "byte * 2^30" (DSP0004, annex C), or as
// the first version had it, "GigaBytes".
func bytesOf(quantity, unit string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(quantity), 10, 64)
	if err != nil || n < 0 {
		return 0, refuse("%.20q is no size", quantity)
	}
	shift := 0
	switch u := strings.ToLower(strings.ReplaceAll(unit, " ", "")); {
	case u == "" || u == "byte" || u == "bytes":
	case u == "kilobytes":
		shift = 10
	case u == "megabytes":
		shift = 20
	case u == "gigabytes":
		shift = 30
	case strings.HasPrefix(u, "byte*2^"):
		if shift, err = strconv.Atoi(u[len("byte*2^"):]); err != nil || shift < 0 || shift > 50 {
			return 0, refuse("%.30q is no unit of size", unit)
		}
	default:
		return 0, refuse("%.30q is no unit of size", unit)
	}
	if n > math.MaxInt64>>shift {
		return 0, refuse("a size of %d times %.30q is beyond all bounds", n, unit)
	}
	return n << shift, nil
}

// short is a text as it may be shown.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
