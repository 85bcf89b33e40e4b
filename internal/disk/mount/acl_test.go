package mount

import (
	"bytes"
	"testing"
)

// acl makes a list of tags and permissions, for the id 7.
func acl(pairs ...byte) []byte {
	b := []byte{2, 0, 0, 0}
	for i := 0; i < len(pairs); i += 2 {
		b = append(b, pairs[i], 0, pairs[i+1], 0, 7, 0, 0, 0)
	}
	return b
}

func TestAccessLists(t *testing.T) {
	for name, c := range map[string]struct {
		list  []byte
		mode  uint32
		all   bool
		chmod []byte // after mode 0712
	}{
		"of three":  {acl(1, 6, 4, 4, 0x20, 4), 0o644, true, acl(1, 7, 4, 1, 0x20, 2)},
		"of a user": {acl(1, 6, 2, 7, 4, 4, 0x10, 5, 0x20, 0), 0o650, false, acl(1, 7, 2, 7, 4, 4, 0x10, 1, 0x20, 2)},
	} {
		mode, all, errno := modeOf(c.list)
		if mode != c.mode || all != c.all || errno != 0 {
			t.Errorf("%s: %o, %v, %v", name, mode, all, errno)
		}
		if got := withMode(c.list, 0o712); !bytes.Equal(got, c.chmod) {
			t.Errorf("%s after chmod: %x, want %x", name, got, c.chmod)
		}
	}
	for _, bad := range [][]byte{nil, {2, 0, 0}, {1, 0, 0, 0}, acl(1, 6)[:10]} {
		if _, _, errno := modeOf(bad); errno == 0 {
			t.Errorf("%x is taken for a list", bad)
		}
		if got := withMode(bad, 0); !bytes.Equal(got, bad) {
			t.Errorf("%x became %x", bad, got)
		}
	}
}
