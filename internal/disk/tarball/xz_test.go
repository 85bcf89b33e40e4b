package tarball

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestGreedyXZ refuses a file of a hundred bytes that asks for 4 GiB to be unpacked with: in
// its only stream, or in one behind another, where few look.
func TestGreedyXZ(t *testing.T) {
	const streamHeader = 12
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
	greedy := bytes.Clone(modest)
	header := greedy[streamHeader:]
	header = header[:(int(header[0])+1)*4]
	at := bytes.IndexByte(header[2:], 0x21) + 2 // the filter LZMA2: its id, one byte of properties, and that
	header[at+2] = 40                           // 4 GiB less one byte
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
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
