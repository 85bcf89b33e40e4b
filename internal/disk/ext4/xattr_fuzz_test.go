package ext4

import (
	"encoding/binary"
	"testing"

	"hearth/internal/disk/disktest"
)

// FuzzXattrs reads blocks of extended attributes by themselves, as dumps have them.
func FuzzXattrs(f *testing.F) {
	b, err := EncodeXattrs(map[string][]byte{"user.x": []byte("value"), "security.capability": make([]byte, 20), "trusted.long": make([]byte, 900)}, 1024)
	if err != nil {
		f.Fatal(err)
	}
	elsewhere := append([]byte{}, b...) // a value in an inode, of which a dump has none
	binary.LittleEndian.PutUint32(elsewhere[32+4:], 12)
	disktest.AddSpoilt(f, 500, b, elsewhere, append([]byte{1, 0, 2, 0xea}, b[32:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := DecodeXattrs(b)
		if err != nil {
			return
		}
		for name, value := range all {
			if name == "" || len(value) > len(b)+maxXattr {
				t.Errorf("%q: %d bytes", name, len(value))
			}
		}
	})
}
