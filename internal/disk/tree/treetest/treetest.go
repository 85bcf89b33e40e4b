// Package treetest has trees in memory for tests.
package treetest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk/tree"
)

// File is an entry with its content.
type File struct {
	tree.Entry
	Content string
}

// List is a tree in memory.
type List []File

// Walk implements [tree.Source].
func (l List) Walk(_ context.Context, visit tree.Visit) error {
	for _, x := range l {
		e := x.Entry
		var content io.Reader
		if e.Type() == tree.TypeFile && e.Same == "" {
			e.Size, content = int64(len(x.Content)), strings.NewReader(x.Content)
		}
		if err := visit(&e, content); err != nil {
			return err
		}
	}
	return nil
}

// ACL lets user 1000 read, in the form of getxattr(2).
const ACL = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"

// Capability is that of ping, in the form of getxattr(2).
const Capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Holes is a file of 300004 bytes, of which 4 are data.
func Holes() string {
	return strings.Repeat("\x00", 200000) + "data" + strings.Repeat("\x00", 100000)
}

// All has one of each kind of file, in order, with whatever a conversion could lose.
func All() List {
	at := time.Unix(1234567890, 123456789)
	long := strings.Repeat("long", 60)
	return List{
		{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir | 0o755, MTime: at}},
		{Entry: tree.Entry{Path: "/dev", Mode: tree.TypeDir | 0o755, MTime: at}},
		{Entry: tree.Entry{Path: "/dev/null", Mode: tree.TypeChar | 0o666, Major: 1, Minor: 3, MTime: at}},
		{Entry: tree.Entry{Path: "/dev/nvme", Mode: tree.TypeBlock | 0o660, Major: 259, Minor: 70000, GID: 6, MTime: at}},
		{Entry: tree.Entry{Path: "/etc", Mode: tree.TypeDir | 0o2750, UID: 70000, GID: 3000000000, MTime: at, Xattrs: map[string][]byte{"system.posix_acl_default": []byte(ACL)}}},
		{Entry: tree.Entry{Path: "/etc/file", Mode: tree.TypeFile | 0o644, MTime: time.Unix(5, 0), Xattrs: map[string][]byte{
			"system.posix_acl_access": []byte(ACL), "security.capability": []byte(Capability), "user.a=b%": []byte("x\x00y"), "user.empty": {}, "user.big": []byte(strings.Repeat("v", 700))}}, Content: "hello"},
		{Entry: tree.Entry{Path: "/etc/" + long, Mode: tree.TypeFile | 0o4755, MTime: at}},
		{Entry: tree.Entry{Path: "/etc/link", Mode: tree.TypeLink | 0o777, Link: "/" + strings.Repeat("far/", 50), UID: 5, MTime: at}},
		{Entry: tree.Entry{Path: "/etc/twin", Mode: tree.TypeFile | 0o644, Same: "/etc/file", MTime: time.Unix(5, 0)}},
		{Entry: tree.Entry{Path: "/holes", Mode: tree.TypeFile | 0o600, UID: 70000, MTime: at, Xattrs: map[string][]byte{"user.s": []byte("1")}, Stored: []tree.Stretch{{Offset: 200000, Length: 4}}}, Content: Holes()},
		{Entry: tree.Entry{Path: "/pipe", Mode: tree.TypeFIFO | 0o600, MTime: at}},
		{Entry: tree.Entry{Path: "/text", Mode: tree.TypeFile | 0o1644, MTime: at}, Content: strings.Repeat("hearth\n", 200000)},
		{Entry: tree.Entry{Path: "/ünï \n", Mode: tree.TypeFile | 0o600, MTime: time.Unix(-5, 250000)}, Content: "x"},
	}
}

// Manifest reads a tree.
func Manifest(t testing.TB, from tree.Source) *tree.Manifest {
	t.Helper()
	m, err := tree.NewManifest(context.Background(), from)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Equal holds two trees against each other.
func Equal(t testing.TB, what string, want, got *tree.Manifest) {
	t.Helper()
	if d := tree.Diff(want, got); len(d) > 0 {
		t.Errorf("%s:\n%s", what, strings.Join(d[:min(len(d), 20)], "\n"))
	}
}
