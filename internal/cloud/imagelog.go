package cloud

import "time"

// ImageLog tells one job that gave an image its bytes, or tried to: an import or an
// upload, with its steps. It goes with its image.
type ImageLog struct {
	ID        string // of the import's task, or of the upload
	ImageID   string
	RequestID string // of the request that asked; "" if it is not known
	Method    string // as an [ImageTask] has it, or [ImageUpload]
	Status    ImageTaskStatus
	Message   string // what went wrong; "" for nothing
	Start     time.Time
	End       time.Time
	Steps     []Step
}

// ImageUpload is the method of bytes that a client sent.
const ImageUpload = "upload"
