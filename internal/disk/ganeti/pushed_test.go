package ganeti

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
	"hearth/internal/disk/tree"
)

// folderWith has files by their names; those that begin with #! can be run, those that
// begin with "-> " are links.
func folderWith(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at, mode := filepath.Join(dir, name), os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(to, at))
		} else {
			err = errors.Join(err, os.WriteFile(at, []byte(text), mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPushed describes, packs and unpacks a definition as Debian lays it out, and runs
// its create where it sees nothing else of the host.
func TestPushed(t *testing.T) {
	outside := folderWith(t, map[string]string{"variants.list": "bookworm\ntrixie\n", "secret": "kept\n"})
	create := "#!/bin/sh -e\n. ./common.sh\n[ $OS_VARIANT-$OSP_SUITE-$NIC_0_IP = trixie-sid-10.0.0.9 ]\ncat \"" + outside + "/secret\" 2>/dev/null && echo READ IT\ngreet > \"$DISK_0_PATH\"\n"
	dir := folderWith(t, map[string]string{"ganeti_api_version": "20\n15\n", "create": create, "verify": "-> create", "common.sh": "greet() { cat data/deep/greeting; }\n", "data/deep/greeting": "hello\n",
		"variants.list": "-> " + outside + "/variants.list", "parameters.list": "suite\tThe suite, such as sid\nmirror\n", "data/up": "-> ../common.sh"})
	f, err := Describe(dir)
	if err != nil || !slices.Equal(f.Variants, []string{"bookworm", "trixie"}) || !slices.Equal(f.Scripts, []string{"create", "verify"}) || len(f.Parameters) != 2 || f.Parameters[0].Name != "suite" || f.Parameters[0].Text != "The suite, such as sid" {
		t.Fatalf("%+v, %v", f, err)
	}
	ctx := context.Background()
	var once, twice bytes.Buffer
	if err := errors.Join(Pack(ctx, &once, dir), Pack(ctx, &twice, dir)); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
		t.Fatal("two archives of one folder differ", err)
	}
	work := t.TempDir()
	there, target := filepath.Join(work, "deb"), filepath.Join(work, "disk")
	if err := errors.Join(UnpackPushed(ctx, &once, there), os.WriteFile(target, make([]byte, 512), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := Describe(there); err != nil || !slices.Equal(got.Variants, f.Variants) || !slices.Equal(got.Scripts, f.Scripts) {
		t.Errorf("unpacked it is %+v, %v", got, err)
	}
	if st, err := os.Lstat(filepath.Join(there, "variants.list")); err != nil || !st.Mode().IsRegular() {
		t.Errorf("variants.list is %v, %v", st, err)
	}
	var log bytes.Buffer
	run := &Foreign{Dir: there, Alone: work, Variant: "trixie", Name: "web1", Disks: []string{target}, Settings: map[string]string{"suite": "sid"}, Also: []string{"NIC_0_IP=10.0.0.9"}, Log: &log}
	if err := run.Run(ctx, "create"); err != nil {
		t.Fatal(err)
	}
	run.Limit, run.Settings = 100*time.Millisecond, map[string]string{"suite": "slow"}
	if err := os.WriteFile(filepath.Join(there, "create"), []byte("#!/bin/sh\nexec sleep 86417\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run.Run(ctx, "create"); err == nil || !strings.Contains(err.Error(), "did not end within 100ms") {
		t.Error(err)
	}
	if b, err := os.ReadFile(target); string(b) != "hello\n" || strings.Contains(log.String(), "READ IT") {
		t.Errorf("%q, %v; it said %s", b, err, log.String())
	}
}

// TestNoDefinition has folders that are no definitions, and such as cannot be handed on.
func TestNoDefinition(t *testing.T) {
	ok := func(more map[string]string) map[string]string {
		all := map[string]string{"ganeti_api_version": "20\n", "create": "#!/bin/sh\n"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	for want, files := range map[string]map[string]string{
		"no definition of Ganeti's": {"create": "#!/bin/sh\n"},
		"speaks version 5":          ok(map[string]string{"ganeti_api_version": "5\n"}),
		"make it executable":        ok(map[string]string{"create": "echo\n"}),
		"no script create":          {"ganeti_api_version": "20\n"},
	} {
		if f, err := Describe(folderWith(t, files)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, f, err)
		}
	}
	for _, to := range []string{"/etc", "../..", "/nowhere/at/all"} {
		if err := Pack(context.Background(), io.Discard, folderWith(t, ok(map[string]string{"x": "-> " + to}))); err == nil || !strings.Contains(err.Error(), "leads out of its folder") {
			t.Errorf("a link to %s: %v", to, err)
		}
	}
}

func archiveWith(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestUnpackBounds has archives that no honest push makes: nothing of them comes to be
// outside of the folder, and none leaves a link there that leads out.
func TestUnpackBounds(t *testing.T) {
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
	}
	for name, headers := range map[string][]tar.Header{
		"a name that leads out":    {{Name: "../victim", Size: 1, Mode: 0o644}},
		"an absolute link":         {link("ganeti_api_version", "/etc/shadow")},
		"a link that leads up":     {link("x", "../victim")},
		"one from below":           {{Name: "d", Typeflag: tar.TypeDir}, link("d/x", "../../victim")},
		"one by way of another":    {link("d", "."), link("x", "d/../victim")},
		"through a link":           {link("d", "."), {Name: "d/x", Size: 1, Mode: 0o644}},
		"a hard link that does":    {{Name: "x", Typeflag: tar.TypeLink, Linkname: "../victim"}},
		"a device":                 {{Name: "x", Typeflag: tar.TypeBlock, Devmajor: 8}},
		"a pipe":                   {{Name: "ganeti_api_version", Typeflag: tar.TypeFifo}},
		"more than it may unpack":  {{Name: "x", Size: 0}, {Name: "y", Size: archiveLimits.Bytes + 1}},
		"a file in place of a dir": {{Name: "a", Size: 1}, {Name: "a/b", Size: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			victim := filepath.Join(base, "victim")
			if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			var b []byte
			if last := headers[len(headers)-1]; last.Size > 1<<20 { // its bytes need not come
				var whole bytes.Buffer
				w := tar.NewWriter(&whole)
				for _, h := range headers {
					if err := w.WriteHeader(&h); err != nil {
						t.Fatal(err)
					}
				}
				b = whole.Bytes()
			} else {
				b = archiveWith(t, headers...)
			}
			err := UnpackPushed(context.Background(), bytes.NewReader(b), filepath.Join(base, "os"))
			if k := disk.KindOf(err); k != disk.Refused && k != disk.TooBig {
				t.Errorf("%v", err)
			}
			if got, _ := os.ReadFile(victim); string(got) != "mine" {
				t.Errorf("the file beside has %q", got)
			}
			if list, _ := os.ReadDir(base); len(list) > 2 {
				t.Errorf("beside it there is %v", list)
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "os")
	set := archiveWith(t, tar.Header{Name: "create", Mode: 0o6777, Size: 1, Uid: 7}, tar.Header{Name: "d", Typeflag: tar.TypeDir, Mode: 0o700}, link("d/x", "../create"), tar.Header{Name: "twin", Typeflag: tar.TypeLink, Linkname: "create"})
	if err := UnpackPushed(context.Background(), bytes.NewReader(set), dir); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, "d/x")); err != nil || st.Mode() != 0o755 {
		t.Errorf("%v, %v", st, err)
	}
}

func FuzzUnpackPushed(f *testing.F) {
	good := archiveWith(f, tar.Header{Name: "create", Mode: 0o755, Size: 3}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "create"})
	disktest.AddSpoilt(f, 50, good)
	all := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		base, err := os.MkdirTemp(all, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		_ = unpackWithin(context.Background(), bytes.NewReader(b), filepath.Join(base, "os"), tree.Limits{Files: 100, Bytes: 1 << 20})
		root, err := os.OpenRoot(base)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_ = filepath.WalkDir(filepath.Join(base, "os"), func(name string, d os.DirEntry, err error) error {
			if err != nil || d.Type()&os.ModeSymlink == 0 {
				return nil
			}
			rel, _ := filepath.Rel(base, name)
			if _, err := root.Stat(rel); err != nil && strings.Contains(err.Error(), "escapes") {
				t.Errorf("%s leads out: %v", rel, err)
			}
			return nil
		})
	})
}
