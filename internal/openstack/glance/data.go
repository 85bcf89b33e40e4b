package glance

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

const octets = "application/octet-stream"

// drainMost is how much of a refused upload is read and thrown away, so that the
// client, which reads the answer only when it has sent everything, gets to it.
const drainMost = 4 << 30

func (h handlers) upload(r *wire.Request) (*wire.Response, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != octets {
		return nil, cloud.E("glance.upload", cloud.MediaType, "The bytes of an image are sent as %s, not as %q.", octets, r.Header.Get("Content-Type"))
	}
	if r.Header.Get("Content-Range") != "" {
		return h.uploadPart(r)
	}
	err := h.images.Upload(r.Context(), r.Caller, r.PathValue("image"), r.Body, r.ContentLength)
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drainMost) // the answer is the error above
	}
	return done(err)
}

func (h handlers) download(r *wire.Request) (*wire.Response, error) {
	if q := r.URL.Query(); q.Has("format") {
		return h.downloadAs(r, q.Get("format"))
	}
	img, data, err := h.images.Download(r.Context(), r.Caller, r.PathValue("image"))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return h.nothingYet(img)
	}
	part, partial, err := parseRange(r.Header.Get("Range"), img.Size)
	if err == nil {
		_, err = data.Seek(part.from, io.SeekStart)
	}
	if err != nil {
		data.Close()
		return nil, err
	}
	header := http.Header{
		"Content-Type": {octets}, "Content-Length": {strconv.FormatInt(part.length, 10)}, "Accept-Ranges": {"bytes"},
	}
	if !partial {
		header.Set("Content-MD5", img.Checksum)
		return &wire.Response{Header: header, Stream: data}, nil
	}
	header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.length-1, img.Size))
	return &wire.Response{Status: http.StatusPartialContent, Header: header, Stream: limited{io.LimitReader(data, part.length), data}}, nil
}

// limited is a part of a stream.
type limited struct {
	io.Reader
	io.Closer
}

// span is a part of an image, in bytes.
type span struct{ from, length int64 }

// parseRange reads a Range header of one range (RFC 9110, 14.2). Of several, or
// of another unit, it takes no notice, as that allows; RangeInvalid for one
// outside of the image.
func parseRange(header string, size int64) (part span, partial bool, err error) {
	whole := span{0, size}
	text, ok := strings.CutPrefix(header, "bytes=")
	if !ok || strings.Contains(text, ",") {
		return whole, false, nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(text), "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || first == "" && err2 != nil || first != "" && (err1 != nil || last != "" && err2 != nil) || err1 == nil && from < 0:
		return whole, false, nil // not a range at all
	case first == "": // the last bytes
		from, to = max(0, size-to), size-1
	case last == "":
		to = size - 1
	}
	if from >= size || from > to || from < 0 {
		return whole, false, cloud.E("glance.download", cloud.RangeInvalid, "The range %s is outside of the image of %d bytes.", header, size)
	}
	to = min(to, size-1)
	return span{from, to - from + 1}, true, nil
}
