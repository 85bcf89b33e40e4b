package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// importers is how many imports run at once.
const importers = 4

// Work runs the imports that are asked for, until ctx ends. Those that it leaves
// unfinished are begun again after the next start.
func (s *Service) Work(ctx context.Context) {
	var wg sync.WaitGroup
	for range importers {
		wg.Go(func() { s.work(ctx) })
	}
	wg.Wait()
}

func (s *Service) work(ctx context.Context) {
	changed, stop := s.store.Watch("image_tasks")
	defer stop()
	for ctx.Err() == nil {
		some, err := s.ImportNext(ctx)
		if err != nil && ctx.Err() == nil {
			s.opts.Log.Error("imports are behind; they are tried again at the next one", "error", err)
		}
		if some && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// ImportNext does the oldest import that waits, to its end; false for none. That
// it fails is no error here, but the task's.
func (s *Service) ImportNext(ctx context.Context) (bool, error) {
	task, img, err := s.claim(ctx)
	if err != nil || task.ID == "" {
		return false, err
	}
	told, st := s.telling(ctx, cloud.ImageLog{ID: task.ID, ImageID: task.ImageID, RequestID: task.RequestID, Method: task.Method})
	err = s.runImport(told, task, img)
	if ctx.Err() != nil {
		return true, ctx.Err() // Recover begins it again
	}
	s.keepStory(ctx, st, err)
	if err == nil {
		return true, nil
	}
	return true, s.giveUp(ctx, task, img, err)
}

// claim marks the oldest waiting task as begun. It also removes what expired.
func (s *Service) claim(ctx context.Context) (task cloud.ImageTask, img cloud.Image, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		task = cloud.ImageTask{}
		now := s.clock.Now()
		if _, err := tx.ImageTasks.DeleteWhere(store.Le("expires_at", now)); err != nil {
			return err
		}
		list, err := tx.ImageTasks.List(store.Query{Where: []store.Cond{store.Eq("status", string(cloud.TaskPending))}, Order: []store.Order{{Column: "created_at"}}, Limit: 1})
		if err != nil || len(list) == 0 {
			return err
		}
		task = list[0]
		task.Status, task.UpdatedAt = cloud.TaskProcessing, now
		if err := tx.ImageTasks.Update(task); err != nil {
			return err
		}
		img, err = tx.Images.Get(task.ImageID)
		if cloud.Is(err, cloud.NotFound) {
			img, err = cloud.Image{ID: task.ImageID, UploadID: task.ID}, nil // runImport meets its absence
		}
		return err
	})
	return task, img, err
}

// errCancelled is why an import ends whose image is gone.
var errCancelled = errors.New("the image was deleted, which cancels the import")

// runImport does one import; it ends when the image is deleted.
func (s *Service) runImport(ctx context.Context, task cloud.ImageTask, img cloud.Image) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	changed, stop := s.store.Watch("images")
	defer stop()
	if s.gone(ctx, task) {
		return errCancelled
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				if s.gone(ctx, task) {
					cancel(errCancelled)
				}
			}
		}
	}()
	var err error
	switch task.Method {
	case cloud.ImportWebDownload:
		err = s.fetch(ctx, task, img)
	case cloud.ImportGlanceDownload:
		err = s.fetchRemote(ctx, task, img)
	default:
		err = s.promote(ctx, task, img)
	}
	if err != nil && errors.Is(context.Cause(ctx), errCancelled) { // its own success ends the watch too
		return errCancelled
	}
	return err
}

// gone tells whether the image is no longer this import's.
func (s *Service) gone(ctx context.Context, task cloud.ImageTask) bool {
	gone := false
	err := s.store.View(ctx, func(tx *store.Tx) error {
		img, err := tx.Images.Get(task.ImageID)
		gone = cloud.Is(err, cloud.NotFound) || err == nil && img.UploadID != task.ID
		return nil
	})
	return err == nil && gone
}

// promote makes an image of the bytes that were staged.
func (s *Service) promote(ctx context.Context, task cloud.ImageTask, img cloud.Image) error {
	data, err := s.blobs.Open(img.Digest)
	if err != nil {
		return err
	}
	defer data.Close()
	found, err := s.judged(ctx, img, &readerAt{r: data}, img.Size)
	if err != nil {
		return err
	}
	path, err := s.blobs.Path(img.Digest)
	if err != nil {
		return err
	}
	task.Done, task.Total = img.Size, img.Size
	if task.Message, err = s.vouched(ctx, task, path); err != nil {
		return err
	}
	if done, err := s.convert(ctx, task, img, path, found, nil); done || err != nil {
		return err
	}
	if err := s.makeDisk(ctx, img, path, img.Digest, &found); err != nil {
		return err
	}
	return s.change(ctx, img, s.succeed(task, found))
}

// fetch makes an image of what an address serves, or if that fails, one of its mirrors.
func (s *Service) fetch(ctx context.Context, task cloud.ImageTask, img cloud.Image) error {
	var failures []error
	for _, uri := range append([]string{task.URI}, task.Mirrors...) {
		var body io.ReadCloser
		var length int64
		err := storyOf(ctx).step("open", func(note noter) (err error) {
			note("%s", shownAddress(uri))
			body, length, err = s.opts.Source.Open(ctx, uri)
			return err
		})
		if err == nil {
			err = s.fetchBody(ctx, task, img, body, length, nil)
		}
		if err == nil || ctx.Err() != nil || cloud.Is(err, cloud.Gone) || len(task.Mirrors) == 0 {
			return err
		}
		failures = append(failures, fmt.Errorf("%s: %s", uri, cloud.Message(err)))
	}
	return cloud.E("image.Import", cloud.Invalid, "None of the addresses gives the image: %w", errors.Join(failures...))
}

// fetchBody makes an image of what is read, and of what is said of it.
func (s *Service) fetchBody(ctx context.Context, task cloud.ImageTask, img cloud.Image, body io.ReadCloser, length int64, say func(*cloud.Image) error) error {
	defer body.Close()
	if length > s.opts.MaxSize {
		return tooLarge(s.opts.MaxSize)
	}
	stage, err := s.blobs.Stage(ctx)
	if err != nil {
		return err
	}
	defer stage.Discard()
	task.Total = length
	counted := &progress{svc: s, ctx: ctx, task: task, r: body, said: s.clock.Now()}
	var got sums
	err = storyOf(ctx).step("fetch", func(note noter) error {
		checked, err := s.sniffed(img, counted, length)
		if err == nil {
			got, err = s.received(ctx, img, stage, checked, note)
		}
		if err != nil {
			note("it ended after %d bytes of %s", counted.task.Done, expectedBytes(length))
		}
		return err
	})
	if err != nil {
		return err
	}
	found, err := s.judged(ctx, img, stage, got.size)
	if err != nil {
		return err
	}
	task.Done, task.Total = got.size, got.size
	if task.Message, err = s.vouched(ctx, task, stage.Name()); err != nil {
		return err
	}
	if done, err := s.convert(ctx, task, img, stage.Name(), found, say); done || err != nil {
		return err
	}
	if err := s.makeDisk(ctx, img, stage.Name(), "sha512:"+got.sha512, &found); err != nil {
		return err
	}
	done := s.succeed(task, found)
	return s.kept(ctx, img, stage, got, func(tx *store.Tx, now *cloud.Image) error {
		if say != nil {
			if err := say(now); err != nil {
				return err
			}
		}
		return done(tx, now)
	})
}

// succeed ends a task well and makes its image active, in one transaction.
func (s *Service) succeed(task cloud.ImageTask, found verdict) func(*store.Tx, *cloud.Image) error {
	return func(tx *store.Tx, now *cloud.Image) error {
		found.note(now)
		now.Status, now.UploadID = cloud.ImageActive, ""
		task.Status, task.UpdatedAt, task.ExpiresAt = cloud.TaskSuccess, now.UpdatedAt, now.UpdatedAt.Add(taskLife)
		said := ""
		if task.Message != "" { // who signed
			said = "; " + task.Message
		}
		task.Message = fmt.Sprintf("Copied %d MiB%s", task.Done>>20, said)
		return tx.ImageTasks.Update(task)
	}
}

// giveUp ends a task badly: its image waits for bytes again, staged ones go.
func (s *Service) giveUp(ctx context.Context, task cloud.ImageTask, img cloud.Image, why error) error {
	if cloud.KindOf(why) == cloud.Internal && !errors.Is(why, errCancelled) {
		s.opts.Log.Error("an import failed", "image", img.ID, "task", task.ID, "error", why)
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.ImageTasks.Get(task.ID) // it knows how far it came
		if err != nil {
			return err
		}
		now := s.clock.Now()
		row.Status, row.Message, row.UpdatedAt, row.ExpiresAt = cloud.TaskFailure, cloud.Message(why), now, now.Add(taskLife)
		return tx.ImageTasks.Update(row)
	})
	s.requeue(ctx, img)
	return err
}

// progress counts what arrives, and notes it in the task's row every second.
type progress struct {
	svc  *Service
	ctx  context.Context
	task cloud.ImageTask
	r    io.Reader
	said time.Time
}

// Read reads on.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.task.Done += int64(n)
	if now := p.svc.clock.Now(); now.Sub(p.said) >= time.Second {
		p.said, p.task.UpdatedAt = now, now
		p.task.Message = fmt.Sprintf("Copied %d MiB", p.task.Done>>20)
		if err := p.svc.store.Update(p.ctx, func(tx *store.Tx) error { return tx.ImageTasks.Update(p.task) }); err != nil {
			p.svc.opts.Log.Warn("an import cannot say how far it is", "task", p.task.ID, "error", err)
		}
	}
	return n, err
}

// readerAt reads at places of a file that is read by one only.
type readerAt struct{ r io.ReadSeeker }

// ReadAt reads at a place.
func (a *readerAt) ReadAt(p []byte, off int64) (int, error) {
	if _, err := a.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(a.r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
