package nova

import (
	"maps"
	"slices"
	"strconv"

	"hearth/internal/openstack/wire"
)

// The list of servers with details is the longest answer of the API and the one
// that dashboards ask for again and again. What is shown is decided in
// server_view.go; here it is only written down, in the order of the members of
// serverView. TestServersAreAppendedAsEncodingJSONSaysThem holds the two together.

// serverList is the body of a list with details.
type serverList struct {
	Servers []*serverView `json:"servers"`
	Links   []link        `json:"servers_links,omitempty"`
}

// AppendJSON implements wire.Appender.
func (l *serverList) AppendJSON(b []byte) []byte {
	b = append(b, `{"servers":[`...)
	for i, v := range l.Servers {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.appendJSON(b)
	}
	b = append(b, ']')
	if len(l.Links) > 0 {
		b = appendLinks(append(b, `,"servers_links":`...), l.Links)
	}
	return append(b, '}')
}

func (v *serverView) appendJSON(b []byte) []byte {
	b = wire.AppendText(append(b, `{"id":`...), v.ID)
	b = wire.AppendText(append(b, `,"name":`...), v.Name)
	b = wire.AppendText(append(b, `,"status":`...), v.Status)
	b = wire.AppendText(append(b, `,"tenant_id":`...), v.TenantID)
	b = wire.AppendText(append(b, `,"user_id":`...), v.UserID)
	b = appendTexts(append(b, `,"metadata":`...), v.Metadata)
	b = wire.AppendText(append(b, `,"hostId":`...), v.HostID)
	b = appendRef(append(b, `,"image":`...), v.Image)
	b = appendRef(append(b, `,"flavor":`...), v.Flavor)
	b = wire.AppendText(append(b, `,"created":`...), v.Created)
	b = wire.AppendText(append(b, `,"updated":`...), v.Updated)
	b = appendAddresses(append(b, `,"addresses":`...), v.Addresses)
	b = wire.AppendText(append(b, `,"accessIPv4":`...), v.AccessIPv4)
	b = wire.AppendText(append(b, `,"accessIPv6":`...), v.AccessIPv6)
	b = appendLinks(append(b, `,"links":`...), v.Links)
	b = wire.AppendText(append(b, `,"OS-DCF:diskConfig":`...), v.DiskConfig)
	b = v.appendOptional(b)
	if v.extendedView != nil {
		b = v.extendedView.appendMembers(b)
	}
	if v.adminView != nil {
		b = v.adminView.appendMembers(b)
	}
	if v.adminView23 != nil {
		b = v.adminView23.appendMembers(b)
	}
	return append(b, '}')
}

// appendOptional writes the members that some servers, callers or microversions
// do not have.
func (v *serverView) appendOptional(b []byte) []byte {
	if v.Progress != nil {
		b = strconv.AppendInt(append(b, `,"progress":`...), int64(*v.Progress), 10)
	}
	if v.Fault != nil {
		b = wire.AppendValue(append(b, `,"fault":`...), v.Fault)
	}
	if v.Locked != nil {
		b = strconv.AppendBool(append(b, `,"locked":`...), *v.Locked)
	}
	if v.HostStatus != nil {
		b = wire.AppendText(append(b, `,"host_status":`...), *v.HostStatus)
	}
	if v.Description != nil {
		b = wire.AppendOptional(append(b, `,"description":`...), *v.Description)
	}
	if v.Tags != nil {
		b = appendStrings(append(b, `,"tags":`...), *v.Tags)
	}
	if v.Certs != nil {
		b = append(b, `,"trusted_image_certificates":`...)
		if *v.Certs == nil {
			b = append(b, "null"...)
		} else {
			b = appendStrings(b, **v.Certs)
		}
	}
	if v.Groups != nil {
		b = appendStrings(append(b, `,"server_groups":`...), *v.Groups)
	}
	if v.LockReason != nil {
		b = wire.AppendOptional(append(b, `,"locked_reason":`...), *v.LockReason)
	}
	if v.Hostname != nil {
		b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:hostname":`...), *v.Hostname)
	}
	if v.KeptUntil != nil {
		b = wire.AppendText(append(b, `,"hearth:kept_until":`...), *v.KeptUntil)
	}
	return b
}

func (e *extendedView) appendMembers(b []byte) []byte {
	b = wire.AppendText(append(b, `,"OS-EXT-AZ:availability_zone":`...), e.Zone)
	b = wire.AppendText(append(b, `,"config_drive":`...), e.ConfigDrive)
	b = wire.AppendOptional(append(b, `,"key_name":`...), e.KeyName)
	b = wire.AppendOptional(append(b, `,"OS-SRV-USG:launched_at":`...), e.LaunchedAt)
	b = wire.AppendOptional(append(b, `,"OS-SRV-USG:terminated_at":`...), e.TerminatedAt)
	for i, g := range e.SecurityGroups {
		b = wire.AppendText(append(b, opening(i, `,"security_groups":[{"name":`, `},{"name":`)...), g.Name)
	}
	if len(e.SecurityGroups) > 0 {
		b = append(b, "}]"...)
	}
	b = wire.AppendOptional(append(b, `,"OS-EXT-STS:task_state":`...), e.TaskState)
	b = wire.AppendText(append(b, `,"OS-EXT-STS:vm_state":`...), e.VMState)
	b = strconv.AppendInt(append(b, `,"OS-EXT-STS:power_state":`...), int64(e.PowerState), 10)
	b = append(b, `,"os-extended-volumes:volumes_attached":[`...)
	for i, v := range e.Volumes {
		b = wire.AppendText(append(b, opening(i, `{"id":`, `,{"id":`)...), v.ID)
		if v.Delete != nil {
			b = strconv.AppendBool(append(b, `,"delete_on_termination":`...), *v.Delete)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// opening is what stands before the i-th element of a list.
func opening(i int, first, next string) string {
	if i == 0 {
		return first
	}
	return next
}

func (a *adminView) appendMembers(b []byte) []byte {
	b = wire.AppendOptional(append(b, `,"OS-EXT-SRV-ATTR:host":`...), a.Host)
	b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:instance_name":`...), a.InstanceName)
	return wire.AppendOptional(append(b, `,"OS-EXT-SRV-ATTR:hypervisor_hostname":`...), a.Hypervisor)
}

func (a *adminView23) appendMembers(b []byte) []byte {
	b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:kernel_id":`...), a.KernelID)
	b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:ramdisk_id":`...), a.RamdiskID)
	b = strconv.AppendInt(append(b, `,"OS-EXT-SRV-ATTR:launch_index":`...), int64(a.LaunchIndex), 10)
	b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:reservation_id":`...), a.ReservationID)
	b = wire.AppendText(append(b, `,"OS-EXT-SRV-ATTR:root_device_name":`...), a.RootDevice)
	return wire.AppendOptional(append(b, `,"OS-EXT-SRV-ATTR:user_data":`...), a.UserData)
}

// appendRef writes a server's image or flavor.
func appendRef(b []byte, ref any) []byte {
	switch r := ref.(type) {
	case string:
		return wire.AppendText(b, r)
	case refView:
		b = wire.AppendText(append(b, `{"id":`...), r.ID)
		return append(appendLinks(append(b, `,"links":`...), r.Links), '}')
	case flavorInside:
		for _, m := range []struct {
			name  string
			value int
		}{{`{"vcpus":`, r.VCPUs}, {`,"ram":`, r.RAM}, {`,"disk":`, r.Disk}, {`,"ephemeral":`, r.Ephemeral}, {`,"swap":`, r.Swap}} {
			b = strconv.AppendInt(append(b, m.name...), int64(m.value), 10)
		}
		b = wire.AppendText(append(b, `,"original_name":`...), r.Name)
		return append(appendTexts(append(b, `,"extra_specs":`...), r.ExtraSpecs), '}')
	}
	return wire.AppendValue(b, ref)
}

func appendLinks(b []byte, list []link) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, l := range list {
		b = wire.AppendText(append(b, opening(i, `{"rel":`, `,{"rel":`)...), l.Rel)
		b = append(wire.AppendText(append(b, `,"href":`...), l.Href), '}')
	}
	return append(b, ']')
}

func appendStrings(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		b = wire.AppendText(append(b, opening(i, "", ",")...), s)
	}
	return append(b, ']')
}

// sorted are the keys of a map in the order of encoding/json.
func sorted[V any](m map[string]V) []string {
	if len(m) == 1 {
		for k := range m {
			return []string{k}
		}
	}
	return slices.Sorted(maps.Keys(m))
}

func appendTexts(b []byte, m map[string]string) []byte {
	if m == nil {
		return append(b, "null"...)
	}
	b = append(b, '{')
	if len(m) > 0 {
		for i, k := range sorted(m) {
			b = wire.AppendText(append(b, opening(i, "", ",")...), k)
			b = wire.AppendText(append(b, ':'), m[k])
		}
	}
	return append(b, '}')
}

func appendAddresses(b []byte, m map[string][]addressView) []byte {
	b = append(b, '{')
	if len(m) > 0 {
		for i, network := range sorted(m) {
			b = append(wire.AppendText(append(b, opening(i, "", ",")...), network), ":["...)
			for j, a := range m[network] {
				b = strconv.AppendInt(append(b, opening(j, `{"version":`, `,{"version":`)...), int64(a.Version), 10)
				b = wire.AppendText(append(b, `,"addr":`...), a.Addr)
				if a.Type != nil {
					b = wire.AppendText(append(b, `,"OS-EXT-IPS:type":`...), *a.Type)
				}
				if a.MAC != nil {
					b = wire.AppendText(append(b, `,"OS-EXT-IPS-MAC:mac_addr":`...), *a.MAC)
				}
				b = append(b, '}')
			}
			b = append(b, ']')
		}
	}
	return append(b, '}')
}
