package appliance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/appliance/inside"
)

// TestVerdict: what a guest leaves is an answer, or an error of the right kind.
func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		said, console string
		kind          disk.Kind
		want          string
		size          int64
	}{
		"done":    {said: "{}\n{\"files\":3}\n{\"size\":8192,\"used\":4096,\"done\":true}\n", size: 8192},
		"junk":    {said: "\x00\xffabc\n{\"size\":1,\"done\":true}\n", size: 1},
		"failed":  {said: "{\"error\":\"copy xfs: bad\",\"done\":true}\n", console: "XFS (vda): \x1b[1mCorruption\n", kind: disk.Refused, want: "copy xfs: bad (the kernel: XFS (vda): [1mCorruption)"},
		"full":    {said: "{\"error\":\"no space\",\"full\":true,\"done\":true}\n", kind: disk.TooBig, want: "no space"},
		"crashed": {said: "{\"files\":3}\n", console: "Kernel panic", kind: disk.Refused, want: "it wrote last: Kernel panic"},
		"cut":     {said: "{\"size\":1,\"done\":true}", kind: disk.Refused, want: "ended before"},
	} {
		heard := 0
		l := &listener{heard: func(inside.Report) { heard++ }}
		for _, part := range strings.SplitAfter(c.said, "e") { // as pipes give it, in pieces
			if _, err := l.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		use, err := l.verdict(disk.Output{Stderr: c.console}, nil)
		if disk.KindOf(err) != c.kind || use.Size != c.size || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, use, err)
		}
	}
}

// TestListenerIsBounded: a line without an end takes no memory.
func TestListenerIsBounded(t *testing.T) {
	l := &listener{heard: func(inside.Report) {}}
	for range 100 {
		_, _ = l.Write(make([]byte, 64<<10))
	}
	if len(l.part) > maxLine {
		t.Errorf("%d bytes are kept", len(l.part))
	}
}

// TestLargeFiles: more than the guest's memory takes is refused before it is started, where its
// kernel would have found no room for its ramdisk.
func TestLargeFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxStaged/2+1)); err != nil {
			t.Fatal(err)
		}
	}
	a := &Appliance{Parts: func(context.Context, []string) (Parts, error) { return Parts{}, errors.New("it was started") }}
	if err := a.Edit(t.Context(), disk.FileSystem{Kind: "xfs"}, dir, ""); disk.KindOf(err) != disk.TooBig || !strings.Contains(err.Error(), "128 MiB") {
		t.Error(err)
	}
}

// TestPartsByKind: parts are asked for once for each set of file systems, and an error is no answer.
func TestPartsByKind(t *testing.T) {
	var asked []string
	a := &Appliance{Parts: func(_ context.Context, kinds []string) (Parts, error) {
		if asked = append(asked, strings.Join(kinds, "+")); len(asked) == 1 {
			return Parts{}, errors.New("apt is away")
		}
		return Parts{Kernel: strings.Join(kinds, "+")}, nil
	}}
	copied := inside.Job{Steps: []inside.Step{{Do: inside.Copy, Disk: inside.Disk{Kind: "f2fs"}, To: inside.Disk{Kind: "ext4"}}}}
	if _, err := a.have(context.Background(), copied.Kinds()); disk.KindOf(err) != disk.ToolMissing {
		t.Error(err)
	}
	for range 2 {
		for _, job := range []inside.Job{copied, {Steps: []inside.Step{{Do: inside.Grow, Disk: inside.Disk{Kind: "xfs"}}}}} {
			if p, err := a.have(context.Background(), job.Kinds()); err != nil || p.Kernel != strings.Join(job.Kinds(), "+") {
				t.Error(p, err)
			}
		}
	}
	if got := strings.Join(asked, ", "); got != "ext4+f2fs, ext4+f2fs, xfs" {
		t.Error(got)
	}
}

// TestArguments: formats are named, what is read is not written to, and the header of a
// qcow2 leads nowhere.
func TestArguments(t *testing.T) {
	r := &run{}
	d, err := r.write(t.Context(), disk.FileSystem{Layer: disk.Layer{Path: "/images/a", Format: disk.QCOW2}, Offset: 1 << 20, Size: 1<<20 + 5, Kind: "xfs"})
	if err != nil {
		t.Fatal(err)
	}
	r.node("disk1", map[string]any{"driver": "raw", "file": r.layer(disk.FileSystem{Layer: disk.Layer{Path: "/images/b", Format: disk.Raw}, Size: 4096}, true)})
	r.disks++
	line := strings.Join(r.arguments("tcg", "/k", "/r"), " ")
	for _, want := range []string{`"backing":null`, `"offset":1048576,"read-only":false,"size":1048576`, `"filename":"/images/b","locking":"off","read-only":true`,
		"-nic none", "-sandbox on,", "-no-reboot", "-nodefaults", "drive=disk1"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is not in\n%s", want, line)
		}
	}
	if d.Device != "/dev/vda" || len(r.over) != 1 || r.over[0] != "/images/a" {
		t.Errorf("%+v, written: %v", d, r.over)
	}
}

// TestDraft: of a disk whose changes a log takes, QEMU writes to the log and nothing else.
func TestDraft(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	r := &run{tool: &disk.Runner{}}
	d, err := r.write(t.Context(), disk.FileSystem{Layer: disk.Layer{Path: "/images/a", Format: disk.Raw}, Offset: 1 << 20, Size: 4 << 20, Kind: "xfs", Over: log})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Join(r.arguments("tcg", "/k", "/r"), " ")
	for _, want := range []string{`"filename":"/images/a","locking":"off","read-only":true`, `"offset":1048576,"read-only":true,"size":4194304`, `"backing":"part0"`, `"filename":"` + log + `"`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s is not in\n%s", want, line)
		}
	}
	if d.Device != "/dev/vda" || len(r.over) != 1 || r.over[0] != log || len(r.paths) != 1 || r.paths[0] != "/images/a" {
		t.Errorf("%+v, written: %v, read: %v", d, r.over, r.paths)
	}
}
