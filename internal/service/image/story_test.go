package image_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk/tarball"
	"hearth/internal/service/image"
)

// story is the log of an image as people read it.
func (h *house) story(id string) (text string) {
	h.t.Helper()
	logs, err := h.Logs(ctx, ann, id)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, l := range logs {
		text += fmt.Sprintf("%s %s %s\n", l.Method, l.Status, l.Message)
		for _, s := range l.Steps {
			text += "  " + s.Name + ": " + strings.Join(s.Notes, "; ") + "; " + s.Error + "\n"
		}
	}
	return text
}

// holds wants words in a text, in this order.
func holds(t *testing.T, text string, words ...string) {
	t.Helper()
	rest := text
	for _, w := range words {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("%q lacks, or comes too early, in:\n%s", w, text)
			return
		}
		rest = after
	}
}

// TestStoryOfImports has the steps of imports told: from where, how much, what it was
// found to be, what was made of it; to its owner alone.
func TestStoryOfImports(t *testing.T) {
	data := bytes.Repeat([]byte("disk"), 1<<18)
	h := newWorkshop(t, image.Options{Source: serving(data)})
	img := h.image(ann, nil)
	task := fromWeb()
	task.URI, task.RequestID, task.Format = "http://me:secret@images.test/x?token=t0ken", "req-1", "qcow2"
	if task = h.step(h.imports(img.ID, task).ID); task.Status != cloud.TaskSuccess {
		t.Fatalf("%+v", task)
	}
	text := h.story(img.ID)
	holds(t, text, "web-download success", "open: http://images.test/x;", "fetch: 1048576 bytes, md5 ", "check: raw as it was said to be, a disk of 1048576 bytes", "convert: from raw to qcow2", "store: ")
	if strings.Contains(text, "secret") || strings.Contains(text, "t0ken") {
		t.Errorf("what lets somebody in is told:\n%s", text)
	}
	logs, err := h.Logs(ctx, ann, img.ID)
	if err != nil || logs[0].ID != task.ID || logs[0].RequestID != "req-1" {
		t.Errorf("%+v, %v", logs, err)
	}
	if _, err := h.Logs(ctx, bob, img.ID); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a stranger reads it: %v", err)
	}
	h.clock.Advance(49 * time.Hour) // the task goes, its log stays
	if _, err := h.ImportNext(ctx); err != nil || h.story(img.ID) != text {
		t.Errorf("%v, %s", err, h.story(img.ID))
	}
	if err := h.Delete(ctx, ann, img.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Logs(ctx, ann, img.ID); !cloud.Is(err, cloud.NotFound) {
		t.Error(err)
	}
}

// TestStoryOfUploads has uploads told, and what was made of an archive.
func TestStoryOfUploads(t *testing.T) {
	h := newWorkshop(t, image.Options{})
	archive := packed(t, tarball.Gzip)
	for _, want := range []string{"make_disk: a disk of ", "make_disk: the disk that another image of the same bytes has, "} {
		img := h.image(ann, nil)
		if err := h.Upload(ctx, ann, img.ID, bytes.NewReader(archive), -1); err != nil {
			t.Fatal(err)
		}
		holds(t, h.story(img.ID), "upload success", "receive: ", "check: raw", want, "store: ")
	}
	img := h.image(ann, m{cloud.PropertyOSArchive: "theirs@1"}) // of a definition: none is made
	if err := h.Upload(ctx, ann, img.ID, bytes.NewReader(archive), -1); err != nil {
		t.Fatal(err)
	}
	if text := h.story(img.ID); strings.Contains(text, "make_disk") || h.get(img.ID).Made != nil {
		t.Errorf("of an archive of a definition a disk is made:\n%s", text)
	}
}

// TestStoryBounds has failures told, and no more than the last four jobs kept.
func TestStoryBounds(t *testing.T) {
	h := newHouse(t, image.Options{Source: &web{err: cloud.E("web", cloud.Invalid, "no such host: %s", strings.Repeat("x", 5000))}})
	img := h.image(ann, nil)
	for range 3 {
		h.clock.Advance(time.Second)
		h.step(h.imports(img.ID, fromWeb()).ID)
	}
	mirrored := fromWeb()
	mirrored.Mirrors = []string{"http://mirror.test/y"}
	for range 3 {
		h.clock.Advance(time.Second)
		h.step(h.imports(img.ID, mirrored).ID)
	}
	logs, err := h.Logs(ctx, ann, img.ID)
	if err != nil || len(logs) != 4 || len(logs[0].Steps) != 1 || len(logs[3].Steps) != 2 {
		t.Fatalf("%d of %+v, %v", len(logs), logs, err)
	}
	for _, l := range logs {
		if l.Status != cloud.TaskFailure || len(l.Message) != 1024 || len(l.Steps[0].Error) != 1024 {
			t.Errorf("%.200s", fmt.Sprintf("%+v", l))
		}
	}
	holds(t, h.story(img.ID), "web-download failure", "open: http://images.test/x; no such host")
}
