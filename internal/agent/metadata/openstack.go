package metadata

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"

	"hearth/internal/cloud"
)

// openStackFiles are the files of a version of OpenStack's metadata. Each file
// and each key appears from the version on that nova added it with.
func openStackFiles(spec cloud.InstanceSpec, version string) map[string][]byte {
	since := func(v string) bool { return version >= v } // "latest" is after any digit
	files := map[string][]byte{"meta_data.json": encode(metaData(spec, since))}
	if len(spec.Meta.UserData) > 0 {
		files["user_data"] = spec.Meta.UserData
	}
	if since("2013-10-17") {
		files["vendor_data.json"] = vendorData(spec)
		files["password"] = []byte{} // the server puts the kept one in its place
	}
	if since("2015-10-15") {
		files["network_data.json"] = encode(networkData(spec.Meta.Links))
	}
	if since("2016-10-06") {
		files["vendor_data2.json"] = []byte("{}")
	}
	return files
}

func metaData(spec cloud.InstanceSpec, since func(string) bool) map[string]any {
	meta := spec.Meta.Metadata
	if meta == nil {
		meta = map[string]string{}
	}
	data := map[string]any{
		"uuid": spec.ID, "name": spec.Name, "hostname": spec.Hostname, "meta": meta,
		"launch_index": spec.Meta.LaunchIndex, "availability_zone": spec.Meta.AvailabilityZone,
	}
	if list := fileList(spec); len(list) > 0 {
		data["files"] = list
	}
	if len(spec.Meta.Keys) > 0 {
		public, keys := map[string]string{}, []map[string]string{}
		for _, k := range spec.Meta.Keys {
			kind := k.Type
			if kind == "" {
				kind = "ssh"
			}
			public[k.Name] = k.Data
			keys = append(keys, map[string]string{"name": k.Name, "type": kind, "data": k.Data})
		}
		data["public_keys"], data["keys"] = public, keys
	}
	if since("2013-04-04") {
		data["random_seed"] = base64.StdEncoding.EncodeToString(spec.Meta.RandomSeed)
	}
	if since("2015-10-15") {
		data["project_id"] = spec.ProjectID
	}
	if since("2016-06-30") {
		data["devices"] = devices(spec, since)
	}
	if since("2020-10-14") {
		data["dedicated_cpus"] = []any{}
	}
	return data
}

// devices tells the tagged devices, as nova does those alone; it calls "none"
// what it does not know.
func devices(spec cloud.InstanceSpec, since func(string) bool) []any {
	list := []any{}
	add := func(tag, address string, device map[string]any) {
		if tag == "" {
			return
		}
		device["tags"], device["bus"], device["address"] = []string{tag}, "none", "none"
		if address != "" {
			device["bus"], device["address"] = "pci", address
		}
		list = append(list, device)
	}
	for _, p := range spec.Ports {
		nic := map[string]any{"type": "nic", "mac": p.MAC}
		if since("2018-08-27") {
			nic["vf_trusted"] = false
		}
		add(p.Tag, p.Address, nic)
	}
	for _, v := range spec.Volumes {
		add(v.Tag, v.Address, map[string]any{"type": "disk", "serial": v.VolumeID, "path": v.Device})
	}
	return list
}

// networkData is network_data.json (nova's doc/api_schemas/network_data.json).
func networkData(list []cloud.MetaLink) map[string]any {
	links, networks, services := []any{}, []any{}, []any{}
	told := map[netip.Addr]bool{}
	for _, link := range list {
		name := "tap" + link.PortID
		if len(name) > 14 {
			name = name[:14]
		}
		links = append(links, map[string]any{"id": name, "vif_id": link.PortID, "type": "phy", "mtu": link.MTU, "ethernet_mac_address": link.MAC})
		for _, a := range link.Addresses {
			networks = append(networks, networkOf(fmt.Sprintf("network%d", len(networks)), name, link, a))
			for _, dns := range a.DNS {
				if !told[dns] {
					told[dns] = true
					services = append(services, map[string]any{"type": "dns", "address": dns.String()})
				}
			}
		}
	}
	return map[string]any{"links": links, "networks": networks, "services": services}
}

// networkOf is an address of a NIC. One got by DHCPv4 has no more to tell.
func networkOf(id, linkName string, link cloud.MetaLink, a cloud.MetaAddress) map[string]any {
	made := map[string]any{"id": id, "link": linkName, "network_id": link.NetworkID}
	if a.IP.Is4() && a.DHCP {
		made["type"] = "ipv4_dhcp"
		return made
	}
	made["type"] = "ipv4"
	if a.IP.Is6() {
		made["type"] = "ipv6"
		if a.Mode != "" {
			made["type"] = "ipv6_" + a.Mode
		}
	}
	routes := []any{}
	if a.Gateway.IsValid() {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if a.IP.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		routes = append(routes, routeOf(cloud.Route{Destination: all, NextHop: a.Gateway}))
	}
	for _, r := range a.Routes {
		routes = append(routes, routeOf(r))
	}
	services := []any{}
	for _, dns := range a.DNS {
		services = append(services, map[string]any{"type": "dns", "address": dns.String()})
	}
	made["ip_address"], made["netmask"] = a.IP.String(), netmask(a.Prefix)
	made["routes"], made["services"] = routes, services
	return made
}

func routeOf(r cloud.Route) map[string]any {
	return map[string]any{"network": r.Destination.Masked().Addr().String(), "netmask": netmask(r.Destination), "gateway": r.NextHop.String()}
}

// netmask writes a prefix's length as an address: 255.255.255.0, ffff::.
func netmask(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return net.IP(net.CIDRMask(p.Bits(), p.Addr().BitLen())).String()
}
