package image_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

// Whoever implements Blobs must spell its methods so.
var _ image.Blobs = (*blob.Store)(nil)

// house is a service with its parts.
type house struct {
	*image.Service
	t     *testing.T
	store *store.Store
	clock *cloud.FakeClock
	blobs image.Blobs
	dir   string
}

func newHouse(t *testing.T, opts image.Options) *house {
	t.Helper()
	st, err := store.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	dir := filepath.Join(t.TempDir(), "images")
	blobs, err := blob.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: st, clock: cloud.NewFakeClock(), blobs: blobs, dir: dir}
	h.Service = image.New(st, h.clock, blobs, opts)
	return h
}

// with gives a house whose service has other blobs.
func (h *house) with(blobs image.Blobs) *house {
	next := *h
	next.Service = image.New(h.store, h.clock, blobs, image.Options{})
	return &next
}

func member(project string) cloud.Caller {
	return cloud.Caller{ProjectID: project, Roles: []string{cloud.RoleMember, cloud.RoleReader}}
}

var (
	ann   = member("p1")
	bob   = member("p2")
	watch = cloud.Caller{ProjectID: "p1", Roles: []string{cloud.RoleReader}}
	admin = cloud.Caller{ProjectID: "ops", Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader}}
	ctx   = context.Background()
)

type m = map[string]any

// image makes an image of the attributes, raw and bare unless they say other.
func (h *house) image(caller cloud.Caller, attributes m) cloud.Image {
	h.t.Helper()
	all := m{"name": "x", "disk_format": "raw", "container_format": "bare"}
	for k, v := range attributes {
		all[k] = v
	}
	img, err := h.Create(ctx, caller, all)
	if err != nil {
		h.t.Fatal(err)
	}
	h.clock.Advance(time.Second)
	return img
}

func (h *house) upload(id string, data []byte) error {
	return h.Upload(ctx, ann, id, bytes.NewReader(data), int64(len(data)))
}

func (h *house) get(id string) cloud.Image {
	h.t.Helper()
	img, err := h.Get(ctx, admin, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return img
}

// rest wants nothing staged and as many blobs as said.
func (h *house) rest(blobs int) {
	h.t.Helper()
	kept, _ := filepath.Glob(h.dir + "/sha512/*")
	staged, _ := filepath.Glob(h.dir + "/staged/*")
	if len(kept) != blobs || len(staged) != 0 {
		h.t.Errorf("kept %q, staged %q; want %d blobs and nothing staged", kept, staged, blobs)
	}
}

func want(t *testing.T, err error, kind cloud.Kind, says string) {
	t.Helper()
	if !cloud.Is(err, kind) || !strings.Contains(cloud.Message(err), says) {
		t.Errorf("got %v (%v), want %v: %s", err, cloud.KindOf(err), kind, says)
	}
}

// qcow2 is a small valid image: a header, an L1 table and a reference count
// table, in clusters of 64 KiB.
func qcow2(change func(b []byte)) []byte {
	b := make([]byte, 4<<16)
	copy(b, "QFI\xfb")
	put32 := func(at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.BigEndian.PutUint64(b[at:], v) }
	put32(4, 3)
	put32(20, 16)
	put64(24, 10<<20)
	put32(36, 1)
	put64(40, 1<<16)
	put64(48, 2<<16)
	put32(56, 1)
	put32(96, 4)
	put32(100, 104)
	if change != nil {
		change(b)
	}
	return b
}

func TestUpload(t *testing.T) {
	h := newHouse(t, image.Options{})
	for name, c := range map[string]struct {
		data    []byte
		format  string
		virtual int64
	}{
		"one byte":     {[]byte("x"), "raw", 1},
		"zeros":        {make([]byte, 3<<20), "raw", 3 << 20},
		"many blocks":  {bytes.Repeat([]byte("0123456789abcde"), 700_000), "ami", 10_500_000},
		"block border": {bytes.Repeat([]byte("x"), 512<<10), "raw", 512 << 10},
		"qcow2":        {qcow2(nil), "qcow2", 10 << 20},
	} {
		for _, length := range []int64{int64(len(c.data)), -1} {
			img := h.image(ann, m{"disk_format": c.format})
			if err := h.Upload(ctx, ann, img.ID, bytes.NewReader(c.data), length); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			md, s512 := md5.Sum(c.data), sha512.Sum512(c.data)
			got := h.get(img.ID)
			if got.Status != cloud.ImageActive || got.UploadID != "" || got.Size != int64(len(c.data)) || got.VirtualSize != c.virtual ||
				got.Checksum != hex.EncodeToString(md[:]) || got.HashAlgo != "sha512" || got.HashValue != hex.EncodeToString(s512[:]) || got.Digest != "sha512:"+hex.EncodeToString(s512[:]) {
				t.Errorf("%s: %+v", name, got)
			}
			_, r, err := h.Download(ctx, ann, img.ID)
			if err != nil {
				t.Fatal(err)
			}
			back, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(back, c.data) {
				t.Errorf("%s: others came back, %v", name, err)
			}
		}
	}
	h.rest(5)
}

func TestRefusedBytes(t *testing.T) {
	h := newHouse(t, image.Options{MaxSize: 1 << 20, MaxVirtualSize: 1 << 30})
	for name, c := range map[string]struct {
		data   []byte
		format string
		kind   cloud.Kind
		says   string
	}{
		"raw called qcow2":  {[]byte("just bytes"), "qcow2", cloud.Invalid, "the image was named qcow2, but its bytes are"},
		"qcow2 called raw":  {qcow2(nil), "raw", cloud.Invalid, "named raw, but its bytes are qcow2"},
		"qcow2 called ami":  {qcow2(nil), "ami", cloud.Invalid, "but its bytes are qcow2"},
		"backing file":      {qcow2(func(b []byte) { b[15], b[19] = 104, 4 }), "qcow2", cloud.Invalid, "backing file"},
		"data file":         {qcow2(func(b []byte) { b[79] = 4 }), "qcow2", cloud.Invalid, "external file"},
		"bomb":              {qcow2(func(b []byte) { b[24] = 0x10 }), "qcow2", cloud.Invalid, "limit"},
		"large disk":        {qcow2(func(b []byte) { b[27] = 1; b[38] = 1 }), "qcow2", cloud.Invalid, "limit is 1073741824"},
		"broken header":     {qcow2(func(b []byte) { b[23] = 40 }), "qcow2", cloud.Invalid, "cluster size"},
		"cut short":         {qcow2(nil)[:70_000], "qcow2", cloud.Invalid, "outside of the file"},
		"only a beginning":  {qcow2(nil)[:20], "qcow2", cloud.Invalid, "cut short"},
		"kernel as ramdisk": {append(make([]byte, 0x202), "HdrS rest"...), "ari", cloud.Invalid, "a Linux kernel"},
		"nothing":           {nil, "qcow2", cloud.Invalid, "no bytes"},
		"too many":          {make([]byte, 1<<20+1), "raw", cloud.TooLarge, "1048576"},
	} {
		for _, length := range []int64{int64(len(c.data)), -1} {
			img := h.image(ann, m{"disk_format": c.format})
			err := h.Upload(ctx, ann, img.ID, bytes.NewReader(c.data), length)
			if !cloud.Is(err, c.kind) || !strings.Contains(cloud.Message(err), c.says) {
				t.Errorf("%s (length %d): got %v, want %v: %s", name, length, err, c.kind, c.says)
			}
			if got := h.get(img.ID); got.Status != cloud.ImageQueued || got.UploadID != "" || got.Digest != "" || got.Size != -1 {
				t.Errorf("%s: left %+v", name, got)
			}
		}
	}
	h.rest(0)
}

// broken fails after its bytes, as a dropped connection does.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestDroppedUploadCanBeRepeated(t *testing.T) {
	h := newHouse(t, image.Options{})
	data := bytes.Repeat([]byte("data"), 1<<20)
	img := h.image(ann, nil)
	for _, n := range []int{0, 10, 100_000, 256 << 10, 3 << 20} {
		err := h.Upload(ctx, ann, img.ID, broken{bytes.NewReader(data[:n]), io.ErrUnexpectedEOF}, int64(len(data)))
		want(t, err, cloud.Invalid, "broke off")
		if got := h.get(img.ID); got.Status != cloud.ImageQueued || got.UploadID != "" {
			t.Errorf("after %d bytes: %+v", n, got)
		}
		h.rest(0)
	}
	gone, cancel := context.WithCancel(ctx)
	err := h.Upload(gone, ann, img.ID, readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), -1)
	if err == nil || h.get(img.ID).Status != cloud.ImageQueued {
		t.Errorf("cancelled: %v, %+v", err, h.get(img.ID))
	}
	h.rest(0)
	if err := h.upload(img.ID, data); err != nil {
		t.Error(err)
	}
	h.rest(1)
	want(t, h.upload(img.ID, data), cloud.Conflict, "from active to saving")
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestDeletedDuringUpload(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	deleted := false
	body := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), readerFunc(func([]byte) (int, error) {
		if !deleted {
			deleted = true
			if got := h.get(img.ID); got.Status != cloud.ImageSaving {
				t.Errorf("meanwhile: %+v", got)
			}
			if err := h.Delete(ctx, ann, img.ID); err != nil {
				t.Error(err)
			}
		}
		return 0, io.EOF
	}))
	want(t, h.Upload(ctx, ann, img.ID, body, -1), cloud.Gone, "deleted during the upload")
	h.rest(0)
}

func TestSecondUploadMeanwhile(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	body := io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), readerFunc(func([]byte) (int, error) {
		want(t, h.upload(img.ID, []byte("y")), cloud.Conflict, "from saving to saving")
		return 0, io.EOF
	}))
	if err := h.Upload(ctx, ann, img.ID, body, -1); err != nil {
		t.Error(err)
	}
}

// full is a store of blobs whose disk is full after some bytes.
type full struct {
	image.Blobs
	room int
}

type fullStage struct {
	image.Stage
	blobs *full
}

func (f *full) Stage(ctx context.Context) (image.Stage, error) {
	s, err := f.Blobs.Stage(ctx)
	return fullStage{s, f}, err
}

func (s fullStage) Write(p []byte) (int, error) {
	if s.blobs.room -= len(p); s.blobs.room < 0 {
		return 0, cloud.E("blob.Write", cloud.TooLarge, "Image storage media is full.")
	}
	return s.Stage.Write(p)
}

func TestFullDisk(t *testing.T) {
	h := newHouse(t, image.Options{})
	h = h.with(&full{h.blobs, 2 << 20})
	img := h.image(ann, nil)
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	want(t, h.Upload(ctx, ann, img.ID, endless, -1), cloud.TooLarge, "Image storage media is full")
	if got := h.get(img.ID); got.Status != cloud.ImageQueued {
		t.Errorf("left %+v", got)
	}
	h.rest(0)
}

func TestSameBytesAreKeptOnce(t *testing.T) {
	h := newHouse(t, image.Options{})
	one, two := h.image(ann, nil), h.image(ann, nil)
	for _, img := range []cloud.Image{one, two} {
		if err := h.upload(img.ID, []byte("same")); err != nil {
			t.Fatal(err)
		}
	}
	h.rest(1)
	if err := h.Delete(ctx, ann, one.ID); err != nil {
		t.Error(err)
	}
	h.rest(1)
	if err := h.Delete(ctx, ann, two.ID); err != nil {
		t.Error(err)
	}
	h.rest(0)
}

// TestRecover finds what a killed process leaves: a row in state saving, half an
// upload, and whole bytes without a row.
func TestRecover(t *testing.T) {
	h := newHouse(t, image.Options{})
	kept, lost := h.image(ann, nil), h.image(ann, nil)
	if err := h.upload(kept.ID, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	for _, whole := range []bool{false, true} {
		s, err := h.blobs.Stage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Write([]byte("lost"))
		if whole {
			sum := sha512.Sum512([]byte("lost"))
			err = errors.Join(err, s.Seal(), s.Keep("sha512:"+hex.EncodeToString(sum[:])))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := h.store.Update(ctx, func(tx *store.Tx) error {
		lost.Status, lost.UploadID = cloud.ImageSaving, "of the dead"
		return tx.Images.Update(lost)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Recover(ctx); err != nil {
			t.Fatal(err)
		}
		h.rest(1)
	}
	if got := h.get(lost.ID); got.Status != cloud.ImageQueued || got.UploadID != "" {
		t.Errorf("left %+v", got)
	}
	if err := h.upload(lost.ID, []byte("again")); err != nil {
		t.Error(err)
	}
}

func TestDeactivated(t *testing.T) {
	h := newHouse(t, image.Options{})
	img := h.image(ann, nil)
	want(t, h.Deactivate(ctx, ann, img.ID), cloud.Forbidden, "Not allowed to deactivate image in status 'queued'")
	if _, r, err := h.Download(ctx, ann, img.ID); r != nil || err != nil {
		t.Errorf("bytes of a queued image: %v, %v", r, err)
	}
	if err := h.upload(img.ID, []byte("x")); err != nil {
		t.Fatal(err)
	}
	want(t, h.Deactivate(ctx, watch, img.ID), cloud.Forbidden, "deactivate")
	if err := h.Deactivate(ctx, ann, img.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.Download(ctx, ann, img.ID)
	want(t, err, cloud.Forbidden, "has been deactivated")
	_, r, err := h.Download(ctx, admin, img.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := h.Reactivate(ctx, ann, img.ID); err != nil || h.get(img.ID).Status != cloud.ImageActive {
		t.Errorf("%v: %+v", err, h.get(img.ID))
	}
}
