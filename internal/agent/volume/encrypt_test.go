package volume

import (
	"bytes"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/luks"
	"hearth/internal/driver/storage/fake"
)

// TestEncrypt: a blank disk and one with something on it are LUKS under the key, and
// what was made in the clear for that is gone.
func TestEncrypt(t *testing.T) {
	for _, x := range []struct{ label, holds string }{{"", ""}, {"data", "what volume-v.seed holds"}} {
		b := &backed{Driver: fake.New(), over: map[string]string{}}
		m := New(b, nil, func() Guests { return &noGuests{} })
		spec := cloud.VolumeSpec{ID: "volume-v", SizeBytes: 8 << 20, Label: x.label, Key: "open sesame", KeyBits: 256}
		for range 2 {
			if status, err := m.Apply(t.Context(), spec); err != nil || status.SizeBytes != 8<<20 {
				t.Fatalf("%+v, %v", status, err)
			}
		}
		if len(b.wrote) != 1 {
			t.Fatalf("%d disks were written", len(b.wrote))
		}
		text := strings.TrimPrefix(b.wrote[0], "volume-v: ")
		if strings.Contains(text, "holds") {
			t.Error("it can be read")
		}
		disk, err := luks.Open(strings.NewReader(text), "open sesame")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 512)
		if _, err := disk.ReadAt(got, 0); x.holds != "" && (err != nil || string(bytes.TrimRight(got, "\x00")) != x.holds) {
			t.Errorf("it holds %q, %v", got, err)
		}
		if _, err := b.Driver.Disk(t.Context(), "volume-v.seed"); !cloud.Is(err, cloud.NotFound) {
			t.Errorf("what is in the clear is there: %v", err)
		}
	}
	m := New(fake.New(), nil, func() Guests { return &noGuests{} })
	if _, err := m.Apply(t.Context(), cloud.VolumeSpec{ID: "volume-v", SizeBytes: 1 << 20, Key: "x", KeyBits: 256}); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("smaller than its header: %v", err)
	}
}
