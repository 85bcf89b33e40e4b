package cloud

import "time"

// StatusGone is the status of a server that is deleted and gone: what is left of it
// is its record.
const StatusGone = "DELETED"

// Gone is the record that stays of a server that is gone, for lists, their filters
// and its history: what its owner had said about it, where it was, and what went
// wrong. What could be run again does not stay, nor what may be secret: user data,
// files, passwords.
func (s Server) Gone(at time.Time) Server {
	g := Server{
		ID: s.ID, Name: s.Name, Description: s.Description, ProjectID: s.ProjectID, UserID: s.UserID, Hostname: s.Hostname,
		Flavor: s.Flavor, ImageID: s.ImageID, Kernel: s.Kernel, Ramdisk: s.Ramdisk, Metadata: s.Metadata, Tags: s.Tags,
		AvailabilityZone: s.AvailabilityZone, ConfigDrive: s.ConfigDrive, DiskConfig: s.DiskConfig,
		AccessIPv4: s.AccessIPv4, AccessIPv6: s.AccessIPv6, Locked: s.Locked, LockedReason: s.LockedReason,
		ReservationID: s.ReservationID, LaunchIndex: s.LaunchIndex, Node: s.Node, Fault: s.Fault, Steps: s.Steps,
		CreatedAt: s.CreatedAt, LaunchedAt: s.LaunchedAt, UpdatedAt: at, DeletedAt: &at,
	}
	if s.Key != nil {
		g.Key = &Keypair{Name: s.Key.Name}
	}
	return g
}
