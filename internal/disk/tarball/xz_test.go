package tarball

import (
	"bytes"
	"io"
	"testing"

	"github.com/ulikunitz/xz"

	"hearth/internal/disk/disktest"
)

// TestGreedyXZ refuses a file of a hundred bytes that asks for 4 GiB to be unpacked with: in
// its only stream, or in one behind another, where few look.
func TestGreedyXZ(t *testing.T) {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("few words")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	modest := b.Bytes()
	greedy := disktest.GreedyXZ(modest)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{"modest": {modest, "few words"}, "two": {append(bytes.Clone(modest), modest...), "few wordsfew words"}, "greedy": {greedy, ""}, "second": {append(bytes.Clone(modest), greedy...), ""}} {
		r, err := Unpack(bytes.NewReader(c.file))
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if c.want == "" && err == nil || c.want != "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
