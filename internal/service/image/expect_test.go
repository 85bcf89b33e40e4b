package image_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

// TestExpectedBytes has the owner say the sums before the bytes come, by each way in.
func TestExpectedBytes(t *testing.T) {
	data := bytes.Repeat([]byte("disk"), 1<<16)
	short, long := sha256.Sum256(data), sha512.Sum512(data)
	bad := bytes.Clone(data)
	bad[70000] ^= 1
	for name, sum := range map[string]string{image.ExpectSHA256: strings.ToUpper(hex.EncodeToString(short[:])), image.ExpectSHA512: hex.EncodeToString(long[:])} {
		h := newHouse(t, image.Options{Source: serving(bad)})
		img := h.image(ann, m{name: sum})
		err := h.upload(img.ID, bad)
		want(t, err, cloud.Invalid, name)
		err = h.Stage(ctx, ann, img.ID, bytes.NewReader(bad))
		want(t, err, cloud.Invalid, name)
		if done := h.step(h.imports(img.ID, fromWeb()).ID); done.Status != cloud.TaskFailure || !strings.Contains(done.Message, name) {
			t.Errorf("%+v", done)
		}
		h.rest(0)
		if err := h.upload(img.ID, data); err != nil || h.get(img.ID).Status != cloud.ImageActive {
			t.Errorf("the right bytes: %v", err)
		}
	}
}

// mirrors serve by address; what is not there is an error.
type mirrors struct {
	bodies map[string]io.Reader
	asked  []string
}

func (w *mirrors) Check(uri string) error {
	if !strings.HasPrefix(uri, "http:") {
		return cloud.E("web", cloud.Invalid, "not of the web")
	}
	return nil
}

func (w *mirrors) Open(_ context.Context, uri string) (io.ReadCloser, int64, error) {
	w.asked = append(w.asked, uri)
	body, ok := w.bodies[uri]
	if !ok {
		return nil, 0, cloud.E("web", cloud.Invalid, "the server answers 503")
	}
	return io.NopCloser(body), -1, nil
}

func TestMirrors(t *testing.T) {
	data := bytes.Repeat([]byte("disk"), 1<<16)
	sum := sha512.Sum512(data)
	w := &mirrors{bodies: map[string]io.Reader{"http://b": io.MultiReader(bytes.NewReader(data[:100_000]), &reset{}), "http://c": bytes.NewReader(data[:1000]), "http://d": bytes.NewReader(data)}}
	h := newHouse(t, image.Options{Source: w})
	img := h.image(ann, m{image.ExpectSHA512: hex.EncodeToString(sum[:])})
	task := cloud.ImageTask{Method: cloud.ImportWebDownload, URI: "http://a", Mirrors: []string{"http://b", "http://c", "http://d", "http://e"}}
	if done := h.step(h.imports(img.ID, task).ID); done.Status != cloud.TaskSuccess {
		t.Errorf("%+v", done)
	}
	if !slices.Equal(w.asked, []string{"http://a", "http://b", "http://c", "http://d"}) || !bytes.Equal(h.blob(h.get(img.ID).Digest), data) {
		t.Errorf("asked %q", w.asked)
	}
	img = h.image(ann, nil)
	task.Mirrors = []string{"file:///etc/passwd"}
	_, err := h.Import(ctx, ann, img.ID, "", task)
	want(t, err, cloud.Invalid, "not of the web")
	task.Mirrors = []string{"http://f"}
	if done := h.step(h.imports(img.ID, task).ID); done.Status != cloud.TaskFailure || !strings.Contains(done.Message, "http://a: ") || !strings.Contains(done.Message, "http://f: ") {
		t.Errorf("%+v", done)
	}
	h.rest(1)
}
