package metadata

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Render makes the tree of an instance. It is pure.
func Render(spec cloud.InstanceSpec) Tree {
	t := Tree{EC2: ec2Files(spec), KeyNames: keyNames(spec), OpenStack: map[string]map[string][]byte{}, Content: content(spec)}
	for _, version := range OpenStackVersions {
		t.OpenStack[version] = openStackFiles(spec, version)
	}
	return t
}

func keyNames(spec cloud.InstanceSpec) []string {
	var names []string
	for _, key := range spec.Meta.Keys {
		names = append(names, key.Name)
	}
	return names
}

// find is Render(spec).Lookup(path) with nothing rendered that the path does
// not ask for.
func find(spec cloud.InstanceSpec, path string) ([]byte, bool) {
	t := Tree{}
	switch parts := split(path); {
	case len(parts) == 0:
	case len(parts) == 2 && parts[0] == noCloudDir:
		return noCloudFile(spec, parts[1])
	case parts[0] != "openstack":
		t.EC2, t.KeyNames = ec2Files(spec), keyNames(spec)
	case len(parts) > 1 && parts[1] == "content":
		t.Content = content(spec)
	case len(parts) > 1 && contains(OpenStackVersions, parts[1]):
		t.OpenStack = map[string]map[string][]byte{parts[1]: openStackFiles(spec, parts[1])}
	}
	return t.Lookup(path)
}

// EC2ID makes an id as EC2 writes it from a UUID: its first eight digits.
func EC2ID(prefix, id string) string {
	digits := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if len(digits) > 8 {
		digits = digits[:8]
	}
	return prefix + "-" + digits
}

// ec2Files are EC2's files. What has no value is left out: a key that is listed
// and then not found costs cloud-init five seconds.
func ec2Files(spec cloud.InstanceSpec) map[string][]byte {
	files := map[string][]byte{}
	set := func(path, value string) {
		if value != "" {
			files["meta-data/"+path] = []byte(value)
		}
	}
	meta := spec.Meta
	local4 := firstAddress(meta.Links, netip.Addr.Is4)
	set("ami-id", EC2ID("ami", meta.ImageID))
	set("ami-launch-index", itoa(meta.LaunchIndex))
	set("ami-manifest-path", "(unknown)") // EC2 says so of images that are not in S3
	set("hostname", spec.Hostname)
	set("local-hostname", spec.Hostname)
	set("instance-action", "none")
	set("instance-id", EC2ID("i", spec.ID))
	set("instance-type", meta.InstanceType)
	set("placement/availability-zone", meta.AvailabilityZone)
	set("reservation-id", meta.ReservationID)
	set("security-groups", strings.Join(meta.SecurityGroups, "\n"))
	if local4.IsValid() {
		set("local-ipv4", local4.String())
	}
	if local6 := firstAddress(meta.Links, netip.Addr.Is6); local6.IsValid() {
		set("ipv6", local6.String())
	}
	if len(meta.FloatingIPs) > 0 {
		set("public-ipv4", meta.FloatingIPs[0].String())
		set("public-hostname", spec.Hostname)
	}
	if spec.Kernel != nil {
		set("kernel-id", EC2ID("aki", spec.Kernel.ID))
	}
	if spec.Ramdisk != nil {
		set("ramdisk-id", EC2ID("ari", spec.Ramdisk.ID))
	}
	setDisks(set, spec)
	for i, key := range meta.Keys {
		set("public-keys/"+itoa(i)+"/openssh-key", strings.TrimSpace(key.Data)+"\n")
	}
	setInterfaces(set, spec)
	if len(meta.UserData) > 0 {
		files["user-data"] = meta.UserData
	}
	files["dynamic/instance-identity/document"] = identityDocument(spec, local4)
	return files
}

// setDisks tells the disks by the names that a virtio guest gives them.
func setDisks(set func(path, value string), spec cloud.InstanceSpec) {
	set("block-device-mapping/ami", "vda")
	set("block-device-mapping/root", "/dev/vda")
	next := byte('b')
	for i := range spec.Ephemerals() {
		set("block-device-mapping/ephemeral"+itoa(i), "/dev/vd"+string(next))
		next++
	}
	if spec.SwapMB > 0 {
		set("block-device-mapping/swap", "/dev/vd"+string(next))
	}
	n := 0
	for _, v := range spec.Volumes {
		if !v.Boot && v.Device != "" {
			set("block-device-mapping/ebs"+itoa(n), v.Device)
			n++
		}
	}
}

// setInterfaces tells the NICs. Without them cloud-init's Ec2 source crawls
// everything again, three times.
func setInterfaces(set func(path, value string), spec cloud.InstanceSpec) {
	if len(spec.Meta.Links) == 0 {
		return
	}
	set("mac", spec.Meta.Links[0].MAC)
	for i, link := range spec.Meta.Links {
		at := "network/interfaces/macs/" + link.MAC + "/"
		set(at+"device-number", itoa(i))
		set(at+"interface-id", EC2ID("eni", link.PortID))
		set(at+"mac", link.MAC)
		set(at+"local-hostname", spec.Hostname)
		var four, six, cidrs4, cidrs6 []string
		for _, a := range link.Addresses {
			if a.IP.Is4() {
				four, cidrs4 = append(four, a.IP.String()), append(cidrs4, a.Prefix.Masked().String())
			} else {
				six, cidrs6 = append(six, a.IP.String()), append(cidrs6, a.Prefix.Masked().String())
			}
		}
		set(at+"local-ipv4s", strings.Join(four, "\n"))
		set(at+"ipv6s", strings.Join(six, "\n"))
		if len(cidrs4) > 0 {
			set(at+"subnet-ipv4-cidr-block", cidrs4[0])
		}
		set(at+"subnet-ipv6-cidr-blocks", strings.Join(cidrs6, "\n"))
		if i == 0 && len(spec.Meta.FloatingIPs) > 0 {
			set(at+"public-ipv4s", spec.Meta.FloatingIPs[0].String())
		}
	}
}

func firstAddress(links []cloud.MetaLink, want func(netip.Addr) bool) netip.Addr {
	for _, link := range links {
		for _, a := range link.Addresses {
			if want(a.IP) {
				return a.IP
			}
		}
	}
	return netip.Addr{}
}

// identityDocument is EC2's instance identity document, unsigned.
func identityDocument(spec cloud.InstanceSpec, local netip.Addr) []byte {
	document := map[string]any{
		"version": "2017-09-30", "instanceId": EC2ID("i", spec.ID), "imageId": EC2ID("ami", spec.Meta.ImageID),
		"instanceType": spec.Meta.InstanceType, "availabilityZone": spec.Meta.AvailabilityZone, "region": spec.Meta.AvailabilityZone,
		"accountId": spec.ProjectID, "architecture": "x86_64", "pendingTime": spec.Meta.CreatedAt.UTC().Format("2006-01-02T15:04:05Z"),
		"kernelId": nil, "ramdiskId": nil, "billingProducts": nil, "devpayProductCodes": nil, "marketplaceProductCodes": nil, "privateIp": nil,
	}
	if local.IsValid() {
		document["privateIp"] = local.String()
	}
	return encode(document)
}

// encode is JSON of what cannot fail to be encoded: maps of plain values.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return b
}
