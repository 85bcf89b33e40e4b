package cloud

import (
	"slices"
	"time"
)

// VM states and tasks of servers that are put on the shelf.
const (
	VMShelved   = "shelved"           // off, with its image made, still on its host
	VMOffloaded = "shelved_offloaded" // on no host

	TaskShelving      = "shelving"
	TaskShelvePending = "shelving_image_pending_upload"
	TaskShelveUpload  = "shelving_image_uploading"
	TaskOffloading    = "shelving_offloading"
	TaskUnshelving    = "unshelving"
)

// Shelf is what is kept of a server that was shelved, until it runs again.
type Shelf struct {
	Image     ImageRef   // its root disk; its ID is known from the first, the rest once it has its bytes; none if the root disk is a volume
	Since     *time.Time // when it was shelved whole
	Offloaded bool       // it is on no host, or is being made anew on one
}

// shelved tells whether the guest is off and its image made, with the server
// still on its host.
func (s *Server) shelved() bool {
	return s.Shelf != nil && s.Intent.Shelved && s.Node != "" && s.Seen.State == InstanceStopped && s.answered() && len(s.Snapshots) == 0
}

// Shelved tells whether all is done to shelve the server on its host.
func (s Server) Shelved() bool { return s.shelved() }

// shelfState is the VM state of a server on the shelf; "" while it is being put
// there, and for others.
func (s *Server) shelfState() string {
	switch {
	case s.Shelf == nil:
		return ""
	case s.Shelf.Offloaded:
		return VMOffloaded
	case s.Shelf.Since != nil:
		return VMShelved
	}
	return ""
}

// shelfTask is what is under way with a server that was shelved.
func (s *Server) shelfTask() string {
	switch {
	case !s.Intent.Shelved:
		return TaskUnshelving
	case s.Node == "":
		return TaskNone
	case s.Shelf.Since != nil && s.Intent.Offload:
		return TaskOffloading
	case s.Shelf.Since != nil:
		return TaskNone
	case len(s.Snapshots) == 0 || !s.answered() && !slices.Contains(s.Seen.Snapshots, s.Snapshots[0]):
		return TaskShelving
	case slices.Contains(s.Seen.Snapshots, s.Snapshots[0]):
		return TaskShelveUpload
	}
	return TaskShelvePending
}
