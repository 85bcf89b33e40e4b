package image

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// The bounds of what is kept of the jobs of an image.
const (
	maxLogs  = 4    // jobs, the newest
	maxSteps = 64   // of a job
	maxNotes = 16   // of a step
	maxNote  = 1024 // bytes of a note or an error
)

// story is the log of one job while it goes on. A nil one tells nothing.
type story struct {
	clock cloud.Clock
	mu    sync.Mutex
	log   cloud.ImageLog
}

type storyKey struct{}

// telling gives a job a log, which its parts find in the context.
func (s *Service) telling(ctx context.Context, log cloud.ImageLog) (context.Context, *story) {
	log.Start = s.clock.Now()
	st := &story{clock: s.clock, log: log}
	return context.WithValue(ctx, storyKey{}, st), st
}

func storyOf(ctx context.Context) *story {
	st, _ := ctx.Value(storyKey{}).(*story)
	return st
}

// noter says what was done in a step.
type noter func(format string, args ...any)

// step does one part of a job and tells how it went.
func (st *story) step(name string, do func(note noter) error) error {
	if st == nil {
		return do(func(string, ...any) {})
	}
	one := cloud.Step{Name: name, Start: st.clock.Now()}
	err := do(func(format string, args ...any) {
		if len(one.Notes) < maxNotes {
			one.Notes = append(one.Notes, cut(fmt.Sprintf(format, args...)))
		}
	})
	one.Duration = st.clock.Now().Sub(one.Start)
	if err != nil {
		one.Error = cut(cloud.Message(err))
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.log.Steps) < maxSteps {
		st.log.Steps = append(st.log.Steps, one)
	}
	return err
}

func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxNote)], "") }

// keepStory writes how a job ended into the log of its image, if that is still there;
// the oldest of more than four goes.
func (s *Service) keepStory(ctx context.Context, st *story, failure error) {
	st.mu.Lock()
	log := st.log
	st.mu.Unlock()
	log.Status, log.End = cloud.TaskSuccess, s.clock.Now()
	if failure != nil {
		log.Status, log.Message = cloud.TaskFailure, cut(cloud.Message(failure))
	}
	err := s.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if _, err := tx.Images.Get(log.ImageID); err != nil {
			if cloud.Is(err, cloud.NotFound) {
				return nil // its log is gone with it
			}
			return err
		}
		if _, err := tx.ImageLogs.DeleteWhere(store.Eq("id", log.ID)); err != nil { // of a try that was broken off
			return err
		}
		old, err := tx.ImageLogs.List(store.Query{Where: []store.Cond{store.Eq("image_id", log.ImageID)}, Order: []store.Order{{Column: "started_at"}}})
		if err != nil {
			return err
		}
		for _, l := range old[:max(0, len(old)-maxLogs+1)] {
			if err := tx.ImageLogs.Delete(l.ID); err != nil {
				return err
			}
		}
		return tx.ImageLogs.Insert(log)
	})
	if err != nil {
		s.opts.Log.Warn("the log of an image's job is not kept", "image", log.ImageID, "job", log.ID, "error", err)
	}
}

// Logs tells the jobs that gave an image its bytes, or tried to, the oldest first: four
// at the most. They are for who owns it; NotFound for one that the caller does not see.
func (s *Service) Logs(ctx context.Context, caller cloud.Caller, id string) (list []cloud.ImageLog, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err := visible(tx, caller, id)
		if err != nil || !caller.Owns(img.ProjectID) {
			return err
		}
		list, err = tx.ImageLogs.List(store.Query{Where: []store.Cond{store.Eq("image_id", id)}, Order: []store.Order{{Column: "started_at"}}})
		return err
	})
	return slices.Clip(list), err
}

// shownAddress is an address without what lets somebody in: user, password and query.
func shownAddress(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "an address"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// received is receive, told.
func (s *Service) received(ctx context.Context, img cloud.Image, stage Stage, body io.Reader, note noter) (sums, error) {
	got, err := s.receive(ctx, img, stage, body)
	if err == nil {
		note("%d bytes, md5 %s, sha512 %.16s…", got.size, got.md5, got.sha512)
		if e := expected(img); e.want256+e.want512 != "" {
			note("they are those that the image's owner said")
		}
	}
	return got, err
}

// judged is judge, told.
func (s *Service) judged(ctx context.Context, img cloud.Image, r io.ReaderAt, size int64) (found verdict, err error) {
	err = storyOf(ctx).step("check", func(note noter) error {
		found, err = s.judge(img, r, size, true)
		if err == nil {
			note("%s as it was said to be, a disk of %d bytes", cmp.Or(img.DiskFormat, "no format"), found.virtual)
		}
		return err
	})
	return found, err
}

// kept is keep, told.
func (s *Service) kept(ctx context.Context, img cloud.Image, stage Stage, got sums, change func(*store.Tx, *cloud.Image) error) error {
	return storyOf(ctx).step("store", func(note noter) error {
		note("%d bytes as sha512:%.16s…", got.size, got.sha512)
		return s.keep(ctx, img, stage, got, change)
	})
}

func expectedBytes(length int64) string {
	if length < 0 {
		return "as many as come"
	}
	return strconv.FormatInt(length, 10)
}
