package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/attributestags"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/extradhcpopts"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/netconf"
	"hearth/internal/service/compute"
)

// newNetwork is 'hearth network': what people bring along from elsewhere.
func newNetwork(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "network", Short: "Take over networks that were described elsewhere"}
	cmd.AddCommand(&cobra.Command{
		Use: "import-dir DIR", Short: "Make networks, subnets and ports of a networks/ folder of ganeti-instance-image", Args: cobra.ExactArgs(1),
		Long: "Reads DIR/subnets/NAME and DIR/instances/FQDN as ganeti-instance-image has them below\n" +
			"/etc/ganeti/instance-image/networks. A subnet becomes a network and a subnet of its name, an instance\n" +
			"a port of its name with its fixed address. What the project has already stays: the import can be\n" +
			"repeated. What other projects have is left alone, whoever imports.\n" +
			"DNS_DOMAIN and DNS_SEARCH go with the port, as options of DHCP. A server of a port's name gets the\n" +
			"port, when it is made on the network, again and again:\n\n" +
			"  openstack server create --network vlan42 … myinstance.example.org",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return err
			}
			dir, err := netconf.ReadDir(os.DirFS(args[0]))
			if err != nil {
				return err
			}
			if len(dir.Subnets) == 0 {
				return fmt.Errorf("%s has no subnets/ with files in it", args[0])
			}
			client, err := networkClient(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			project, err := projectOf(client)
			if err != nil {
				return err
			}
			return importNetworks(cmd.Context(), client, project, dir, cmd.OutOrStdout())
		},
	})
	return cmd
}

func networkClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	client, err := dialAny(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewNetworkV2(client, gophercloud.EndpointOpts{Region: regionOf(cfg)})
}

// importNetworks makes what the client's project, of that id, does not have yet, and tells of each.
func importNetworks(ctx context.Context, client *gophercloud.ServiceClient, project string, dir *netconf.Dir, out io.Writer) error {
	if err := addressesOnce(dir); err != nil {
		return err
	}
	made := map[string][2]string{} // subnet -> ids of the network and the subnet
	for _, name := range slices.Sorted(maps.Keys(dir.Subnets)) {
		s := dir.Subnets[name]
		if !s.CIDR.IsValid() {
			fmt.Fprintf(out, "subnet %s left out: it has neither a gateway nor an instance that tells its addresses\n", name)
			continue
		}
		network, err := importNetwork(ctx, client, project, name)
		if err != nil {
			return fmt.Errorf("network %s: %w", name, err)
		}
		subnet, err := importSubnet(ctx, client, subnets.ListOpts{Name: name, NetworkID: network, ProjectID: project}, s)
		if err != nil {
			return fmt.Errorf("subnet %s: %w", name, err)
		}
		made[name] = [2]string{network, subnet}
		fmt.Fprintf(out, "network %s %s %s\n", network, s.CIDR, name)
	}
	for _, name := range slices.Sorted(maps.Keys(dir.Instances)) {
		i := dir.Instances[name]
		port, err := importPort(ctx, client, ports.ListOpts{Name: name, NetworkID: made[i.Subnet][0], ProjectID: project}, made[i.Subnet][1], i.Address, options(dir.Subnets[i.Subnet], i.Address))
		if err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
		fmt.Fprintf(out, "port %s %s %s\n", port, i.Address, name)
	}
	return nil
}

// addressesOnce refuses two instances of one address in a subnet, which one port has only.
func addressesOnce(dir *netconf.Dir) error {
	of := map[netconf.Instance]string{}
	for _, name := range slices.Sorted(maps.Keys(dir.Instances)) {
		i := dir.Instances[name]
		if other := of[i]; other != "" {
			return fmt.Errorf("instances/%s and instances/%s both have the ADDRESS %s in %s: correct or remove one; nothing was made", other, name, i.Address, i.Subnet)
		}
		of[i] = name
	}
	return nil
}

func importNetwork(ctx context.Context, client *gophercloud.ServiceClient, project, name string) (string, error) {
	pages, err := networks.List(client, networks.ListOpts{Name: name, ProjectID: project}).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	have, err := networks.ExtractNetworks(pages)
	switch {
	case err != nil:
		return "", err
	case len(have) > 1:
		return "", fmt.Errorf("%d networks are called so: rename those that are not meant", len(have))
	case len(have) == 1:
		return have[0].ID, nil
	}
	n, err := networks.Create(ctx, client, networks.CreateOpts{Name: name}).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return n.ID, nil
}

func first[T any](list []T, id func(T) string) string {
	if len(list) == 0 {
		return ""
	}
	return id(list[0])
}

// importSubnet gives the subnet that is asked for, or makes it.
func importSubnet(ctx context.Context, client *gophercloud.ServiceClient, of subnets.ListOpts, s netconf.Subnet) (string, error) {
	pages, err := subnets.List(client, of).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	if have, err := subnets.ExtractSubnets(pages); err != nil {
		return "", err
	} else if len(have) > 0 {
		if cidr, err := netip.ParsePrefix(have[0].CIDR); err != nil || cidr != s.CIDR {
			return "", fmt.Errorf("there is a subnet of this name already, %s, with %s and not %s: rename or delete it", have[0].ID, have[0].CIDR, s.CIDR)
		}
		return have[0].ID, nil
	}
	gateway, version := "", gophercloud.IPv4 // "" is no gateway
	if s.Gateway.IsValid() {
		gateway = s.Gateway.String()
	}
	if s.CIDR.Addr().Is6() {
		version = gophercloud.IPv6
	}
	opts := subnets.CreateOpts{NetworkID: of.NetworkID, Name: of.Name, CIDR: s.CIDR.String(), IPVersion: version, GatewayIP: &gateway}
	for _, a := range s.DNS {
		opts.DNSNameservers = append(opts.DNSNameservers, a.String())
	}
	made, err := subnets.Create(ctx, client, opts).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return made.ID, nil
}

// importPort gives the port that is asked for, or makes it, on a subnet: it waits for the server of
// its name.
func importPort(ctx context.Context, client *gophercloud.ServiceClient, of ports.ListOpts, subnet string, address netip.Addr, with []extradhcpopts.CreateExtraDHCPOpt) (string, error) {
	pages, err := ports.List(client, of).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	have, err := ports.ExtractPorts(pages)
	if err != nil {
		return "", err
	}
	id := first(have, func(p ports.Port) string { return p.ID })
	if id == "" {
		var opts ports.CreateOptsBuilder = ports.CreateOpts{NetworkID: of.NetworkID, Name: of.Name, FixedIPs: []ports.IP{{SubnetID: subnet, IPAddress: address.String()}}}
		if len(with) > 0 {
			opts = extradhcpopts.CreateOptsExt{CreateOptsBuilder: opts, ExtraDHCPOpts: with}
		}
		p, err := ports.Create(ctx, client, opts).Extract()
		if err != nil {
			return "", refusal(err)
		}
		id = p.ID
	} else if !hasAddress(have[0], address) {
		return "", fmt.Errorf("there is a port of this name already, %s, and it does not have %s: rename or delete it", id, address)
	}
	return id, refusal(attributestags.Add(ctx, client, "ports", id, compute.KeptPortTag).ExtractErr())
}

func hasAddress(p ports.Port, address netip.Addr) bool {
	return slices.ContainsFunc(p.FixedIPs, func(ip ports.IP) bool { return ip.IPAddress == address.String() })
}

// options are what DHCP tells an instance of its subnet beside its address.
func options(s netconf.Subnet, address netip.Addr) (list []extradhcpopts.CreateExtraDHCPOpt) {
	if !address.Is4() {
		return nil
	}
	for name, value := range map[string]string{"domain-name": s.Domain, "domain-search": strings.Join(s.Search, ",")} {
		if value != "" {
			list = append(list, extradhcpopts.CreateExtraDHCPOpt{OptName: name, OptValue: value, IPVersion: gophercloud.IPv4})
		}
	}
	return list
}
