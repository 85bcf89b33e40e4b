package deploy

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/inject"
	"hearth/internal/disk/netconf"
)

// maxNICs is how many network cards an instance has at the most.
const maxNICs = 64

// variable is one of what Ganeti, or whoever deploys, tells of the instance.
func (b *build) variable(name string) string {
	for i := len(b.opt.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(b.opt.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// nics are the instance's network cards by the NIC_ variables: with a fixed address
// where Ganeti has one and the network that it is of, else they ask.
func (b *build) nics() (list []netconf.NIC, err error) {
	text := b.variable("NIC_COUNT")
	if text == "" {
		return nil, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 || count > maxNICs {
		return nil, refuse("NIC_COUNT is %q, not a number up to %d", text, maxNICs)
	}
	for i := range count {
		get := func(name string) string { return b.variable(fmt.Sprintf("NIC_%d_%s", i, name)) }
		nic := netconf.NIC{MAC: get("MAC")}
		ip, err := netip.ParseAddr(get("IP"))
		for _, end := range []string{"", "6"} {
			subnet, serr := netip.ParsePrefix(get("NETWORK_SUBNET" + end))
			if err != nil || serr != nil || !subnet.Contains(ip) {
				continue
			}
			nic.Addresses = []netip.Prefix{netip.PrefixFrom(ip, subnet.Bits())}
			if gateway, err := netip.ParseAddr(get("NETWORK_GATEWAY" + end)); err == nil && gateway.Is6() {
				nic.Gateway6 = gateway
			} else if err == nil {
				nic.Gateway4 = gateway
			}
		}
		if len(nic.Addresses) == 0 {
			nic.DHCP4, nic.SLAAC = true, true
		}
		list = append(list, nic)
	}
	return list, nil
}

// plan decides the instance's network, from NETWORKS_DIR if it has a file of its
// name, and what is known of its cards; nil leaves the image's.
func (b *build) plan() (*netconf.Network, error) {
	if !b.spec.On("interfaces") {
		return nil, nil
	}
	nics, err := b.nics()
	if err != nil {
		return nil, err
	}
	network := &netconf.Network{NICs: nics}
	dir := b.spec.Settings["NETWORKS_DIR"]
	if st, err := os.Stat(dir); err == nil && st.IsDir() && b.opt.Name != "" {
		all, err := netconf.ReadDir(os.DirFS(dir))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		if fixed, ok := all.Network(b.opt.Name); ok {
			first := fixed.NICs[0]
			if len(nics) == 0 {
				nics = []netconf.NIC{{}}
			}
			if first.MAC = nics[0].MAC; first.MAC != "" {
				first.Name = ""
			}
			network.NICs = append([]netconf.NIC{first}, nics[1:]...)
		}
	}
	if len(network.NICs) == 0 {
		return nil, nil
	}
	return network, b.resolver(network)
}

// resolver adds the settings DNS_SERVERS and DNS_SEARCH to a network with fixed
// addresses that has none.
func (b *build) resolver(n *netconf.Network) error {
	for _, nic := range n.NICs {
		if len(nic.DNS) > 0 || len(nic.Addresses) == 0 {
			return nil
		}
	}
	for text := range strings.FieldsSeq(b.spec.Settings["DNS_SERVERS"]) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return refuse("DNS_SERVERS has %q, which is no address", text)
		}
		n.DNS = append(n.DNS, a)
	}
	n.Search = strings.Fields(b.spec.Settings["DNS_SEARCH"])
	return nil
}

// asks tells whether a network is one that a guest's cloud-init makes by itself.
func asks(n *netconf.Network) bool {
	return len(n.NICs) == 1 && len(n.NICs[0].Addresses) == 0
}

// cloudConfig is the file with the CINIT_ settings for cloud-init; none unless one
// of them is set.
func (b *build) cloudConfig(t *guestfs.Tree) ([]inject.File, error) {
	said := false
	for _, s := range b.spec.List(false) {
		said = said || strings.HasPrefix(s.Name, "CINIT_") && s.Value != ""
	}
	if !said || !b.spec.On("cloud-init") {
		return nil, nil
	}
	if !hasCloudInit(t) {
		b.warn("CINIT_ settings are given, but the image has no cloud-init")
		return nil, nil
	}
	text, err := inject.CloudConfig(func(name string) string {
		if name == "INSTANCE_NAME" {
			return b.opt.Name
		}
		return b.spec.Settings[name]
	})
	return []inject.File{{Path: inject.CloudConfigPath, Data: text, Owner: guestfs.Owner{Mode: 0o600}}}, err
}

func hasCloudInit(t guestos.Files) bool {
	return guestos.Has(t, "/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
}

// person gives the guest its name, identity, network and what cloud-init is to do.
func (b *build) person(t *guestfs.Tree) (inject.Options, error) {
	o := inject.Options{Hostname: b.opt.Name, Identity: b.spec.On("ssh"), Network: b.network}
	if b.network != nil && asks(b.network) && hasCloudInit(t) {
		o.Network = nil
	}
	var err error
	o.Files, err = b.cloudConfig(t)
	return o, err
}
