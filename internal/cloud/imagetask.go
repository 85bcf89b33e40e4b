package cloud

import "time"

// ImageTaskStatus is glance's status of a task.
type ImageTaskStatus string

// The statuses of a task. One that is processing when the process ends is
// pending again at the next start.
const (
	TaskPending    ImageTaskStatus = "pending"
	TaskProcessing ImageTaskStatus = "processing"
	TaskSuccess    ImageTaskStatus = "success"
	TaskFailure    ImageTaskStatus = "failure"
)

// The ways to import an image.
const (
	ImportDirect         = "glance-direct"   // of bytes that were staged before
	ImportWebDownload    = "web-download"    // of what an address serves
	ImportGlanceDownload = "glance-download" // of another image service's image
)

// RemoteImage is an image of the image service that a region has in the catalog.
type RemoteImage struct{ ID, Region, Interface string }

// ImageTask is the import of an image's bytes, done by a job.
type ImageTask struct {
	ID, ImageID          string
	ProjectID, UserID    string // of who asked
	RequestID            string // of the request that asked
	Status               ImageTaskStatus
	Method, URI          string         // URI of a web-download
	Remote               *RemoteImage   // of a glance-download
	Mirrors              []string       // of a web-download: where else the same bytes are
	Format               string         // the disk format that the bytes are converted to; "" as the operator has it
	Request              map[string]any // the body of the request, for who reads the task
	Message              string         // what went wrong, or how far it is
	Done, Total          int64          // bytes that arrived, and are expected; -1 for not known
	CreatedAt, UpdatedAt time.Time
	ExpiresAt            time.Time // when the row of a finished task goes; zero before
}

// Over tells whether the task is finished, well or not.
func (t ImageTask) Over() bool { return t.Status == TaskSuccess || t.Status == TaskFailure }
