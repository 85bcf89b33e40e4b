package nova

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// viewMode says which of its faces a server shows.
type viewMode int

const (
	viewShow   viewMode = iota // GET of one
	viewList                   // one of a list with details
	viewUpdate                 // the answer to a change, before 2.75
)

// serverView is a server on the wire. Members that some microversions or
// callers do not see are pointers; a pointer to a nil pointer is null.
type serverView struct {
	ID          string                   `json:"id"`
	Name        string                   `json:"name"`
	Status      string                   `json:"status"`
	TenantID    string                   `json:"tenant_id"`
	UserID      string                   `json:"user_id"`
	Metadata    map[string]string        `json:"metadata"`
	HostID      string                   `json:"hostId"`
	Image       any                      `json:"image"`
	Flavor      any                      `json:"flavor"`
	Created     string                   `json:"created"`
	Updated     string                   `json:"updated"`
	Addresses   map[string][]addressView `json:"addresses"`
	AccessIPv4  string                   `json:"accessIPv4"`
	AccessIPv6  string                   `json:"accessIPv6"`
	Links       []link                   `json:"links"`
	DiskConfig  string                   `json:"OS-DCF:diskConfig"`
	Progress    *int                     `json:"progress,omitempty"`
	Fault       *faultView               `json:"fault,omitempty"`
	Locked      *bool                    `json:"locked,omitempty"`
	HostStatus  *string                  `json:"host_status,omitempty"`
	Description **string                 `json:"description,omitempty"`
	Tags        *[]string                `json:"tags,omitempty"`
	Certs       **[]string               `json:"trusted_image_certificates,omitempty"`
	Groups      *[]string                `json:"server_groups,omitempty"`
	LockReason  **string                 `json:"locked_reason,omitempty"`
	Hostname    *string                  `json:"OS-EXT-SRV-ATTR:hostname,omitempty"`
	KeptUntil   *string                  `json:"hearth:kept_until,omitempty"` // of one in the trash only
	*extendedView
	*adminView
	*adminView23
}

// extendedView is what every caller sees but in the answer to a change.
type extendedView struct {
	Zone           string       `json:"OS-EXT-AZ:availability_zone"`
	ConfigDrive    string       `json:"config_drive"`
	KeyName        *string      `json:"key_name"`
	LaunchedAt     *string      `json:"OS-SRV-USG:launched_at"`
	TerminatedAt   *string      `json:"OS-SRV-USG:terminated_at"`
	SecurityGroups []groupName  `json:"security_groups,omitempty"`
	TaskState      *string      `json:"OS-EXT-STS:task_state"`
	VMState        string       `json:"OS-EXT-STS:vm_state"`
	PowerState     int          `json:"OS-EXT-STS:power_state"`
	Volumes        []volumeView `json:"os-extended-volumes:volumes_attached"`
}

// adminView is what admins see beside, adminView23 more of it from 2.3 on.
type adminView struct {
	Host         *string `json:"OS-EXT-SRV-ATTR:host"`
	InstanceName string  `json:"OS-EXT-SRV-ATTR:instance_name"`
	Hypervisor   *string `json:"OS-EXT-SRV-ATTR:hypervisor_hostname"`
}

type adminView23 struct {
	KernelID      string  `json:"OS-EXT-SRV-ATTR:kernel_id"`
	RamdiskID     string  `json:"OS-EXT-SRV-ATTR:ramdisk_id"`
	LaunchIndex   int     `json:"OS-EXT-SRV-ATTR:launch_index"`
	ReservationID string  `json:"OS-EXT-SRV-ATTR:reservation_id"`
	RootDevice    string  `json:"OS-EXT-SRV-ATTR:root_device_name"`
	UserData      *string `json:"OS-EXT-SRV-ATTR:user_data"`
}

type groupName struct {
	Name string `json:"name"`
}

// volumeView is an attached volume. Delete is told from 2.3 on.
type volumeView struct {
	ID     string `json:"id"`
	Delete *bool  `json:"delete_on_termination,omitempty"`
}

type faultView struct {
	Code    int    `json:"code"`
	Created string `json:"created"`
	Message string `json:"message"`
	Details string `json:"details,omitempty"`
}

type refView struct {
	ID    string `json:"id"`
	Links []link `json:"links"`
}

// flavorInside is the flavor of a server from 2.47 on: as it was at creation.
type flavorInside struct {
	VCPUs      int               `json:"vcpus"`
	RAM        int               `json:"ram"`
	Disk       int               `json:"disk"`
	Ephemeral  int               `json:"ephemeral"`
	Swap       int               `json:"swap"`
	Name       string            `json:"original_name"`
	ExtraSpecs map[string]string `json:"extra_specs"`
}

// textOrNull is nil for "".
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// renderServer says a server as a microversion and a caller see it
// (nova/api/openstack/compute/views/servers.py).
func renderServer(r *wire.Request, d *compute.Detail, mode viewMode) *serverView {
	v := &serverView{
		ID: d.ID, Name: d.Name, Status: d.Status(), TenantID: d.ProjectID, UserID: d.UserID, Metadata: orEmpty(d.Metadata),
		HostID: hostID(d.Node, d.ProjectID), Image: imageView(r, d.ImageID), Flavor: flavorOf(r, d.Flavor),
		Created: stamp(d.CreatedAt), Updated: stamp(d.UpdatedAt), Addresses: addressesOf(d, mode != viewUpdate),
		AccessIPv4: d.AccessIPv4, AccessIPv6: d.AccessIPv6, Links: linksTo(r, "/servers/"+d.ID), DiskConfig: d.DiskConfig,
	}
	switch v.Status {
	case "ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING":
		// Nova on QEMU says 0 at all times, and clients that wait print any other number into their JSON.
		v.Progress = new(int)
	case "ERROR", cloud.StatusGone: // of one that went without a fault there is none
		v.Fault = faultOf(r, d.Fault)
	}
	if d.Trash != nil {
		v.KeptUntil = textOrNull(stamp(d.Trash.Until))
	}
	v.addVersions(r, d, mode)
	if mode == viewUpdate {
		return v
	}
	v.extendedView = extendedOf(r, d)
	if r.Caller.IsAdmin() {
		v.addAdmin(r, d)
	} else if r.Version.AtLeast(90) {
		v.Hostname = &d.Hostname
	}
	return v
}

// addVersions adds the members that came with microversions.
func (v *serverView) addVersions(r *wire.Request, d *compute.Detail, mode viewMode) {
	if r.Version.AtLeast(9) {
		v.Locked = &d.Locked
	}
	if r.Version.AtLeast(16) && r.Caller.IsAdmin() && mode != viewUpdate {
		v.HostStatus = &d.HostSeen
	}
	if r.Version.AtLeast(19) {
		p := textOrNull(d.Description)
		v.Description = &p
	}
	if r.Version.AtLeast(26) {
		tags := d.Tags
		if tags == nil {
			tags = []string{}
		}
		v.Tags = &tags
	}
	if r.Version.AtLeast(63) {
		v.Certs = new(*[]string)
	}
	if r.Version.AtLeast(71) && mode != viewList {
		v.Groups = &[]string{}
		if d.ServerGroup != "" {
			v.Groups = &[]string{d.ServerGroup}
		}
	}
	if r.Version.AtLeast(73) {
		p := textOrNull(d.LockedReason)
		v.LockReason = &p
	}
}

func (v *serverView) addAdmin(r *wire.Request, d *compute.Detail) {
	v.adminView = &adminView{Host: textOrNull(d.Node), Hypervisor: textOrNull(d.Node), InstanceName: "instance-" + d.ID[:min(8, len(d.ID))]}
	if !r.Version.AtLeast(3) {
		return
	}
	v.Hostname = &d.Hostname
	v.adminView23 = &adminView23{
		KernelID: refID(d.Kernel), RamdiskID: refID(d.Ramdisk), LaunchIndex: d.LaunchIndex, ReservationID: d.ReservationID,
		RootDevice: compute.RootDevice,
	}
	if len(d.UserData) > 0 {
		v.UserData = textOrNull(base64.StdEncoding.EncodeToString(d.UserData))
	}
}

func refID(i *cloud.ImageRef) string {
	if i == nil {
		return ""
	}
	return i.ID
}

func extendedOf(r *wire.Request, d *compute.Detail) *extendedView {
	e := &extendedView{
		Zone: d.Zone, KeyName: textOrNull(d.KeyName()), TaskState: textOrNull(d.TaskState()), VMState: d.VMState(),
		PowerState: d.PowerState(), Volumes: []volumeView{},
	}
	if d.ConfigDrive {
		e.ConfigDrive = "True"
	}
	if d.LaunchedAt != nil {
		e.LaunchedAt = textOrNull(stampMicro(*d.LaunchedAt))
	}
	if d.DeletedAt != nil {
		e.TerminatedAt = textOrNull(stampMicro(*d.DeletedAt))
	}
	for _, at := range d.Volumes {
		view := volumeView{ID: at.VolumeID}
		if r.Version.AtLeast(3) {
			view.Delete = &at.DeleteOnTermination
		}
		e.Volumes = append(e.Volumes, view)
	}
	for _, g := range d.Groups {
		e.SecurityGroups = append(e.SecurityGroups, groupName{g})
	}
	return e
}

// hostID hides the host's name from a project, and is the same for servers of a
// project on one host.
func hostID(host, project string) string {
	if host == "" {
		return ""
	}
	sum := sha256.Sum224([]byte(project + host))
	return hex.EncodeToString(sum[:])
}

func imageView(r *wire.Request, id string) any {
	if id == "" {
		return ""
	}
	return refView{id, []link{{"bookmark", r.Link("/images/" + id)}}}
}

func flavorOf(r *wire.Request, f cloud.Flavor) any {
	if r.Version.AtLeast(47) {
		return flavorInside{f.VCPUs, f.MemoryMB, f.RootGB, f.EphemeralGB, f.SwapMB, f.Name, orEmpty(f.ExtraSpecs)}
	}
	return refView{f.ID, []link{{"bookmark", r.Link("/flavors/" + f.ID)}}}
}

// faultOf is why a server is in ERROR. Details of a defect are an admin's.
func faultOf(r *wire.Request, f *cloud.Fault) *faultView {
	if f == nil {
		return nil
	}
	v := &faultView{Code: f.Code, Created: stamp(f.CreatedAt), Message: f.Message}
	if r.Caller.IsAdmin() || f.Code != cloud.FaultInternal {
		v.Details = f.Details
	}
	return v
}
