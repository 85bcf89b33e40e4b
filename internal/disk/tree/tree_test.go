package tree

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// list is a source in memory.
type list []struct {
	Entry
	content string
}

func (l list) Walk(_ context.Context, visit Visit) error {
	for _, x := range l {
		e := x.Entry
		var content io.Reader
		if e.Type() == TypeFile && e.Same == "" {
			if e.Size == 0 {
				e.Size = int64(len(x.content))
			}
			content = strings.NewReader(x.content)
		}
		if err := visit(&e, content); err != nil {
			return err
		}
	}
	return nil
}

func manifest(t *testing.T, from Source) *Manifest {
	t.Helper()
	m, err := NewManifest(context.Background(), from)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func small() list {
	at := time.Unix(1e9, 5)
	return list{
		{Entry: Entry{Path: "/", Mode: TypeDir | 0o755, MTime: at}},
		{Entry: Entry{Path: "/a b", Mode: TypeFile | 0o4755, UID: 7, MTime: at, Xattrs: map[string][]byte{"user.x": []byte("1")}}, content: "hello"},
		{Entry: Entry{Path: "/boot", Mode: TypeDir | 0o700, MTime: at}},
		{Entry: Entry{Path: "/boot/kernel", Mode: TypeFile | 0o600, MTime: at}, content: "k"},
		{Entry: Entry{Path: "/lost+found", Mode: TypeDir | 0o700, MTime: at}},
		{Entry: Entry{Path: "/null", Mode: TypeChar | 0o666, Major: 1, Minor: 3, MTime: at}},
		{Entry: Entry{Path: "/to", Mode: TypeLink | 0o777, Link: "a b", MTime: at}},
		{Entry: Entry{Path: "/twin", Same: "/a b"}},
	}
}

func TestManifest(t *testing.T) {
	var b bytes.Buffer
	m := manifest(t, small())
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `#mtree v2.0
. type=dir mode=0755 uid=0 gid=0 time=1000000000.000000005
./a\040b type=file mode=4755 uid=7 gid=0 size=5 sha256digest=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 nlink=2 group=./a\040b xattr.user.x=MQ== time=1000000000.000000005
./boot type=dir mode=0700 uid=0 gid=0 time=1000000000.000000005
./boot/kernel type=file mode=0600 uid=0 gid=0 size=1 sha256digest=8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a time=1000000000.000000005
./null type=char mode=0666 uid=0 gid=0 device=linux,1,3 time=1000000000.000000005
./to type=link mode=0777 uid=0 gid=0 link=a\040b time=1000000000.000000005
./twin type=file mode=4755 uid=7 gid=0 size=5 sha256digest=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 nlink=2 group=./a\040b xattr.user.x=MQ== time=1000000000.000000005
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestDiff changes one thing at a time, and each must be seen.
func TestDiff(t *testing.T) {
	a := manifest(t, small())
	if d := Diff(a, manifest(t, small())); len(d) > 0 {
		t.Errorf("equal trees differ: %q", d)
	}
	tests := []struct {
		want   string
		change func(l list) list
	}{
		{"mode=0755", func(l list) list { l[1].Mode = TypeFile | 0o755; return l }},
		{"uid=8", func(l list) list { l[1].UID = 8; return l }},
		{"gid=8", func(l list) list { l[3].GID = 8; return l }},
		{"sha256digest", func(l list) list { l[3].content = "K"; return l }},
		{"xattr.user.x=Mg==", func(l list) list { l[1].Xattrs = map[string][]byte{"user.x": []byte("2")}; return l }},
		{"xattr.user.x=MQ== is gone", func(l list) list { l[1].Xattrs = nil; return l }},
		{"linux,1,5", func(l list) list { l[5].Minor = 5; return l }},
		{"link=a", func(l list) list { l[6].Link = "a"; return l }},
		{"time=1000000001", func(l list) list { l[6].MTime = time.Unix(1e9+1, 0); return l }},
		{"- ./twin", func(l list) list { return l[:7] }},
		{"nlink=2 is gone", func(l list) list { l[7].Entry, l[7].content = l[1].Entry, "hello"; l[7].Path = "/twin"; return l }},
		{"+ ./more", func(l list) list {
			return append(l, list{{Entry: Entry{Path: "/more", Mode: TypeDir}}}...)
		}},
	}
	for _, tt := range tests {
		got := strings.Join(Diff(a, manifest(t, tt.change(small()))), "\n")
		if !strings.Contains(got, tt.want) {
			t.Errorf("want %q in %q", tt.want, got)
		}
	}
	whole := small()
	for i := range whole {
		whole[i].MTime = time.Unix(1e9, 0)
	}
	if d := Diff(a, manifest(t, whole)); len(d) > 0 {
		t.Errorf("whole seconds: %q", d)
	}
}

func TestPartsAndJoin(t *testing.T) {
	a := manifest(t, small())
	again := Join(Without(small(), "/boot"), "/boot", Under(small(), "/boot"))
	if d := Diff(a, manifest(t, again)); len(d) > 0 {
		t.Errorf("parted and joined: %q", d)
	}
	if m := manifest(t, Without(small(), "/boot")); m.Items["/boot"] == nil || m.Items["/boot/kernel"] != nil {
		t.Errorf("without /boot: %v", m.Items)
	}
	across := append(small(), list{{Entry: Entry{Path: "/boot/a", Same: "/a b"}}}...)
	if err := Without(across, "/boot").Walk(context.Background(), func(*Entry, io.Reader) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := NewManifest(context.Background(), Under(across, "/boot")); err == nil {
		t.Error("a hard link out of the part is taken")
	}
}

func TestCleanPath(t *testing.T) {
	for name, want := range map[string]string{"./a/b/": "/a/b", "a": "/a", "/": "/", "": "/", "a/../b": "/b", "../a": "", "a/../../b": "", "/..": "", "x\x00": ""} {
		if got, err := CleanPath(name); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
