package glance

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// downloadAs answers GET of a file with ?format=, which glance has not
// (docs/adr/0156): the image in another form. The checksum in Content-MD5 is of the
// bytes that are sent, where they are known before. By ETag and If-Range who asks for
// the rest is given the rest of the same, or all of the new.
func (h handlers) downloadAs(r *wire.Request, form string) (*wire.Response, error) {
	if forms := image.Forms(); !slices.Contains(forms, form) {
		return nil, cloud.E("glance.download", cloud.Invalid, "An image is not given as %.40q; 'format' is one of %s.", form, strings.Join(forms, ", "))
	}
	got, err := h.images.Converted(r.Context(), r.Caller, r.PathValue("image"), form)
	if err != nil {
		return nil, err
	}
	if got == nil {
		return wire.NoContent(), nil
	}
	tag := strconv.Quote(got.Tag)
	ranged := r.Header.Get("Range")
	if is := r.Header.Get("If-Range"); is != "" && is != tag {
		ranged = ""
	}
	part, partial, err := parseRange(ranged, got.Size)
	if err == nil {
		_, err = got.Seek(part.from, io.SeekStart)
	}
	if err != nil {
		got.Close()
		return nil, err
	}
	header := http.Header{
		"Content-Type": {octets}, "Content-Length": {strconv.FormatInt(part.length, 10)}, "Accept-Ranges": {"bytes"}, "Etag": {tag},
	}
	if partial {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.length-1, got.Size))
		return &wire.Response{Status: http.StatusPartialContent, Header: header, Stream: limited{io.LimitReader(got, part.length), got}}, nil
	}
	if got.MD5 != "" {
		header.Set("Content-MD5", got.MD5)
	}
	return &wire.Response{Header: header, Stream: got}, nil
}
