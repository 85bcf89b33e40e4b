package disk

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"hearth/internal/disk/workdir"
)

// File is one file to be put into a guest's file system.
type File struct {
	Path string      // absolute, as the guest sees it
	Mode os.FileMode // permission bits
	UID  int
	GID  int
	Data []byte
	// DirMode, if not 0, is given to the folder that holds the file, which
	// then belongs to UID and GID too. Folders that lack are made with 0755.
	DirMode os.FileMode
}

const injectOp = "inject files"

// Inject writes files into the ext file system of the disk of chain: the one on
// the bare disk, or in the last partition. What is there under the same name is
// replaced. It mounts nothing: debugfs of e2fsprogs works on the image in the
// sandbox. A disk without such a file system is Unsupported and not touched.
func (r *Runner) Inject(ctx context.Context, chain []Layer, files []File) error {
	for _, f := range files {
		if err := checkName(f.Path); err != nil {
			return err
		}
	}
	a, err := r.Attach(ctx, chain)
	if err != nil {
		return err
	}
	err = r.injectAttached(ctx, a.Path, files)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	return err
}

// checkName refuses what debugfs could read as another command.
func checkName(name string) error {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" || len(name) > 1024 {
		return fail(Refused, injectOp, "the path %q is not a clean absolute path of a file", name)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			return fail(Refused, injectOp, "the path %q has a control character", name)
		}
	}
	return nil
}

func (r *Runner) injectAttached(ctx context.Context, image string, files []File) error {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	root, err := findRoot(f, st.Size())
	if err != nil {
		return err
	}
	if root == nil {
		return fail(Unsupported, injectOp, "the disk has no ext file system that could be written to offline; use metadata or a config drive")
	}
	if root.fs.NeedsRecovery || !root.fs.Clean { // debugfs does not replay the journal
		if err := r.CheckExt(ctx, f, root.fs); err != nil {
			return err
		}
	}
	return r.write(ctx, f, root.fs, files)
}

// write stages the files in a folder that the tool may read, and has it copy them.
func (r *Runner) write(ctx context.Context, f *os.File, fs *ExtFS, files []File) error {
	work, err := workdir.Make("", "hearth-inject-", nil)
	if err != nil {
		return err
	}
	defer work.Close()
	dir := work.Path
	commands, err := stage(dir, files)
	if err != nil {
		return err
	}
	return r.EditExt(ctx, f, fs, dir, commands)
}

// stage writes the contents into dir and gives the commands that copy them.
func stage(dir string, files []File) (string, error) {
	var b strings.Builder
	for i, f := range files {
		data := filepath.Join(dir, fmt.Sprintf("f%d", i))
		if err := os.WriteFile(data, f.Data, 0o600); err != nil {
			return "", err
		}
		writeCommands(&b, data, f)
	}
	return b.String(), nil
}

// writeCommands makes the folders on the way (mkdir of one that exists only
// complains), and puts the file in place of an older one.
func writeCommands(b *strings.Builder, data string, f File) {
	folder, name := path.Split(f.Path)
	folder = path.Clean(folder)
	for i := 1; i <= len(folder) && folder != "/"; i++ {
		if i == len(folder) || folder[i] == '/' {
			fmt.Fprintf(b, "mkdir %s\n", quote(folder[:i]))
		}
	}
	fmt.Fprintf(b, "cd %s\nrm %s\nwrite %s %s\n", quote(folder), quote(f.Path), quote(data), quote(name))
	setOwner(b, f.Path, f, 0o100000|uint32(f.Mode.Perm()))
	if f.DirMode != 0 {
		setOwner(b, folder, f, 0o40000|uint32(f.DirMode.Perm()))
	}
}

func setOwner(b *strings.Builder, name string, f File, mode uint32) {
	q := quote(name)
	fmt.Fprintf(b, "sif %s mode 0%o\nsif %s uid %d\nsif %s gid %d\n", q, mode, q, f.UID, q, f.GID)
}

// quote quotes as libss of e2fsprogs reads it: in double quotes, with a double
// quote written twice; nothing else is special.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// handOver gives the staged files to the owner of the image, as whom the tool runs.
func handOver(dir, image string) error {
	uid, gid, _ := ownerOf([]string{image})
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, gid)
	})
}

// complaints reads what debugfs wrote to its standard error, for its exit code is always 0.
func complaints(stderr string) error {
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "debugfs 1."):
		case strings.HasPrefix(line, "ext2fs_mkdir: Ext2 directory already exists"),
			strings.HasPrefix(line, "mkdir: Ext2 directory already exists"),
			strings.HasPrefix(line, "rm: File not found by ext2_lookup"):
		default:
			return fail(ToolFailed, injectOp, "debugfs: %s", line)
		}
	}
	return nil
}
