package tarball

import (
	"archive/tar"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk"
)

const (
	xattrKey = "SCHILY.xattr."
	aclKey   = "SCHILY.acl."
	aclName  = "system.posix_acl_"
)

// Xattrs gives the extended attributes in a header, access control lists among them.
func Xattrs(h *tar.Header) (map[string][]byte, error) { return xattrs(h.PAXRecords) }

// xattrs takes extended attributes out of the records of a PAX header.
func xattrs(records map[string]string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for key, value := range records {
		if name, ok := strings.CutPrefix(key, xattrKey); ok {
			all[strings.NewReplacer("%3D", "=", "%25", "%").Replace(name)] = []byte(value) // as GNU tar
		}
	}
	for _, kind := range []string{"access", "default"} { // the text is the newer form, and wins
		text, ok := records[aclKey+kind]
		if !ok {
			continue
		}
		acl, err := parseACL(text)
		if err != nil {
			return nil, err
		}
		all[aclName+kind] = acl
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// Records makes of extended attributes the records of a PAX header.
func Records(x map[string][]byte) (map[string]string, error) {
	if len(x) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if kind, ok := strings.CutPrefix(name, aclName); ok {
			text, err := formatACL(x[name])
			if err != nil {
				return nil, err
			}
			all[aclKey+kind] = text
			continue
		}
		all[xattrKey+strings.NewReplacer("%", "%25", "=", "%3D").Replace(name)] = string(x[name])
	}
	return all, nil
}

// tags of access control lists, by their numbers in <linux/posix_acl_xattr.h>.
var tags = []struct {
	tag   uint16
	word  string
	named bool
}{{1, "user", false}, {2, "user", true}, {4, "group", false}, {8, "group", true}, {16, "mask", false}, {32, "other", false}}

// parseACL reads the text form of acl_to_text(3), with numbers for names or, as
// star writes it, after them. Names alone are Unsupported: this host's users are
// not the tree's.
func parseACL(text string) ([]byte, error) {
	le := binary.LittleEndian
	type entry struct {
		tag, perm uint16
		id        uint32
	}
	var list []entry
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		f := strings.Split(strings.TrimSpace(part), ":")
		if len(f) < 3 || len(f) > 4 {
			return nil, refuse("the access control list %.100q", text)
		}
		e := entry{id: 1<<32 - 1}
		for _, t := range tags {
			if (t.word == f[0] || t.word[:1] == f[0]) && t.named == (f[1] != "") {
				e.tag = t.tag
			}
		}
		if f[1] != "" {
			id, err := strconv.ParseUint(f[len(f)-1], 10, 32)
			if len(f) == 3 {
				id, err = strconv.ParseUint(f[1], 10, 32)
			}
			if err != nil {
				return nil, &disk.Error{Kind: disk.Unsupported, Op: "read archive", Reason: fmt.Sprintf("an access control list names %q: make the archive with --numeric-owner", f[1])}
			}
			e.id = uint32(id)
		}
		for _, c := range f[2] {
			switch c {
			case 'r':
				e.perm |= 4
			case 'w':
				e.perm |= 2
			case 'x':
				e.perm |= 1
			case '-':
			default:
				e.tag = 0
			}
		}
		if e.tag == 0 {
			return nil, refuse("the access control list %.100q", text)
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b entry) int { // as the kernel wants them
		if a.tag != b.tag {
			return int(a.tag) - int(b.tag)
		}
		return int(int64(a.id) - int64(b.id))
	})
	out := le.AppendUint32(nil, 2)
	for _, e := range list {
		out = le.AppendUint32(le.AppendUint16(le.AppendUint16(out, e.tag), e.perm), e.id)
	}
	return out, nil
}

// formatACL writes the text form, with numbers for names.
func formatACL(b []byte) (string, error) {
	le := binary.LittleEndian
	if len(b) < 4 || le.Uint32(b) != 2 || len(b)%8 != 4 {
		return "", refuse("a broken access control list")
	}
	var parts []string
	for b = b[4:]; len(b) > 0; b = b[8:] {
		tag, perm, id := le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:])
		word := ""
		for _, t := range tags {
			if t.tag != tag {
				continue
			}
			word = t.word + ":"
			if t.named {
				word += strconv.FormatUint(uint64(id), 10)
			}
		}
		if word == "" || perm > 7 {
			return "", refuse("a broken access control list")
		}
		rwx := []byte("rwx")
		for i := range rwx {
			if perm&(4>>i) == 0 {
				rwx[i] = '-'
			}
		}
		parts = append(parts, word+":"+string(rwx))
	}
	return strings.Join(parts, ","), nil
}
