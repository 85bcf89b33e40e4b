package disktest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// GreedyXZ is an .xz file that asks for a dictionary of 4 GiB to be unpacked with: a copy of a
// modest one, with the properties of LZMA2 in its first block and the header's check sum
// changed. Source: the .xz file format 1.2.1, 3.1 and 5.3.1.
func GreedyXZ(modest []byte) []byte {
	const streamHeader = 12
	greedy := bytes.Clone(modest)
	header := greedy[streamHeader:]
	header = header[:(int(header[0])+1)*4]
	at := bytes.IndexByte(header[2:], 0x21) + 2 // the filter LZMA2: its id, one byte of properties, and that
	header[at+2] = 40                           // 4 GiB less one byte
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	return greedy
}
