package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/extradhcpopts"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/netconf"
)

// newNetwork is 'hearth network': what people bring along from elsewhere.
func newNetwork(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "network", Short: "Take over networks that were described elsewhere"}
	cmd.AddCommand(&cobra.Command{
		Use: "import-dir DIR", Short: "Make networks, subnets and ports of a networks/ folder of ganeti-instance-image", Args: cobra.ExactArgs(1),
		Long: "Reads DIR/subnets/NAME and DIR/instances/FQDN as ganeti-instance-image has them below\n" +
			"/etc/ganeti/instance-image/networks. A subnet becomes a network and a subnet of its name, an instance\n" +
			"a port of its name with its fixed address. What is there already stays: the import can be repeated.\n" +
			"DNS_DOMAIN goes with the port by DHCP; DNS_SEARCH has no word in OpenStack and is left out.\n" +
			"A server gets the address of its port:\n\n" +
			"  openstack server create --port myinstance.example.org … myinstance.example.org",
		RunE: func(cmd *cobra.Command, args []string) error {
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
			return importNetworks(cmd.Context(), client, dir, cmd.OutOrStdout())
		},
	})
	return cmd
}

func networkClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	client, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewNetworkV2(client, gophercloud.EndpointOpts{Region: cfg.Region})
}

// importNetworks makes what is not there yet, and tells of each.
func importNetworks(ctx context.Context, client *gophercloud.ServiceClient, dir *netconf.Dir, out io.Writer) error {
	made := map[string][2]string{} // subnet -> ids of the network and the subnet
	for _, name := range slices.Sorted(maps.Keys(dir.Subnets)) {
		s := dir.Subnets[name]
		if !s.CIDR.IsValid() {
			fmt.Fprintf(out, "subnet %s left out: it has neither a gateway nor an instance that tells its addresses\n", name)
			continue
		}
		network, err := importNetwork(ctx, client, name)
		if err != nil {
			return fmt.Errorf("network %s: %w", name, err)
		}
		subnet, err := importSubnet(ctx, client, network, name, s)
		if err != nil {
			return fmt.Errorf("subnet %s: %w", name, err)
		}
		made[name] = [2]string{network, subnet}
		fmt.Fprintf(out, "network %s %s %s\n", network, s.CIDR, name)
	}
	for _, name := range slices.Sorted(maps.Keys(dir.Instances)) {
		i := dir.Instances[name]
		port, err := importPort(ctx, client, made[i.Subnet], name, i, dir.Subnets[i.Subnet].Domain)
		if err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
		fmt.Fprintf(out, "port %s %s %s\n", port, i.Address, name)
	}
	return nil
}

func importNetwork(ctx context.Context, client *gophercloud.ServiceClient, name string) (string, error) {
	pages, err := networks.List(client, networks.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	if have, err := networks.ExtractNetworks(pages); err != nil || len(have) > 0 {
		return first(have, func(n networks.Network) string { return n.ID }), err
	}
	n, err := networks.Create(ctx, client, networks.CreateOpts{Name: name}).Extract()
	if err != nil {
		return "", err
	}
	return n.ID, nil
}

func first[T any](list []T, id func(T) string) string {
	if len(list) == 0 {
		return ""
	}
	return id(list[0])
}

func importSubnet(ctx context.Context, client *gophercloud.ServiceClient, network, name string, s netconf.Subnet) (string, error) {
	pages, err := subnets.List(client, subnets.ListOpts{Name: name, NetworkID: network}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	if have, err := subnets.ExtractSubnets(pages); err != nil || len(have) > 0 {
		return first(have, func(s subnets.Subnet) string { return s.ID }), err
	}
	gateway, version := "", gophercloud.IPv4 // "" is no gateway
	if s.Gateway.IsValid() {
		gateway = s.Gateway.String()
	}
	if s.CIDR.Addr().Is6() {
		version = gophercloud.IPv6
	}
	opts := subnets.CreateOpts{NetworkID: network, Name: name, CIDR: s.CIDR.String(), IPVersion: version, GatewayIP: &gateway}
	for _, a := range s.DNS {
		opts.DNSNameservers = append(opts.DNSNameservers, a.String())
	}
	made, err := subnets.Create(ctx, client, opts).Extract()
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func importPort(ctx context.Context, client *gophercloud.ServiceClient, in [2]string, name string, i netconf.Instance, domain string) (string, error) {
	pages, err := ports.List(client, ports.ListOpts{Name: name, NetworkID: in[0]}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	if have, err := ports.ExtractPorts(pages); err != nil || len(have) > 0 {
		return first(have, func(p ports.Port) string { return p.ID }), err
	}
	var opts ports.CreateOptsBuilder = ports.CreateOpts{NetworkID: in[0], Name: name, FixedIPs: []ports.IP{{SubnetID: in[1], IPAddress: i.Address.String()}}}
	if domain != "" && i.Address.Is4() {
		opts = extradhcpopts.CreateOptsExt{CreateOptsBuilder: opts, ExtraDHCPOpts: []extradhcpopts.CreateExtraDHCPOpt{{OptName: "domain-name", OptValue: domain, IPVersion: gophercloud.IPv4}}}
	}
	p, err := ports.Create(ctx, client, opts).Extract()
	if err != nil {
		return "", err
	}
	return p.ID, nil
}
