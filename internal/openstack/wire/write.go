package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"

	"hearth/internal/cloud"
)

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader sends the status.
func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (w *recorder) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// write sends a handler's answer.
func (v *visit) write(resp *Response) {
	if resp == nil {
		resp = NoContent()
	}
	h := v.w.Header()
	maps.Copy(h, canonical(resp.Header))
	status := resp.Status
	if status == 0 {
		status = http.StatusOK
	}
	if resp.Stream != nil {
		v.stream(status, resp.Stream)
		return
	}
	v.body(status, resp.Body)
}

// canonical spells header names as the map of net/http needs them.
func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		out[http.CanonicalHeaderKey(name)] = values
	}
	return out
}

// stream copies bytes. A failure in the middle breaks the connection off, so
// that the client notices.
func (v *visit) stream(status int, body io.ReadCloser) {
	defer body.Close()
	if v.w.Header().Get("Content-Type") == "" {
		v.w.Header().Set("Content-Type", "application/octet-stream")
	}
	v.w.WriteHeader(status)
	if v.req.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(v.w, body); err != nil {
		v.err = err
		panic(http.ErrAbortHandler)
	}
}

// body sends a JSON or raw body, or none.
func (v *visit) body(status int, body any) {
	h := v.w.Header()
	var out []byte
	switch b := body.(type) {
	case nil:
	case Raw:
		h.Set("Content-Type", b.Type)
		out = b.Bytes
	case Appender:
		buf := v.mux.bodies.Get().(*bytes.Buffer)
		buf.Reset()
		out = b.AppendJSON(buf.AvailableBuffer())
		defer v.mux.bodies.Put(bytes.NewBuffer(out)) // grown, for the next
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
	default:
		buf := v.mux.bodies.Get().(*bytes.Buffer)
		defer v.mux.bodies.Put(buf)
		buf.Reset()
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(body); err != nil {
			v.fault(cloud.E("wire.write", cloud.Internal, "the answer cannot be said in JSON: %w", err))
			return
		}
		out = bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
	}
	if status != http.StatusNoContent && status >= 200 {
		h.Set("Content-Length", strconv.Itoa(len(out)))
	}
	v.w.WriteHeader(status)
	if v.req.Method != http.MethodHead && len(out) > 0 {
		_, v.err = v.w.Write(out)
	}
}

// fault says an error in the API's way.
func (v *visit) fault(err error) {
	fault := v.req.API.Fault
	if fault == nil {
		fault = KeystoneFault
	}
	var token *tokenError
	if errors.As(err, &token) {
		fault = KeystoneFault // keystonemiddleware speaks for every service
	}
	status, body := fault(v.req, err)
	h := v.w.Header()
	h.Del("Content-Type")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Keystone uri="`+v.req.BaseURL+`"`)
	}
	v.body(status, body)
	v.err = err
}
