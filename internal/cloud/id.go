package cloud

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID makes a random UUID (RFC 9562, version 4) with dashes, as nova, glance
// and neutron write their ids.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// NewHexID makes a random UUID of 32 hexadecimal digits without dashes, as
// keystone writes its ids.
func NewHexID() string {
	s := NewID()
	return s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
}

// IsID tells whether s is a UUID with or without dashes, in either case.
func IsID(s string) bool {
	digits := 0
	for i, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			digits++
		case c == '-' && len(s) == 36 && (i == 8 || i == 13 || i == 18 || i == 23):
		default:
			return false
		}
	}
	return digits == 32 && (len(s) == 32 || len(s) == 36)
}
