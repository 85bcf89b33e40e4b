// Package storagetest is the suite that every storage driver passes.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// T is what a case asks of those who run it; *testing.T has it.
type T interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
}

// Case is one of the suite.
type Case struct {
	Name string
	Run  func(T, storage.Driver)
}

// Cases are the suite. Each is given a driver that has no disks and no images.
func Cases() []Case {
	return []Case{
		{"an image is fetched once", fetchedOnce},
		{"an image is fetched once by many", fetchedOnceByMany},
		{"wrong bytes are refused", wrongBytes},
		{"a broken transfer leaves nothing", brokenTransfer},
		{"kernels keep their format", kernels},
		{"formats that cannot be booted", unknownFormat},
		{"a disk has the size asked for", cloneSize},
		{"cloning twice gives the same disk", cloneTwice},
		{"a disk smaller than its image", cloneTooSmall},
		{"blank disks", blankDisks},
		{"a config drive", configDrive},
		{"disks are listed and removed", listing},
		{"an image in use is kept", imageInUse},
		{"names that lead elsewhere are refused", badNames},
		{"a call with an ended context", endedContext},
		{"usage", usage},
		{"a copy is a disk of its own", copies},
		{"a copy may be larger, not smaller", copySizes},
		{"a disk grows and never shrinks", growth},
		{"a disk is read whole", reading},
		{"a disk is written whole", writing},
		{"a failed write leaves what was", brokenWrite},
		{"a disk goes back to a copy", reverting},
		{"a disk takes another name", adopting},
	}
}

// Runner runs a case under its name, and gives it what it asks for: *testing.T.
type Runner[X T] interface {
	T
	Run(name string, test func(X)) bool
}

// Run puts a driver through the suite; open gives a fresh one.
func Run[X Runner[X]](t X, open func(X) storage.Driver) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t X) { c.Run(t, open(t)) })
	}
}

// Content makes n bytes that differ by seed, with a hole in them.
func Content(seed string, n int) []byte {
	b := bytes.Repeat([]byte(seed), n/len(seed)+1)[:n]
	clear(b[n/4 : n/2])
	return b
}

// Ref describes bytes as a raw image.
func Ref(data []byte) cloud.ImageRef {
	sum := sha512.Sum512(data)
	return cloud.ImageRef{ID: cloud.NewID(), Digest: "sha512:" + hex.EncodeToString(sum[:]), Format: "raw", Size: int64(len(data)), VirtualSize: int64(len(data))}
}

// Opener gives the bytes and counts how often.
func Opener(data []byte, count *atomic.Int32) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		count.Add(1)
		return io.NopCloser(bytes.NewReader(data)), nil
	}
}

const mib = 1 << 20

// ensure brings an image of size bytes into the cache.
func ensure(t T, d storage.Driver, seed string, size int) storage.Image {
	t.Helper()
	var n atomic.Int32
	data := Content(seed, size)
	img, err := d.EnsureImage(t.Context(), Ref(data), "", Opener(data, &n))
	if err != nil {
		t.Fatalf("EnsureImage: %v", err)
	}
	return img
}

func wantKind(t T, err error, kind cloud.Kind) {
	t.Helper()
	if !cloud.Is(err, kind) {
		t.Fatalf("got %v (%v), want an error that is %v", err, cloud.KindOf(err), kind)
	}
}

func fetchedOnce(t T, d storage.Driver) {
	var n atomic.Int32
	data := Content("ember", mib)
	ref := Ref(data)
	for range 2 {
		img, err := d.EnsureImage(t.Context(), ref, "", Opener(data, &n))
		if err != nil {
			t.Fatal(err)
		}
		if img.Digest != ref.Digest || img.Format != "raw" || img.VirtualSize != mib || img.Path == "" {
			t.Fatalf("got %+v", img)
		}
	}
	if n.Load() != 1 {
		t.Errorf("the bytes were opened %d times", n.Load())
	}
	if list, err := d.Images(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("Images: %v, %v", list, err)
	}
}

func fetchedOnceByMany(t T, d storage.Driver) {
	data := Content("many", mib)
	ref := Ref(data)
	var group sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		group.Go(func() {
			var n atomic.Int32
			_, err := d.EnsureImage(t.Context(), ref, "", Opener(data, &n))
			errs <- err
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if list, err := d.Images(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("Images: %v, %v", list, err)
	}
}

func wrongBytes(t T, d storage.Driver) {
	var n atomic.Int32
	ref := Ref(Content("right", mib))
	_, err := d.EnsureImage(t.Context(), ref, "", Opener(Content("wrong", mib), &n))
	wantKind(t, err, cloud.Unavailable)
	if list, _ := d.Images(t.Context()); len(list) != 0 {
		t.Errorf("an image was kept: %+v", list)
	}
}

func brokenTransfer(t T, d storage.Driver) {
	data := Content("broken", mib)
	_, err := d.EnsureImage(t.Context(), Ref(data), "", func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:mib/2]), failing{})), nil
	})
	wantKind(t, err, cloud.Unavailable)
	_, err = d.EnsureImage(t.Context(), Ref(data), "", func() (io.ReadCloser, error) {
		return nil, cloud.E("images.Open", cloud.NotFound, "the image is gone")
	})
	wantKind(t, err, cloud.NotFound)
	var n atomic.Int32
	if _, err := d.EnsureImage(t.Context(), Ref(data), "", Opener(data, &n)); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line is cut") }

func kernels(t T, d storage.Driver) {
	for _, format := range []string{"aki", "ari", "iso"} {
		var n atomic.Int32
		data := Content(format, mib/2)
		ref := Ref(data)
		ref.Format = format
		if img, err := d.EnsureImage(t.Context(), ref, "", Opener(data, &n)); err != nil || img.Format != format {
			t.Errorf("%s: %+v, %v", format, img, err)
		}
	}
}

func unknownFormat(t T, d storage.Driver) {
	var n atomic.Int32
	data := Content("ploop", mib)
	ref := Ref(data)
	ref.Format = "ploop"
	_, err := d.EnsureImage(t.Context(), ref, "", Opener(data, &n))
	wantKind(t, err, cloud.Unsupported)
}

func cloneSize(t T, d storage.Driver) {
	img := ensure(t, d, "size", mib)
	for _, c := range []struct{ asked, want int64 }{{0, mib}, {mib, mib}, {5*mib + 1, 5*mib + 512}} {
		id := fmt.Sprintf("disk-%d", c.asked)
		disk, err := d.CloneDisk(t.Context(), id, img, c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if disk.ID != id || disk.Size != c.want || disk.Path == "" || (disk.Format != "raw" && disk.Format != "qcow2") {
			t.Errorf("asked for %d: %+v", c.asked, disk)
		}
		if again, err := d.Disk(t.Context(), id); err != nil || again != disk {
			t.Errorf("Disk: %+v, %v; was made as %+v", again, err, disk)
		}
	}
}

func cloneTwice(t T, d storage.Driver) {
	img := ensure(t, d, "twice", mib)
	first, err := d.CloneDisk(t.Context(), "a", img, 2*mib)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.CloneDisk(t.Context(), "a", img, 2*mib); err != nil || again != first {
		t.Errorf("%+v, %v; first %+v", again, err, first)
	}
}

func cloneTooSmall(t T, d storage.Driver) {
	_, err := d.CloneDisk(t.Context(), "small", ensure(t, d, "large", 2*mib), mib)
	wantKind(t, err, cloud.Invalid)
	_, err = d.Disk(t.Context(), "small")
	wantKind(t, err, cloud.NotFound)
}

func blankDisks(t T, d storage.Driver) {
	for _, label := range []string{"", "ephemeral0", "swap"} {
		disk, err := d.BlankDisk(t.Context(), "blank"+label, 8*mib, label)
		if err != nil || disk.Size != 8*mib || disk.Format != "raw" {
			t.Errorf("%q: %+v, %v", label, disk, err)
		}
	}
	_, err := d.BlankDisk(t.Context(), "none", 0, "")
	wantKind(t, err, cloud.Invalid)
}

func configDrive(t T, d storage.Driver) {
	files := map[string][]byte{"openstack/latest/meta_data.json": []byte("{}"), "openstack/latest/user_data": []byte("#!/bin/sh\n")}
	disk, err := d.ConfigDrive(t.Context(), "config", files)
	if err != nil || disk.Format != "raw" || disk.Size == 0 {
		t.Fatalf("%+v, %v", disk, err)
	}
	if again, err := d.ConfigDrive(t.Context(), "config", files); err != nil || again != disk {
		t.Errorf("%+v, %v", again, err)
	}
}

func listing(t T, d storage.Driver) {
	for _, id := range []string{"b", "a", "c"} {
		if _, err := d.BlankDisk(t.Context(), id, mib, ""); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // removing what is gone is no error
		if err := d.RemoveDisk(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.Disks(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != "a" || list[1].ID != "c" {
		t.Errorf("%+v, %v", list, err)
	}
}

func imageInUse(t T, d storage.Driver) {
	img := ensure(t, d, "used", mib)
	disk, err := d.CloneDisk(t.Context(), "user", img, 2*mib)
	if err != nil {
		t.Fatal(err)
	}
	if disk.Backing != "" { // a clone by shared blocks needs no image
		wantKind(t, d.RemoveImage(t.Context(), img.Digest), cloud.Conflict)
	}
	if err := d.RemoveDisk(t.Context(), "user"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.RemoveImage(t.Context(), img.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if list, _ := d.Images(t.Context()); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
	_, err = d.CloneDisk(t.Context(), "late", img, 2*mib)
	wantKind(t, err, cloud.Unavailable)
}

func badNames(t T, d storage.Driver) {
	img := ensure(t, d, "names", mib)
	for _, id := range []string{"", "..", "../x", "a/b", ".hidden", "a\x00b"} {
		_, err := d.CloneDisk(t.Context(), id, img, 0)
		wantKind(t, err, cloud.Invalid)
		_, err = d.BlankDisk(t.Context(), id, mib, "")
		wantKind(t, err, cloud.Invalid)
		wantKind(t, d.RemoveDisk(t.Context(), id), cloud.Invalid)
	}
	for _, digest := range []string{"", "sha512:..", "md5:0", "sha512:" + "/../../../../../../../../etc/passwd"} {
		_, err := d.EnsureImage(t.Context(), cloud.ImageRef{Digest: digest, Format: "raw"}, "/etc/passwd", nil)
		wantKind(t, err, cloud.Invalid)
		wantKind(t, d.RemoveImage(t.Context(), digest), cloud.Invalid)
	}
}

func endedContext(t T, d storage.Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var n atomic.Int32
	data := Content("late", mib)
	_, err := d.EnsureImage(ctx, Ref(data), "", Opener(data, &n))
	wantKind(t, err, cloud.Unavailable)
	if list, _ := d.Images(t.Context()); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
}

func usage(t T, d storage.Driver) {
	total, free, err := d.Usage(t.Context())
	if err != nil || total <= 0 || free < 0 || free > total {
		t.Errorf("total %d, free %d, %v", total, free, err)
	}
}
