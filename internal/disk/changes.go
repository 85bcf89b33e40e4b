package disk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Change is what becomes of one file system in a disk: commands of debugfs are carried out
// on Ext, or, where that is nil, what is in a redo log goes to its place.
type Change struct {
	Ext      *ExtFS
	Commands string // a line each; names in them went through [QuoteExt]

	Log          string // of [Runner.CreateRedo], in the folder of the changes, for
	Offset, Size int64  // these bytes of the disk
}

// CarryOut makes changes of the open disk f, in their order; what they need of this host
// lies in the folder dir. What debugfs complains of is an error of kind ToolFailed, unless
// it is a folder that is there already or a file to be removed that is not; TooBig, and
// nothing is changed, if this host has no room for what the logs have. Once begun, all are
// brought to their end, whether ctx is done meanwhile or this process killed: half of them
// would be neither what was nor what is to be.
func (r *Runner) CarryOut(ctx context.Context, f *os.File, dir string, changes ...Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := roomFor(f, changes); err != nil {
		return err
	}
	var tools []Command
	for i, c := range changes {
		t, err := c.tool(filepath.Join(dir, fmt.Sprintf("commands%d", i)))
		if err != nil {
			return err
		}
		tools = append(tools, t)
	}
	if err := handOver(dir, f.Name()); err != nil {
		return err
	}
	lock, err := os.Open(dir) // a folder of package workdir stays while a tool reads it
	if err != nil {
		return err
	}
	defer lock.Close()
	_ = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	all, err := inTurn(tools)
	if err != nil {
		return err
	}
	all.Read, all.Disk, all.Whole, all.Keep = []string{dir}, f, true, lock
	out, err := r.Run(context.WithoutCancel(ctx), all)
	if err != nil {
		return err
	}
	return complaints(out.Stderr)
}

// tool is what carries out one change; commands is a new file for those of debugfs.
func (c Change) tool(commands string) (Command, error) {
	if c.Ext != nil {
		err := os.WriteFile(commands, []byte(c.Commands), 0o600)
		return Command{Name: "debugfs", Args: []string{"-w", "-f", commands, inDisk(c.Ext)}}, err
	}
	file := func(path string) map[string]any {
		return map[string]any{"driver": "file", "filename": path, "locking": "off"}
	}
	if st, err := os.Stat(c.Log); err != nil {
		return Command{}, err
	} else if c.Size%512 != 0 || !st.Mode().IsRegular() {
		return Command{}, fail(Unsupported, injectOp, "%s is no redo log of whole sectors", c.Log)
	}
	disk := file(DiskPath)
	top, err := json.Marshal(map[string]any{"driver": string(QCOW2), "file": file(c.Log),
		"backing": map[string]any{"driver": string(Raw), "offset": c.Offset, "size": c.Size, "read-only": false, "discard": "unmap", "file": disk}})
	return Command{Name: "qemu-img", Args: []string{"commit", "-q", "-d", "json:" + string(top)}, Write: []string{c.Log}}, err
}

// inTurn is one command for several: a shell that goes on to the next, though the process that
// began is gone. The first that fails ends it.
func inTurn(tools []Command) (Command, error) {
	if len(tools) == 1 {
		return tools[0], nil
	}
	all := Command{Name: "sh"}
	var script strings.Builder
	for _, t := range tools {
		if _, err := lookTool(t.Name); err != nil {
			return all, err
		}
		script.WriteString(t.Name)
		for _, a := range t.Args {
			script.WriteString(" '" + strings.ReplaceAll(a, "'", `'\''`) + "'")
		}
		if t.Name != "debugfs" {
			script.WriteString(" 2>&1") // it tells of a failure by its exit code, debugfs by what it says
		}
		script.WriteString(" || exit\n")
		all.Write = append(all.Write, t.Write...)
	}
	all.Args = []string{"-c", script.String()}
	return all, nil
}

// roomFor refuses redo logs for which the file system of the image has no room: what is
// written to its holes, or to its end if it is a qcow2, needs some.
func roomFor(f *os.File, changes []Change) error {
	var need int64
	for _, c := range changes {
		if st, err := os.Stat(c.Log); c.Log != "" && err == nil {
			need += stored(st)
		}
	}
	k := kept{image: f.Name()}
	if v, ok := holds.Load(f.Name()); ok {
		k, _ = v.(kept)
	}
	st, err := os.Stat(k.image)
	if need == 0 || err != nil || !st.Mode().IsRegular() {
		return err
	}
	if k.image == f.Name() {
		need = min(need, max(st.Size()-stored(st), 0))
	} else {
		need *= 2 // clusters of the log lie across those of the image
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(k.image, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: k.image, Err: err}
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fail(TooBig, injectOp, "the image may grow by %d bytes, and its folder has room for %d; nothing was changed: make room there", need, free)
	}
	return nil
}

// stored is how many bytes a file takes.
func stored(st os.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return st.Size()
}

// kept is what a tool that lives on keeps open, of a disk of an image.
type kept struct {
	file  *os.File
	image string
}

// holds has what is kept, by the path of the disk.
var holds sync.Map

// Keep has the tools that live on to change the disk path keep file open, until release:
// with a lock of its open file description (F_OFD_SETLK) others are kept from the image as long as it is changed.
func Keep(path string, file *os.File) (release func()) {
	k := kept{file, path}
	holds.Store(path, k)
	return func() { holds.CompareAndDelete(path, k) }
}
