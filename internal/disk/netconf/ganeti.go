package netconf

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk/osdef"
)

// Dir is a networks/ folder of ganeti-instance-image: subnets/NAME has NETMASK,
// GATEWAY, DNS_DOMAIN, DNS_SEARCH and DNS_SERVERS, instances/FQDN has ADDRESS and
// SUBNET. All of DNS may be missing.
type Dir struct {
	Subnets   map[string]Subnet
	Instances map[string]Instance
}

// Subnet is a file of subnets/.
type Subnet struct {
	CIDR    netip.Prefix
	Gateway netip.Addr // not valid if there is none
	Domain  string
	Search  []string
	DNS     []netip.Addr
	bits    int
}

// Instance is a file of instances/.
type Instance struct {
	Address netip.Addr
	Subnet  string
}

// ReadDir reads a networks/ folder. Its files are not run by a shell, but read as
// [osdef.ParseSettings] does: with quotes, comments and "export". Files that an editor
// left are not read. An error names the file.
func ReadDir(dir fs.FS) (*Dir, error) {
	d := &Dir{Subnets: map[string]Subnet{}, Instances: map[string]Instance{}}
	err := each(dir, "subnets", func(name string, v map[string]string) error {
		s := Subnet{Domain: v["DNS_DOMAIN"], Search: strings.Fields(v["DNS_SEARCH"])}
		var ok bool
		if s.bits, ok = maskBits(v["NETMASK"]); !ok {
			return refuse("subnets/%s: the NETMASK %q", name, v["NETMASK"])
		}
		if g := v["GATEWAY"]; g != "" {
			a, err := netip.ParseAddr(g)
			if err != nil || !plain(a) || s.bits > a.BitLen() {
				return refuse("subnets/%s: the GATEWAY %q", name, g)
			}
			s.Gateway, s.CIDR = a, netip.PrefixFrom(a, s.bits).Masked()
		}
		for text := range strings.FieldsSeq(v["DNS_SERVERS"]) {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return refuse("subnets/%s: the DNS server %q", name, text)
			}
			s.DNS = append(s.DNS, a)
		}
		if err := settings(s.DNS, s.Search); err != nil {
			return refuse("subnets/%s: %v", name, err)
		}
		d.Subnets[name] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(dir, "instances", func(name string, v map[string]string) error {
		a, err := netip.ParseAddr(v["ADDRESS"])
		if err != nil || !plain(a) {
			return refuse("instances/%s: the ADDRESS %q", name, v["ADDRESS"])
		}
		s, ok := d.Subnets[v["SUBNET"]]
		if !ok {
			return refuse("instances/%s: there is no subnet %q; there are %s", name, v["SUBNET"], strings.Join(slices.Sorted(maps.Keys(d.Subnets)), ", "))
		}
		if !s.CIDR.IsValid() && s.bits <= a.BitLen() {
			s.CIDR = netip.PrefixFrom(a, s.bits).Masked()
			d.Subnets[v["SUBNET"]] = s
		}
		if !s.CIDR.Contains(a) {
			return refuse("instances/%s: %s is not in the subnet %s, %s", name, a, v["SUBNET"], s.CIDR)
		}
		d.Instances[name] = Instance{a, v["SUBNET"]}
		n, _ := d.Network(name) // it is there
		if err := n.NICs[0].check(); err != nil {
			return refuse("instances/%s: %v", name, err)
		}
		return nil
	})
	return d, err
}

// Network is what an instance is to have; false if the folder does not name it.
func (d *Dir) Network(fqdn string) (Network, bool) {
	i, ok := d.Instances[fqdn]
	if !ok {
		return Network{}, false
	}
	s := d.Subnets[i.Subnet]
	nic := NIC{Name: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(i.Address, s.CIDR.Bits())}, DNS: s.DNS, Search: s.Search}
	if len(nic.Search) == 0 && domainName.MatchString(s.Domain) {
		nic.Search = []string{s.Domain}
	}
	if i.Address.Is6() {
		nic.Gateway6 = s.Gateway
	} else {
		nic.Gateway4 = s.Gateway
	}
	return Network{NICs: []NIC{nic}}, true
}

// each reads the files of a folder, which may be missing, in the order of their names.
func each(dir fs.FS, folder string, do func(name string, v map[string]string) error) error {
	list, err := fs.ReadDir(dir, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if !domainName.MatchString(e.Name()) || e.IsDir() {
			continue
		}
		v, err := variables(dir, path.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		if err := do(e.Name(), v); err != nil {
			return err
		}
	}
	return nil
}

// variables reads what a file assigns.
func variables(dir fs.FS, name string) (map[string]string, error) {
	if st, err := fs.Stat(dir, name); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() { // a pipe would be waited for
		return nil, refuse("%s is not a file; take it out of the folder", name)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, refuse("%s is no such file: it has more than %d bytes", name, maxFile)
	}
	list, err := osdef.ParseSettings(string(b))
	if err != nil {
		return nil, refuse("%s: %v", name, err)
	}
	v := map[string]string{}
	for _, s := range list {
		v[s.Name] = s.Value
	}
	return v, nil
}

// maskBits reads a mask in either form: 255.255.255.0 or 24.
func maskBits(text string) (int, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return n, n >= 0 && n <= 128
	}
	any := "0.0.0.0"
	if strings.Contains(text, ":") {
		any = "::"
	}
	p, err := prefix(any, text)
	return p.Bits(), err == nil
}
