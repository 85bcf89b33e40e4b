// Package mount shows the files of an image as a folder of the host, by FUSE, for any
// user, to be read, or if that is asked for changed. The kernel of the host never reads
// the image: this process does, with the reader of internal/disk/ext4, and hands files
// on. Changes are made by debugfs in the sandbox, one by one (see [Options].Write).
//
// The files belong to whom they belong in the guest, but whoever mounts may read them
// all, as he may read the image. Devices, programs with setuid and the like do nothing:
// the folder is mounted nodev and nosuid.
package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// Options says what is mounted.
type Options struct {
	Image     string
	Partition int // number of the only one; 0: the root file system with what its fstab mounts
	// Write lets files be changed. What is new belongs to root in the guest until it is
	// given to somebody else. A file is changed when it is closed or synced.
	Write bool
	Tell  func(error) // is told why a change failed, for programs only get a number; may be nil
}

// Image is an open image whose files can be shown.
type Image struct {
	Tree     *guestfs.Tree
	Replayed bool // a journal was replayed, on an overlay; the image is as it was

	path   string
	d      *guestfs.Disk
	writer *writer // nil: for reading
	held   *guestfs.Held
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "mount image", Reason: fmt.Sprintf(format, args...)}
}

// Open opens an image. Of a file system that was not unmounted, the journal is
// replayed on an overlay in the folder for temporary files.
func Open(ctx context.Context, run *disk.Runner, opt Options) (*Image, error) {
	layer, info, err := guestfs.Image(opt.Image)
	if err != nil {
		return nil, err
	}
	if what := info.NoDisk(); what != "" {
		return nil, refuse("%s cannot be looked into as a disk: %s", opt.Image, what)
	}
	i := &Image{path: layer.Path}
	if opt.Write {
		return i, i.openToWrite(ctx, run, layer, opt)
	}
	for _, mode := range []guestfs.Mode{guestfs.ReadOnly, guestfs.Scratch} {
		if i.d, err = guestfs.Open(ctx, run, []disk.Layer{layer}, mode); err != nil {
			return nil, err
		}
		if i.Tree, err = tree(i.d, opt.Partition); err != nil {
			return nil, errors.Join(err, i.d.Close())
		}
		if mode == guestfs.Scratch || !unclean(i.Tree) {
			break
		}
		if err := i.d.Close(); err != nil {
			return nil, err
		}
		i.Replayed = true
	}
	return i, nil
}

func tree(d *guestfs.Disk, partition int) (*guestfs.Tree, error) {
	if d.Broken != nil {
		return nil, d.Broken
	}
	if partition == 0 {
		return d.Tree()
	}
	for _, v := range d.Volumes {
		if v.Partition != partition {
			continue
		}
		if t := d.TreeOf(v); t != nil {
			return t, nil
		}
		return nil, refuse("partition %d: %s", partition, cmp.Or(v.Note, "what it holds is not known"))
	}
	return nil, refuse("the disk has no partition %d", partition)
}

func unclean(t *guestfs.Tree) bool {
	for _, v := range t.Mounts {
		if v.FS().NeedsRecovery {
			return true
		}
	}
	return false
}

// Close lets go of the image.
func (i *Image) Close() error {
	if i.writer == nil {
		return i.d.Close()
	}
	return errors.Join(i.writer.close(), i.d.Close(), i.held.Close())
}

// Changed tells whether something was changed in the image.
func (i *Image) Changed() bool { return i.d.Changed() }

// lasting is how long the kernel may remember: nothing changes here.
var lasting = time.Hour

func (i *Image) options() *fs.Options {
	o := &fs.Options{NullPermissions: true, MountOptions: fuse.MountOptions{FsName: i.path, Name: "hearth", DirectMount: os.Geteuid() == 0,
		DirectMountFlags: unix.MS_NOSUID | unix.MS_NODEV}}
	if i.writer == nil {
		o.EntryTimeout, o.AttrTimeout, o.NegativeTimeout = &lasting, &lasting, &lasting
		o.Options, o.DirectMountFlags, o.EnableSymlinkCaching = []string{"ro"}, o.DirectMountFlags|unix.MS_RDONLY, true
	}
	return o
}

// root is the first node of the file system.
func (i *Image) root() (fs.InodeEmbedder, error) {
	if i.writer != nil {
		return &changing{w: i.writer}, nil
	}
	top, err := i.Tree.Lstat("/")
	if err != nil {
		return nil, err
	}
	return &node{t: i.Tree, n: top, volumes: number(i.Tree)}, nil
}

// Serve shows the files in the folder dir until ctx ends or somebody unmounts it.
// ready is called once they are there.
func (i *Image) Serve(ctx context.Context, dir string, ready func()) error {
	if err := Possible(dir); err != nil {
		return err
	}
	top, err := i.root()
	if err != nil {
		return err
	}
	server, err := fs.Mount(dir, top, i.options())
	if err != nil {
		return refuse("%s cannot be mounted: %v; as an ordinary user this needs /dev/fuse for all (mode 0666) and fusermount3, which Debian has in fuse3", dir, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = detach(server, dir) })
	defer stop()
	ready()
	server.Wait()
	return nil
}

// detach unmounts at once; who has files open keeps them until he closes them.
func detach(server *fuse.Server, dir string) error {
	if err := server.Unmount(); err == nil {
		return nil
	}
	return Unmount(context.Background(), dir, true)
}

// Possible tells why a folder cannot be mounted on here; nil if it can. Serve asks it too;
// who has long work before that asks first.
func Possible(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, unix.ENOTCONN):
		return refuse("%s is what a mount left whose process was killed: 'hearth image umount %s' ends it", dir, dir)
	case err != nil:
		return err
	case !st.IsDir():
		return refuse("%s is no folder", dir)
	}
	if here, err := shows(dir); err == nil && here {
		return refuse("something is mounted at %s already: 'hearth image umount %s' ends that", dir, dir)
	}
	if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil {
		return refuse("/dev/fuse cannot be opened (%v): load the module fuse, or let users open it (chmod 0666 /dev/fuse)", err)
	}
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return refuse("fusermount3 is not installed; Debian has it in fuse3")
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return refuse("%s cannot be mounted on by who may not write to it (%v): make a folder of your own", dir, err)
	}
	return nil
}

// Unmount takes away what Serve showed in a folder; lazy does so even while somebody has
// it open. Only what this package mounted is unmounted.
func Unmount(ctx context.Context, dir string, lazy bool) error {
	dir, err := real(dir)
	if err != nil {
		return err
	}
	if here, err := shows(dir); err != nil || !here {
		return errors.Join(err, refuse("%s is not mounted by hearth", dir))
	}
	if os.Geteuid() == 0 {
		flags := 0
		if lazy {
			flags = unix.MNT_DETACH
		}
		if err := unix.Unmount(dir, flags); err != nil {
			return refuse("%s cannot be unmounted: %v%s", dir, err, unlessLazy(lazy))
		}
		return nil
	}
	args := []string{"-u", dir}
	if lazy {
		args = []string{"-u", "-z", dir}
	}
	if out, err := exec.CommandContext(ctx, "fusermount3", args...).CombinedOutput(); err != nil {
		return refuse("%s cannot be unmounted: %s%s", dir, strings.TrimSpace(string(out)), unlessLazy(lazy))
	}
	return nil
}

func unlessLazy(lazy bool) string {
	if lazy {
		return ""
	}
	return "; who has files of it open, or works in it, is to end that, or --lazy does not mind"
}

// real is the path of a folder as /proc/self/mountinfo has it, without symbolic links. What
// is mounted there may be dead, or another user's: then only its own name can be a link's.
func real(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if whole, err := filepath.EvalSymlinks(dir); err == nil {
		return whole, nil
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	return filepath.Join(parent, filepath.Base(dir)), err
}

// shows tells whether this package shows something in a folder.
func shows(dir string) (bool, error) {
	dir, err := real(dir)
	if err != nil {
		return false, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	return mounted(string(mounts), dir), err
}

// mounted looks for a folder in /proc/PID/mountinfo (proc(5)) among those of ours.
func mounted(info, dir string) bool {
	for line := range strings.Lines(info) {
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if ok && len(f) > 4 && unescape(f[4]) == dir && strings.HasPrefix(after, "fuse.hearth ") {
			return true
		}
	}
	return false
}

// unescape reads the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
