package image

import (
	"context"
	"io"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Source opens what a web-download names.
type Source interface {
	// Check says whether an address may be fetched at all; Invalid.
	Check(uri string) error
	// Open begins to read it. length is -1 when it is not known.
	Open(ctx context.Context, uri string) (body io.ReadCloser, length int64, err error)
}

// Elsewhere knows the image services of the catalog.
type Elsewhere interface {
	// Endpoint gives the address of a region's; own is whether it is this one.
	// NotFound.
	Endpoint(ctx context.Context, region, face string) (url string, own bool, err error)
	// Open reads an image there: its attributes as JSON has them, its bytes and how
	// many they are, -1 for unknown.
	Open(ctx context.Context, url, token, id string) (attributes map[string]any, body io.ReadCloser, length int64, err error)
}

// taskLife is how long a finished task can be read (glance's task_time_to_live).
const taskLife = 48 * time.Hour

// ImportMethods are the ways to import that are offered here.
func (s *Service) ImportMethods() []string {
	methods := []string{cloud.ImportDirect}
	if s.opts.Source != nil {
		methods = append(methods, cloud.ImportWebDownload)
	}
	if s.opts.Elsewhere != nil {
		methods = append(methods, cloud.ImportGlanceDownload)
	}
	return methods
}

// Import has a job give the image its bytes: those that were staged, or what an
// address serves, or what another image service has, which is asked with the
// caller's token. task says the Method, URI, Remote, Request and RequestID; the rest
// is filled in. To delete the image cancels it. Invalid, Conflict.
func (s *Service) Import(ctx context.Context, caller cloud.Caller, id, token string, task cloud.ImageTask) (cloud.ImageTask, error) {
	const op = "image.Import"
	if !slices.Contains(s.ImportMethods(), task.Method) {
		return task, cloud.E(op, cloud.Invalid, "Unknown import method name '%s'.", task.Method)
	}
	if task.Method == cloud.ImportWebDownload {
		for _, uri := range append([]string{task.URI}, task.Mirrors...) {
			if err := s.opts.Source.Check(uri); err != nil {
				return task, err
			}
		}
	}
	if err := s.vouchable(task); err != nil {
		return task, err
	}
	if err := s.convertible(task.Format); err != nil {
		return task, err
	}
	if task.Method == cloud.ImportGlanceDownload {
		if task.Remote == nil || !cloud.IsID(task.Remote.ID) {
			return task, cloud.E(op, cloud.Invalid, "Remote image id does not look like a UUID")
		}
	}
	now := s.clock.Now()
	task.ID, task.ImageID, task.ProjectID, task.UserID = cloud.NewID(), id, caller.ProjectID, caller.UserID
	task.Status, task.Total, task.CreatedAt, task.UpdatedAt = cloud.TaskPending, -1, now, now
	if task.Method == cloud.ImportGlanceDownload {
		s.visas.put(task.ID, visa{caller, token})
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := owned(tx, caller, id, "modify_image")
		if err == nil {
			err = importable(img, task.Method)
		}
		if err == nil {
			more := map[string]int64{quotaSize: 0}
			if img.Status == cloud.ImageQueued {
				more[quotaUploading] = 1
			}
			err = afford(tx, img.ProjectID, more)
		}
		if err != nil {
			return err
		}
		img.Status, img.UploadID, img.UpdatedAt = cloud.ImageImporting, task.ID, now
		if err := tx.Images.Update(img); err != nil {
			return err
		}
		return tx.ImageTasks.Insert(task)
	})
	if err != nil {
		s.visas.take(task.ID)
	}
	return task, err
}

// importable refuses an image that is not in the state for a way of import.
func importable(img cloud.Image, method string) error {
	const op = "image.Import"
	switch {
	case img.Status == cloud.ImageActive:
		return cloud.E(op, cloud.Conflict, "Image with status active cannot be target for import")
	case method != cloud.ImportDirect && img.Status != cloud.ImageQueued:
		return cloud.E(op, cloud.Conflict, "Image needs to be in 'queued' state to use '%s' method", method)
	case method == cloud.ImportDirect && (img.Status != cloud.ImageUploading || img.UploadID != ""):
		return cloud.E(op, cloud.Conflict, "Image needs to be staged before 'glance-direct' method can be used")
	case img.ContainerFormat == "":
		return cloud.E(op, cloud.Conflict, "'container_format' needs to be set before import")
	case img.DiskFormat == "":
		return cloud.E(op, cloud.Conflict, "'disk_format' needs to be set before import")
	}
	return nil
}

// ImageTasks lists the imports of an image that the caller sees, oldest first.
func (s *Service) ImageTasks(ctx context.Context, caller cloud.Caller, id string) (list []cloud.ImageTask, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := visible(tx, caller, id); err != nil {
			return err
		}
		list, err = tx.ImageTasks.List(store.Query{Where: []store.Cond{store.Eq("image_id", id)}, Order: []store.Order{{Column: "created_at"}}})
		return err
	})
	return slices.DeleteFunc(list, func(t cloud.ImageTask) bool { return !caller.Owns(t.ProjectID) }), err
}

// TaskFilter says which tasks a list holds.
type TaskFilter struct {
	Status      string // "" for all
	OldestFirst bool
	Marker      string
	Limit       int
}

// Tasks lists the imports of all images, for operators. more tells that there
// are further ones.
func (s *Service) Tasks(ctx context.Context, f TaskFilter) (list []cloud.ImageTask, more bool, err error) {
	q := store.Query{Order: []store.Order{{Column: "created_at", Desc: !f.OldestFirst}}, After: f.Marker}
	if f.Status != "" {
		q.Where = append(q.Where, store.Eq("status", f.Status))
	}
	if f.Limit > 0 {
		q.Limit = f.Limit + 1
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.ImageTasks.List(q)
		return err
	})
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true, err
	}
	return list, false, err
}

// Task gives one task; NotFound.
func (s *Service) Task(ctx context.Context, id string) (task cloud.ImageTask, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		task, err = tx.ImageTasks.Get(id)
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("image.Task", cloud.NotFound, "No task found with ID %s", id)
		}
		return err
	})
	return task, err
}
