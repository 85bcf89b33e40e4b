package opennebula

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// File is a template with the name of its file.
type File struct{ Name, Text string }

// Plan is what some files come to, in the order in which it is made.
type Plan struct {
	Images   []Image   `json:"images"`
	Machines []Machine `json:"machines"`
	Notes    []string  `json:"notes"` // what has no meaning here, and why

	images, machines []source // what they are made of
}

// Image is an image of the cloud. Its format is what the bytes of its file say.
type Image struct {
	Name       string            `json:"name"`
	Path       string            `json:"path"` // as the template has it
	Public     bool              `json:"public"`
	CD         bool              `json:"cd"`
	Properties map[string]string `json:"properties,omitempty"` // by glance's names
}

// Machine is a server, with the flavor and the ports that it gets.
type Machine struct {
	Name     string            `json:"name"`
	MemoryMB int               `json:"memory_mb"`
	VCPUs    int               `json:"vcpus"`
	SwapMB   int               `json:"swap_mb"`
	DiskGB   int               `json:"extra_disk_gb"` // of an empty second disk
	Image    Ref               `json:"image"`
	NICs     []NIC             `json:"nics"`
	Metadata map[string]string `json:"metadata,omitempty"` // what CONTEXT tells the guest
}

// Ref names an image: one of the files by its place, else by name in the cloud.
type Ref struct {
	Number int    `json:"number"` // -1 if it is named
	Name   string `json:"name,omitempty"`
}

// NIC is a port. Network is the word of the template for it, of a network or of a
// host's bridge; "" if it says nothing.
type NIC struct {
	Network string     `json:"network"`
	Bridge  bool       `json:"bridge"`
	MAC     string     `json:"mac,omitempty"` // lower case; "" for any
	Address netip.Addr `json:"address"`       // the zero one for any
}

// maxMetadata is how long a value of a server's metadata may be in the Compute API,
// characters.
const maxMetadata = 255

// Read makes a plan of files. What they are their attributes tell, not their names.
// An error names the file; nothing of what it cannot mean is left out silently.
func Read(files []File) (*Plan, error) {
	p := &Plan{}
	for _, f := range files {
		t, err := Parse(f.Text)
		if err == nil {
			err = p.add(f.Name, t)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := p.check(); err != nil {
		return p, err
	}
	return p, p.contexts()
}

func (p *Plan) add(file string, t Template) error {
	switch {
	case t.Has("MEMORY") || t.Has("DISK") || t.Has("CPU") || t.Has("VCPU"):
		return p.machine(file, t)
	case t.Has("DS_MAD") || t.Has("TM_MAD"):
		p.note(file, "the datastore %q is not made: the cloud keeps images itself, and 'openstack volume type list' shows where volumes lie", t.Get("NAME"))
		return nil
	case t.Has("PATH") || t.Has("SOURCE") || t.Has("SIZE"):
		return p.image(file, t)
	}
	return errors.New("this is no template of a datastore (DS_MAD), an image (PATH) or a virtual machine (MEMORY)")
}

func (p *Plan) note(file, format string, args ...any) {
	p.Notes = append(p.Notes, file+": "+fmt.Sprintf(format, args...))
}

// rest notes attributes that nothing reads.
func (p *Plan) rest(file, of string, t Template, known ...string) {
	for _, a := range t {
		if !slices.Contains(known, a.Name) {
			p.note(file, "%s%s is left out", of, a.Name)
		}
	}
}

var buses = map[string]string{"hd": "ide", "sd": "scsi", "vd": "virtio", "xvd": "xen"}

func (p *Plan) image(file string, t Template) error {
	i := Image{Name: t.Get("NAME"), Path: t.Get("PATH"), Public: yes(t.Get("PUBLIC")), CD: strings.EqualFold(t.Get("TYPE"), "CDROM"), Properties: map[string]string{}}
	switch kind := strings.ToUpper(t.Get("TYPE")); {
	case i.Name == "":
		return errors.New("the image has no NAME")
	case kind == "DATABLOCK" || i.Path == "":
		return errors.New("an image without PATH is an empty disk: that is a volume today, 'openstack volume create --size'")
	case kind != "" && kind != "OS" && kind != "CDROM":
		return fmt.Errorf("images of the TYPE %s are not known here: OS, CDROM", kind)
	}
	if d := t.Get("DESCRIPTION"); d != "" {
		i.Properties["description"] = d
	}
	if prefix := strings.ToLower(t.Get("DEV_PREFIX")); prefix != "" {
		if i.Properties["hw_disk_bus"] = buses[prefix]; i.Properties["hw_disk_bus"] == "" {
			return fmt.Errorf("the DEV_PREFIX %q is not known: hd, sd, vd, xvd", prefix)
		}
	}
	if yes(t.Get("PERSISTENT")) {
		p.note(file, "PERSISTENT: servers do not write to their image here; 'openstack server create --boot-from-volume' has a disk that stays")
	}
	p.rest(file, "", t, "NAME", "PATH", "PUBLIC", "TYPE", "DESCRIPTION", "DEV_PREFIX", "PERSISTENT", "DRIVER")
	p.Images, p.images = append(p.Images, i), append(p.images, source{file, t})
	return nil
}

func yes(v string) bool {
	return slices.Contains([]string{"YES", "Y", "1", "TRUE"}, strings.ToUpper(v))
}

func (p *Plan) machine(file string, t Template) (err error) {
	m := Machine{Name: t.Get("NAME"), Image: Ref{Number: -1}, Metadata: map[string]string{}}
	if m.Name == "" {
		return errors.New("the virtual machine has no NAME")
	}
	if m.MemoryMB, err = number("MEMORY", t.Get("MEMORY"), 1<<22); err != nil {
		return err
	}
	if m.VCPUs, err = cpus(t); err != nil {
		return err
	}
	for _, d := range t.Vectors("DISK") {
		if err := p.disk(file, &m, d); err != nil {
			return err
		}
	}
	for _, n := range t.Vectors("NIC") {
		nic, err := p.nic(file, n)
		if err != nil {
			return err
		}
		m.NICs = append(m.NICs, nic)
	}
	if err := p.boot(file, t); err != nil {
		return err
	}
	if g := t.Vectors("GRAPHICS"); len(g) > 0 {
		p.note(file, "GRAPHICS: each server has a screen, 'openstack console url show %s'; its port %s is not one of a node's", m.Name, g[0].Get("PORT"))
	}
	p.rest(file, "", t, "NAME", "MEMORY", "CPU", "VCPU", "DISK", "NIC", "OS", "GRAPHICS", "CONTEXT")
	p.Machines, p.machines = append(p.Machines, m), append(p.machines, source{file, t})
	return nil
}

// cpus are the guest's, VCPU; without it as many as it has shares of, CPU.
func cpus(t Template) (int, error) {
	if v := t.Get("VCPU"); v != "" {
		return number("VCPU", v, 512)
	}
	v := t.Get("CPU")
	if v == "" {
		return 1, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0 && f <= 512) {
		return 0, fmt.Errorf("the CPU %q is no number of processors", v)
	}
	return int(math.Ceil(f)), nil
}

func number(what, v string, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s is %q: a number from 1 to %d is wanted", what, v, most)
	}
	return n, nil
}

// disk is the first one, of an image, or an empty one.
func (p *Plan) disk(file string, m *Machine, d Template) (err error) {
	size := func() (int, error) { return number("the SIZE of a DISK", d.Get("SIZE"), 1<<26) }
	switch kind := strings.ToLower(d.Get("TYPE")); {
	case d.Has("IMAGE_ID") || d.Has("IMAGE"):
		if m.Image.Number >= 0 || m.Image.Name != "" {
			return errors.New("a second DISK of an image: make a volume of that image, and attach it when the server is there ('openstack volume create --image', 'openstack server add volume')")
		}
		m.Image.Name = d.Get("IMAGE")
		if v := d.Get("IMAGE_ID"); v != "" {
			if m.Image.Number, err = strconv.Atoi(v); err != nil || m.Image.Number < 0 {
				return fmt.Errorf("the IMAGE_ID %q is no number", v)
			}
		}
	case kind == "swap" && m.SwapMB > 0, kind == "fs" && m.DiskGB > 0:
		return fmt.Errorf("a second DISK of the TYPE %s: a server has one of them from its flavor; attach a volume in its place when the server is there ('openstack volume create', 'openstack server add volume')", kind)
	case kind == "swap":
		m.SwapMB, err = size()
	case kind == "fs":
		mb, failed := size()
		m.DiskGB, err = (mb+1023)/1024, failed
	default:
		return fmt.Errorf("a DISK of the TYPE %q without an image is not known here: swap, fs", kind)
	}
	p.rest(file, "DISK ", d, "IMAGE_ID", "IMAGE", "DRIVER", "TYPE", "SIZE", "FORMAT", "BUS", "TARGET", "READONLY")
	return err
}

func (p *Plan) nic(file string, t Template) (n NIC, err error) {
	n.Network = t.Get("NETWORK")
	if n.Network == "" && t.Get("BRIDGE") != "" {
		n.Network, n.Bridge = t.Get("BRIDGE"), true
	}
	if v := t.Get("MAC"); v != "" {
		mac, err := net.ParseMAC(v)
		if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return n, fmt.Errorf("the MAC %q is not one of a network card", v)
		}
		n.MAC = mac.String()
	}
	if v := t.Get("IP"); v != "" {
		if n.Address, err = netip.ParseAddr(v); err != nil || n.Address.Zone() != "" {
			return n, fmt.Errorf("the IP %q is no address", v)
		}
	}
	p.rest(file, "NIC ", t, "NETWORK", "BRIDGE", "MAC", "IP", "MODEL", "TARGET")
	return n, nil
}

// boot refuses kernels of the host, and notes what else images say today.
func (p *Plan) boot(file string, t Template) error {
	for _, o := range t.Vectors("OS") {
		if o.Has("KERNEL") || o.Has("INITRD") {
			return errors.New("OS has a KERNEL of its own: 'hearth image import-ami' makes an image with one")
		}
		if b := strings.ToLower(o.Get("BOOT")); b != "" && b != "hd" {
			return fmt.Errorf("OS says BOOT = %s: 'hearth server create --iso' boots from a CD; else servers boot from their disk (hd)", b)
		}
		if r := o.Get("ROOT"); r != "" {
			p.note(file, "OS ROOT = %s: the boot loader on the disk knows its root", r)
		}
		p.rest(file, "OS ", o, "ARCH", "BOOT", "ROOT", "KERNEL", "INITRD")
	}
	return nil
}

// check holds the files against each other: images that machines count, names and
// MACs that come twice.
func (p *Plan) check() error {
	images := map[string]bool{}
	for _, i := range p.Images {
		if images[i.Name] {
			return fmt.Errorf("two images are called %s", i.Name)
		}
		images[i.Name] = true
	}
	macs, names := map[string]string{}, map[string]bool{}
	for _, m := range p.Machines {
		switch {
		case names[m.Name]:
			return fmt.Errorf("two virtual machines are called %s", m.Name)
		case m.Image.Number < 0 && m.Image.Name == "":
			return fmt.Errorf("%s has no DISK of an image (IMAGE_ID, IMAGE)", m.Name)
		case m.Image.Number >= len(p.Images):
			return fmt.Errorf("%s has the IMAGE_ID %d, but %d images are in the files: they are counted from 0 in the files' order; a DISK may name an IMAGE of the cloud instead", m.Name, m.Image.Number, len(p.Images))
		}
		names[m.Name] = true
		for _, n := range m.NICs {
			if other, ok := macs[n.MAC]; ok && n.MAC != "" {
				return fmt.Errorf("%s and %s both have the MAC %s", other, m.Name, n.MAC)
			}
			macs[n.MAC] = m.Name
		}
	}
	return nil
}
