package disktest

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
)

// Spoilt gives n copies of what a parser reads, each changed at one to four places as
// files break and as people break them: a bit, a number at one of its limits, a piece
// that is gone, doubled, or moved. They are the same each time, so that a fuzz target
// which adds them to its seeds is a short fuzzing of its own wherever its tests run.
func Spoilt(seed []byte, n int) [][]byte {
	r := rand.New(rand.NewPCG(uint64(len(seed)), uint64(n))) //nolint:gosec // nothing secret
	all := make([][]byte, 0, n)
	for range n {
		b := slices.Clone(seed)
		for range 1 + r.IntN(4) {
			b = spoil(r, b)
		}
		all = append(all, b)
	}
	return all
}

// AddSpoilt adds seeds to a fuzz target, and n spoilt copies of each, but for a run of
// go test -fuzz, which spoils them itself.
func AddSpoilt(f *testing.F, n int, seeds ...[]byte) {
	f.Helper()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		n = 0
	}
	for _, seed := range seeds {
		f.Add(seed)
		for _, b := range Spoilt(seed, n) {
			f.Add(b)
		}
	}
}

// limits are numbers that break sums and products.
func limits() []uint64 {
	return []uint64{0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<62 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}
}

func spoil(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(r.Uint32())}
	}
	at := place(r, b)
	size := 1 + r.IntN(min(len(b)-at, 64))
	switch r.IntN(8) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.Uint32())
	case 2, 3, 4:
		number(r, b[at:])
	case 5:
		return slices.Delete(b, at, at+size)
	case 6:
		return slices.Insert(b, at, slices.Clone(b[at:at+size])...)
	case 7:
		if r.IntN(4) == 0 {
			return b[:at]
		}
		copy(b[r.IntN(len(b)):], slices.Clone(b[at:at+size]))
	}
	return b
}

// place is where something is, mostly: an image is nearly all zeros.
func place(r *rand.Rand, b []byte) int {
	at := r.IntN(len(b))
	for range 64 {
		if b[at] != 0 || r.IntN(16) == 0 {
			break
		}
		at = r.IntN(len(b))
	}
	return at
}

// number writes one of the limits, of any width and order.
func number(r *rand.Rand, b []byte) {
	v := limits()[r.IntN(len(limits()))]
	var order binary.AppendByteOrder = binary.LittleEndian
	if r.IntN(2) == 0 {
		order = binary.BigEndian
	}
	switch r.IntN(4) {
	case 0:
		b[0] = byte(v)
	case 1:
		copy(b, order.AppendUint16(nil, uint16(v)))
	case 2:
		copy(b, order.AppendUint32(nil, uint32(v)))
	default:
		copy(b, order.AppendUint64(nil, v))
	}
}
