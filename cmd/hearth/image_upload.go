package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/disk/ova"
)

const (
	// partSize is how much of an image is sent at a time (bytes), in memory so that
	// it can be sent again.
	partSize = 16 << 20
	// partTries is how often a part is sent that does not get through.
	partTries = 6
	// uploadMark is the property of an image whose upload is not over: what of.
	uploadMark = "hearth_upload"
)

// uploader puts files into glance.
type uploader struct {
	ctx      context.Context
	glance   *gophercloud.ServiceClient
	progress io.Writer
}

// content is what an image is made of. at is nil of what can be read but once.
type content struct {
	name string
	size int64
	io.Reader
	at io.ReaderAt
}

// put makes an image of a file, or goes on with the upload of that file that broke
// off. One that the cloud refused leaves no image; one that broke off does.
func (u uploader) put(name, format, path string, properties map[string]string) (string, error) {
	f, size, err := openUpload(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	c := content{name: name, size: size, Reader: f, at: f}
	mark := markOf(c)
	id := u.begun(name, mark)
	if id == "" {
		marked := map[string]string{uploadMark: mark}
		for k, v := range properties {
			marked[k] = v
		}
		if ova.Is(f) {
			id, err = u.createIn("ova", name, format, marked)
		} else {
			id, err = u.create(name, format, marked)
		}
		if err != nil {
			return "", fmt.Errorf("cannot upload %s: %w", path, err)
		}
	}
	if err := u.send(id, c); err != nil {
		if over := (finalError{}); errors.As(err, &over) {
			_ = images.Delete(context.WithoutCancel(u.ctx), u.glance, id)
			return "", fmt.Errorf("cannot upload %s: %w", path, err)
		}
		return "", fmt.Errorf("the upload of %s to image %s broke off; the same command goes on with it: %w", path, id, err)
	}
	_, err = images.Update(u.ctx, u.glance, id, images.UpdateOpts{images.UpdateImageProperty{Op: images.RemoveOp, Name: uploadMark}}).Extract()
	return id, refusal(err)
}

// finalError is why an upload will not do better by being repeated.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// markOf tells a file from others: its size, its beginning and its end.
func markOf(c content) string {
	const most = 1 << 20
	sum := sha256.New()
	fmt.Fprintln(sum, c.size)
	_, _ = io.Copy(sum, io.NewSectionReader(c.at, 0, most))
	_, _ = io.Copy(sum, io.NewSectionReader(c.at, max(0, c.size-most), most))
	return hex.EncodeToString(sum.Sum(nil))
}

// begun is the image of the project that waits for the rest of a file; "" for none.
func (u uploader) begun(name, mark string) string {
	pages, err := images.List(u.glance, images.ListOpts{Name: name, Owner: u.own()}).AllPages(u.ctx)
	if err != nil {
		return ""
	}
	list, _ := images.ExtractImages(pages)
	for _, i := range list {
		waits := i.Status == images.ImageStatusQueued || i.Status == images.ImageStatusSaving // the head may not have noticed yet
		if waits && i.Properties[uploadMark] == mark {
			return i.ID
		}
	}
	return ""
}

// send gives an image its bytes: in parts, where the cloud takes such (see
// docs/adr/0105), and compares what arrived.
func (u uploader) send(id string, c content) error {
	came, parts := u.came(id)
	m := &meter{w: u.progress, name: c.name, total: c.size, from: came, done: came, began: time.Now()}
	sum := sha512.New()
	var err error
	if !parts || came == 0 && c.size <= partSize {
		err = u.sendWhole(id, c, sum, m)
	} else {
		err = u.sendParts(id, c, sum, m)
	}
	if err != nil {
		return err
	}
	m.end()
	image, err := images.Get(u.ctx, u.glance, id).Extract()
	if err != nil {
		return refusal(err)
	}
	algorithm, _ := image.Properties["os_hash_algo"].(string)
	value, _ := image.Properties["os_hash_value"].(string)
	if got := hex.EncodeToString(sum.Sum(nil)); algorithm == "sha512" && value != got {
		return finalError{fmt.Errorf("what arrived is not what was sent: its SHA-512 is %.16s…, that of the file %.16s…; was the file changed meanwhile?", value, got)}
	}
	return nil
}

// came is how many bytes of an image came so far; parts is whether the cloud takes
// an image in parts at all.
func (u uploader) came(id string) (n int64, parts bool) {
	resp, err := u.glance.Request(u.ctx, http.MethodGet, u.glance.ServiceURL("images", id, "file"), &gophercloud.RequestOpts{OkCodes: []int{http.StatusNoContent}})
	if err != nil {
		return 0, false
	}
	resp.Body.Close()
	n, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	return max(n, 0), err == nil
}

// sendWhole sends all in one request.
func (u uploader) sendWhole(id string, c content, sum hash.Hash, m *meter) error {
	m.Reader = io.TeeReader(io.LimitReader(c.Reader, c.size), sum)
	return judged(imagedata.Upload(u.ctx, u.glance, id, m).ExtractErr())
}

// sendParts sends what the cloud does not have yet.
func (u uploader) sendParts(id string, c content, sum hash.Hash, m *meter) error {
	if m.from > 0 {
		fmt.Fprintf(u.progress, "  %s: goes on at %d %%\n", c.name, 100*m.from/max(1, c.size))
	}
	if _, err := io.CopyN(sum, c.Reader, m.from); err != nil {
		return fmt.Errorf("cannot read what was sent already: %w", err)
	}
	buffer := make([]byte, partSize)
	for at := m.from; at < c.size; {
		part := buffer[:min(partSize, c.size-at)]
		if _, err := io.ReadFull(c.Reader, part); err != nil {
			return fmt.Errorf("cannot read on: %w", err)
		}
		sum.Write(part)
		if err := u.sendPart(id, part, at, c.size, m); err != nil {
			return err
		}
		at += int64(len(part))
	}
	return nil
}

// sendPart sends a part until the cloud has it: of one that broke off, the rest.
func (u uploader) sendPart(id string, part []byte, at, total int64, m *meter) (err error) {
	wait := 500 * time.Millisecond
	for try, sent := 0, int64(0); try < partTries; try++ {
		rest := part[sent:]
		if err = u.putPart(id, rest, at+sent, total, m); err == nil {
			return nil
		}
		if over := (finalError{}); errors.As(err, &over) {
			return err
		}
		select { // nothing tells when a network is back
		case <-u.ctx.Done():
			return cmp.Or(context.Cause(u.ctx), err)
		case <-time.After(wait):
			wait *= 2
		}
		image, failed := images.Get(u.ctx, u.glance, id).Extract()
		if failed != nil {
			continue
		}
		came, _ := u.came(id)
		switch {
		case image.Status == images.ImageStatusActive:
			return nil // the answer was lost, not the part
		case image.Status != images.ImageStatusQueued:
			continue // the head still waits for what broke off
		case came < at || came > at+int64(len(part)):
			return finalError{fmt.Errorf("%d bytes of the image came, but %d were sent: someone else uploads it", came, at+sent)}
		case came == at+int64(len(part)) && came < total:
			return nil
		}
		sent = came - at
	}
	return err
}

// putPart sends bytes as a part of an image. A token that ran out is renewed, and the
// part sent again: by a reader of its own, for a connection that was refused may still be
// reading the one before, and what it takes would be missing in the middle.
func (u uploader) putPart(id string, part []byte, at, total int64, m *meter) error {
	for try := 0; ; try++ {
		token := u.glance.Token()
		status, answer, err := u.putOnce(id, part, at, total, m)
		switch {
		case err != nil:
			return err
		case status == http.StatusAccepted || status == http.StatusNoContent:
			return nil
		case status == http.StatusUnauthorized && try < 2:
			if err := u.glance.Reauthenticate(u.ctx, token); err != nil {
				return judged(err)
			}
			continue
		}
		return judged(gophercloud.ErrUnexpectedResponseCode{
			URL: u.glance.ServiceURL("images", id, "file"), Method: http.MethodPut, Expected: []int{http.StatusAccepted, http.StatusNoContent}, Actual: status, Body: answer,
		})
	}
}

// putOnce sends a part, and gives the answer.
func (u uploader) putOnce(id string, part []byte, at, total int64, m *meter) (status int, answer []byte, err error) {
	m.done = at
	body := &counted{meter: m, Reader: bytes.NewReader(part)}
	defer body.over.Store(true)
	req, err := http.NewRequestWithContext(u.ctx, http.MethodPut, u.glance.ServiceURL("images", id, "file"), body)
	if err != nil {
		return 0, nil, err
	}
	req.ContentLength = int64(len(part))
	for name, value := range u.glance.AuthenticatedHeaders() {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, at+int64(len(part))-1, total))
	resp, err := u.glance.HTTPClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, answer, err
}

// judged tells an answer that refuses the image from what may pass.
func judged(err error) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.Actual {
	case http.StatusConflict, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return refusal(err)
	}
	if answer.Actual >= 500 || bytes.Contains(answer.Body, []byte("broke off")) {
		return refusal(err)
	}
	return finalError{refusal(err)}
}

// counted is a part that is counted as it is read, until it is answered.
type counted struct {
	meter *meter
	io.Reader
	over atomic.Bool
}

// Read counts what goes by.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if !c.over.Load() {
		c.meter.count(n)
	}
	return n, err
}

// meter shows how much of a file has gone, at what rate, and when it ends.
type meter struct {
	io.Reader
	w                 io.Writer
	name              string
	from, done, total int64
	began, told       time.Time
}

// Read counts what goes by.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.count(n)
	return n, err
}

func (m *meter) count(n int) {
	m.done += int64(n)
	now := time.Now()
	took := now.Sub(m.began)
	if now.Sub(m.told) < time.Second || took < time.Second || m.done <= m.from {
		return
	}
	m.told = now
	perSecond := float64(m.done-m.from) / took.Seconds()
	left := time.Duration(float64(m.total-m.done) / perSecond * float64(time.Second))
	fmt.Fprintf(m.w, "  %s: %d %%, %.1f MB/s, %s left\n", m.name, 100*m.done/max(1, m.total), perSecond/1e6, left.Round(time.Second))
}

func (m *meter) end() {
	took := time.Since(m.began)
	fmt.Fprintf(m.w, "  %s: %.1f MB in %s, %.1f MB/s\n", m.name, float64(m.done-m.from)/1e6, took.Round(10*time.Millisecond), float64(m.done-m.from)/1e6/max(took.Seconds(), 1e-3))
}
