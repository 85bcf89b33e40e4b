package glance

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// Uploads in parts, which glance has not (docs/adr/0105): PUT of a file with the
// header Content-Range (RFC 9110, 14.5) is a part. All but the last are answered
// with 202 and, in Upload-Offset, how many bytes came. The same header is in the
// answer to GET of the file of an image that waits for its bytes, by which a client
// knows that there are parts here, and where to go on. Clients that send no
// Content-Range see glance.

const uploadOffset = "Upload-Offset"

func (h handlers) uploadPart(r *wire.Request) (*wire.Response, error) {
	span, err := parseContentRange(r.Header.Get("Content-Range"))
	if err == nil && r.ContentLength >= 0 && r.ContentLength != span.Length {
		err = badPart("A part of %d bytes came with a body of %d.", span.Length, r.ContentLength)
	}
	var came int64
	if err == nil {
		came, err = h.images.UploadPart(r.Context(), r.Caller, r.PathValue("image"), span, r.Body)
	}
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drainMost) // the answer is the error above
		return nil, err
	}
	if came < span.Total {
		return &wire.Response{Status: http.StatusAccepted, Header: http.Header{uploadOffset: {strconv.FormatInt(came, 10)}}}, nil
	}
	return wire.NoContent(), nil
}

// nothingYet is the answer for the file of an image that has none.
func (h handlers) nothingYet(img cloud.Image) (*wire.Response, error) {
	r := wire.NoContent()
	came, ok, err := h.images.Came(img)
	if ok {
		r.Header = http.Header{uploadOffset: {strconv.FormatInt(came, 10)}}
	}
	return r, err
}

func badPart(format string, args ...any) error {
	return cloud.E("glance.upload", cloud.Invalid, format, args...)
}

// parseContentRange reads "bytes FIRST-LAST/TOTAL".
func parseContentRange(header string) (image.Span, error) {
	text, unit := strings.CutPrefix(header, "bytes ")
	places, total, ok := strings.Cut(text, "/")
	first, last, both := strings.Cut(places, "-")
	var n [3]int64
	good := unit && ok && both
	for i, text := range []string{first, last, total} {
		v, err := strconv.ParseUint(text, 10, 62) // no signs, and no sum of two overflows
		n[i], good = int64(v), good && err == nil
	}
	if !good || n[1] < n[0] || n[1] >= n[2] {
		return image.Span{}, badPart("The header Content-Range of a part is %q; it must be like 'bytes 0-1023/4096'.", header)
	}
	return image.Span{From: n[0], Length: n[1] - n[0] + 1, Total: n[2]}, nil
}
