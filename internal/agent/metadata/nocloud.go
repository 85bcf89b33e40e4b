package metadata

import (
	"fmt"
	"net/netip"

	"hearth/internal/cloud"
)

// noCloudDir is where the seed lies that the serial number of a machine points
// cloud-init to whose only source is NoCloud (see agent/instance).
const noCloudDir = "nocloud"

// noCloudFile is a file of the seed. All are there, as cloud-init gives the seed
// up when it misses one.
func noCloudFile(spec cloud.InstanceSpec, name string) ([]byte, bool) {
	switch name {
	case "meta-data": // which is YAML, as all JSON is
		data := metaData(spec, func(string) bool { return false })
		seed := map[string]any{"instance-id": spec.ID, "local-hostname": spec.Hostname, "availability-zone": spec.Meta.AvailabilityZone, "meta": data["meta"]}
		if keys, ok := data["public_keys"]; ok {
			seed["public-keys"] = keys
		}
		return encode(seed), true
	case "user-data":
		return append([]byte{}, spec.Meta.UserData...), true
	case "vendor-data":
		return []byte{}, true
	case "network-config":
		return encode(networkConfig(spec.Meta.Links)), true
	}
	return nil, false
}

// networkConfig is cloud-init's network configuration of version 2.
func networkConfig(links []cloud.MetaLink) map[string]any {
	cards := map[string]any{}
	for i, link := range links {
		card := map[string]any{"match": map[string]string{"macaddress": link.MAC}}
		if link.MTU > 0 {
			card["mtu"] = link.MTU
		}
		var static, dns []string
		var routes []map[string]string
		for _, a := range link.Addresses {
			if a.DHCP {
				card[protocolOf(a)] = true
				continue
			}
			static = append(static, netip.PrefixFrom(a.IP, a.Prefix.Bits()).String())
			if a.Gateway.IsValid() {
				routes = append(routes, map[string]string{"to": unspecified(a.IP).String(), "via": a.Gateway.String()})
			}
			for _, r := range a.Routes {
				routes = append(routes, map[string]string{"to": r.Destination.String(), "via": r.NextHop.String()})
			}
			for _, d := range a.DNS {
				dns = append(dns, d.String())
			}
		}
		setIf(card, "addresses", static)
		setIf(card, "routes", routes)
		if len(dns) > 0 {
			card["nameservers"] = map[string]any{"addresses": dns}
		}
		cards[fmt.Sprintf("nic%d", i)] = card
	}
	return map[string]any{"version": 2, "ethernets": cards}
}

// protocolOf is how a NIC gets an address that is not written down.
func protocolOf(a cloud.MetaAddress) string {
	switch {
	case a.IP.Is4():
		return "dhcp4"
	case a.Mode == "slaac":
		return "accept-ra"
	}
	return "dhcp6"
}

func unspecified(of netip.Addr) netip.Prefix {
	if of.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func setIf[T any](in map[string]any, key string, list []T) {
	if len(list) > 0 {
		in[key] = list
	}
}
