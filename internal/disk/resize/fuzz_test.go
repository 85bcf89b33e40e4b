package resize

import (
	"encoding/binary"
	"testing"

	"hearth/internal/disk/disktest"
)

// FuzzXFS reads superblocks: what is accepted lies within its place.
func FuzzXFS(f *testing.F) {
	b := make([]byte, 512)
	copy(b, "XFSB")
	be := binary.BigEndian
	be.PutUint32(b[4:], 4096)
	be.PutUint64(b[8:], 10000)
	be.PutUint64(b[48:], 5)
	be.PutUint32(b[96:], 100)
	be.PutUint16(b[100:], 0xb4a5)
	be.PutUint16(b[104:], 512)
	be.PutUint64(b[144:], 9000)
	const size = 10000 * 4096
	if x, err := readXFS(b, size); err != nil || x.used != 1000*4096 {
		f.Fatalf("%+v, %v", x, err)
	}
	disktest.AddSpoilt(f, 500, b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 512 {
			return // it is read whole
		}
		if x, err := readXFS(b, size); err == nil && (x.used < 0 || x.log < 0 || x.used > size || x.log > x.used) {
			t.Errorf("%+v of %d bytes", x, size)
		}
	})
}
