package image_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

// web serves one body, or an error.
type web struct {
	body func(ctx context.Context) io.Reader
	err  error
}

func (w *web) Check(uri string) error {
	if !strings.HasPrefix(uri, "http:") {
		return cloud.E("web", cloud.Invalid, "not of the web")
	}
	return nil
}

func (w *web) Open(ctx context.Context, _ string) (io.ReadCloser, int64, error) {
	if w.err != nil {
		return nil, 0, w.err
	}
	return io.NopCloser(w.body(ctx)), -1, nil
}

func serving(data []byte) *web {
	return &web{body: func(context.Context) io.Reader { return bytes.NewReader(data) }}
}

func direct() cloud.ImageTask { return cloud.ImageTask{Method: cloud.ImportDirect} }
func fromWeb() cloud.ImageTask {
	return cloud.ImageTask{Method: cloud.ImportWebDownload, URI: "http://images.test/x"}
}

// step runs one import and gives its task.
func (h *house) step(id string) cloud.ImageTask {
	h.t.Helper()
	if some, err := h.ImportNext(ctx); err != nil || !some {
		h.t.Fatalf("%v, %v", some, err)
	}
	if some, err := h.ImportNext(ctx); err != nil || some {
		h.t.Fatalf("another import: %v, %v", some, err)
	}
	task, err := h.Task(ctx, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return task
}

func (h *house) imports(id string, task cloud.ImageTask) cloud.ImageTask {
	h.t.Helper()
	task, err := h.Import(ctx, ann, id, "", task)
	if err != nil {
		h.t.Fatal(err)
	}
	return task
}

func TestDirectImport(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	_, err := h.Import(ctx, ann, img.ID, "", direct())
	want(t, err, cloud.Conflict, "staged before")
	want(t, h.Stage(ctx, bob, img.ID, strings.NewReader("x")), cloud.NotFound, "")
	want(t, h.Stage(ctx, ann, img.ID, strings.NewReader("")), cloud.Invalid, "no bytes")
	if err := h.Stage(ctx, ann, img.ID, strings.NewReader("bytes")); err != nil {
		t.Fatal(err)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageUploading {
		t.Errorf("%+v", got)
	}
	want(t, h.Stage(ctx, ann, img.ID, strings.NewReader("x")), cloud.Conflict, "")
	if _, data, err := h.Download(ctx, ann, img.ID); err != nil || data != nil {
		t.Errorf("staged bytes are given out: %v", err)
	}
	if err := h.Recover(ctx); err != nil { // a restart keeps what was staged
		t.Fatal(err)
	}
	task := h.imports(img.ID, direct())
	_, err = h.Import(ctx, ann, img.ID, "", direct())
	want(t, err, cloud.Conflict, "")
	if task = h.step(task.ID); task.Status != cloud.TaskSuccess || task.ExpiresAt.IsZero() || task.Done != 5 {
		t.Errorf("%+v", task)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageActive || got.Size != 5 || got.VirtualSize != 5 || got.UploadID != "" {
		t.Errorf("%+v", got)
	}
	h.rest(1)
	h.clock.Advance(49 * time.Hour)
	if _, err := h.ImportNext(ctx); err != nil {
		t.Error(err)
	}
	_, err = h.Task(ctx, task.ID)
	want(t, err, cloud.NotFound, "")
}

func TestImportThatFails(t *testing.T) {
	h := newHouse(t, image.Options{Source: serving([]byte("not qcow2"))})
	img := h.image(ann, m{"disk_format": "qcow2"})
	if err := h.Stage(ctx, ann, img.ID, strings.NewReader("not qcow2")); err != nil {
		t.Fatal(err)
	}
	for _, task := range []cloud.ImageTask{direct(), fromWeb()} {
		if task = h.step(h.imports(img.ID, task).ID); task.Status != cloud.TaskFailure || !strings.Contains(task.Message, "qcow2") {
			t.Errorf("%+v", task)
		}
		if got := h.get(img.ID); got.Status != cloud.ImageQueued || got.Digest != "" || got.Size != -1 || got.UploadID != "" {
			t.Errorf("%+v", got)
		}
		h.rest(0)
	}
	h.Service = image.New(h.store, h.clock, h.blobs, image.Options{Source: &web{err: cloud.E("web", cloud.Invalid, "nobody answers")}})
	if task := h.step(h.imports(img.ID, fromWeb()).ID); task.Message != "nobody answers" {
		t.Errorf("%+v", task)
	}
}

func TestWebDownload(t *testing.T) {
	h := newHouse(t, image.Options{Source: serving([]byte("from afar"))})
	img := h.image(ann, nil)
	_, err := h.Import(ctx, ann, img.ID, "", cloud.ImageTask{Method: cloud.ImportWebDownload, URI: "file:///etc/passwd"})
	want(t, err, cloud.Invalid, "not of the web")
	_, err = h.Import(ctx, ann, img.ID, "", cloud.ImageTask{Method: "copy-image"})
	want(t, err, cloud.Invalid, "copy-image")
	if task := h.step(h.imports(img.ID, fromWeb()).ID); task.Status != cloud.TaskSuccess || task.Total != 9 {
		t.Errorf("%+v", task)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageActive || got.Size != 9 {
		t.Errorf("%+v", got)
	}
	list, err := h.ImageTasks(ctx, ann, img.ID)
	if err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}

// slow gives some bytes, calls then, and waits until its download ends.
type slow struct {
	ctx  context.Context
	then func()
	sent bool
}

func (s *slow) Read(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		return copy(p, strings.Repeat("x", 100_000)), nil
	}
	s.then()
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

func TestDeletionCancelsAnImport(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	h.Service = image.New(h.store, h.clock, h.blobs, image.Options{Source: &web{body: func(ctx context.Context) io.Reader {
		return &slow{ctx: ctx, then: func() {
			if err := h.Delete(ctx, ann, img.ID); err != nil {
				t.Error(err)
			}
		}}
	}}})
	if task := h.step(h.imports(img.ID, fromWeb()).ID); task.Status != cloud.TaskFailure || !strings.Contains(task.Message, "deleted") {
		t.Errorf("%+v", task)
	}
	h.rest(0)
}

func TestImportIsBegunAgainAfterARestart(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	dying, stop := context.WithCancel(ctx)
	h.Service = image.New(h.store, h.clock, h.blobs, image.Options{Source: &web{body: func(ctx context.Context) io.Reader {
		return &slow{ctx: ctx, then: func() { h.clock.Advance(2 * time.Second); stop() }}
	}}})
	task := h.imports(img.ID, fromWeb())
	if _, err := h.ImportNext(dying); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageImporting {
		t.Errorf("%+v", got)
	}
	h.Service = image.New(h.store, h.clock, h.blobs, image.Options{Source: serving([]byte("all of it"))})
	if err := h.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if task = h.step(task.ID); task.Status != cloud.TaskSuccess {
		t.Errorf("%+v", task)
	}
	h.rest(1)
}

func TestStageThatBreaksOff(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	broken := io.MultiReader(strings.NewReader("half"), &reset{})
	want(t, h.Stage(ctx, ann, img.ID, broken), cloud.Invalid, "broke off")
	if got := h.get(img.ID); got.Status != cloud.ImageQueued || got.UploadID != "" {
		t.Errorf("%+v", got)
	}
	h.rest(0)
}

// reset is a connection that broke.
type reset struct{}

// Read fails.
func (*reset) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestForeignFormats: what tells a format may be beyond the first bytes, or at
// the end only.
func TestForeignFormats(t *testing.T) {
	h := newHouse(t, image.Options{})
	fixed := make([]byte, 100_000+512)
	copy(fixed[100_000:], "conectix")
	fixed[100_000+63] = 2
	fixed[100_000+53], fixed[100_000+54], fixed[100_000+55] = 1, 0x86, 0xa0
	sum := uint32(0)
	for _, c := range fixed {
		sum += uint32(c)
	}
	copy(fixed[100_000+64:], []byte{byte(^sum >> 24), byte(^sum >> 16), byte(^sum >> 8), byte(^sum)})
	img := h.image(ann, m{"disk_format": "vhd"})
	want(t, h.upload(img.ID, bytes.Repeat([]byte("x"), 100_000)), cloud.Invalid, "named vhd")
	h.rest(0)
	if err := h.upload(img.ID, fixed); err != nil {
		t.Fatal(err)
	}
	if got := h.get(img.ID); got.Status != cloud.ImageActive || got.VirtualSize != 100_000 {
		t.Errorf("%+v", got)
	}
	want(t, h.upload(h.image(ann, nil).ID, fixed), cloud.Invalid, "bytes are vhd")
	want(t, h.upload(h.image(ann, m{"disk_format": "vmdk"}).ID, []byte("xxxx")), cloud.Invalid, "named vmdk")
	want(t, h.upload(h.image(ann, m{"disk_format": "vmdk"}).ID, []byte("# Disk DescriptorFile\n")), cloud.Invalid, "names others")
}

// regions are image services by region; "here" is this one.
type regions struct{ body string }

func (r regions) Endpoint(_ context.Context, region, _ string) (string, bool, error) {
	if region == "nowhere" {
		return "", false, cloud.E("catalog", cloud.NotFound, "no such region")
	}
	return "http://" + region, region == "here", nil
}

func (r regions) Open(_ context.Context, url, token, id string) (map[string]any, io.ReadCloser, int64, error) {
	if url != "http://there" || token != "token" || id == "" {
		return nil, nil, 0, cloud.E("there", cloud.Invalid, "asked %s with %q for %s", url, token, id)
	}
	said := m{"disk_format": "raw", "container_format": "bare", "os_distro": "afar", "speed": "88mph", "owner": "them"}
	return said, io.NopCloser(strings.NewReader(r.body)), int64(len(r.body)), nil
}

func fromGlance(region, id string) cloud.ImageTask {
	return cloud.ImageTask{Method: cloud.ImportGlanceDownload, Remote: &cloud.RemoteImage{ID: id, Region: region, Interface: "public"}}
}

func TestGlanceDownload(t *testing.T) {
	h := newHouse(t, image.Options{Elsewhere: regions{"from another glance"}})
	source := h.image(ann, m{"disk_format": "raw", "os_distro": "near", "speed": "1mph"})
	if err := h.Upload(ctx, ann, source.ID, strings.NewReader("of this glance"), 14); err != nil {
		t.Fatal(err)
	}
	bad := h.image(ann, nil)
	_, err := h.Import(ctx, ann, bad.ID, "token", fromGlance("here", "foo"))
	want(t, err, cloud.Invalid, "does not look like a UUID")
	for region, c := range map[string]struct {
		data, distro, message string
		status                cloud.ImageStatus
	}{
		"here": {"of this glance", "near", "", cloud.ImageActive}, "there": {"from another glance", "afar", "", cloud.ImageActive},
		"nowhere": {"", "mine", "no such region", cloud.ImageQueued},
	} {
		img := h.image(ann, m{"disk_format": "iso", "os_distro": "mine"})
		task, err := h.Import(ctx, ann, img.ID, "token", fromGlance(region, source.ID))
		if err != nil {
			t.Fatal(err)
		}
		task = h.step(task.ID)
		got := h.get(img.ID)
		if got.Status != c.status || got.Properties["os_distro"] != c.distro || got.Properties["speed"] != "" || got.ProjectID != ann.ProjectID {
			t.Errorf("%s: %+v; %s", region, got, task.Message)
		}
		if c.message != "" {
			if !strings.Contains(task.Message, c.message) || got.DiskFormat != "iso" {
				t.Errorf("%s: %s, %+v", region, task.Message, got)
			}
			continue
		}
		_, data, err := h.Download(ctx, ann, img.ID)
		if err != nil || got.DiskFormat != "raw" {
			t.Fatalf("%s: %+v, %v", region, got, err)
		}
		if read, _ := io.ReadAll(data); string(read) != c.data {
			t.Errorf("%s: %q", region, read)
		}
		_ = data.Close()
	}
	// The token is nowhere written down: after a restart the import has none.
	img := h.image(ann, nil)
	task, err := h.Import(ctx, ann, img.ID, "token", fromGlance("there", source.ID))
	if err != nil {
		t.Fatal(err)
	}
	h.Service = image.New(h.store, h.clock, h.blobs, image.Options{Elsewhere: regions{"x"}})
	if task = h.step(task.ID); task.Status != cloud.TaskFailure || !strings.Contains(task.Message, "ask for the import again") {
		t.Errorf("%+v", task)
	}
}
