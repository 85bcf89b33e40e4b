package inside

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Of how many files, and bytes, the host is told at a time.
const (
	tellFiles = 256
	tellBytes = 16 << 20
)

// copier copies a tree: types, modes, owners, times, links, devices, extended
// attributes and holes.
type copier struct {
	m        *machine
	from, to string
	plain    bool // the target has no owners, links and attributes
	first    map[[2]uint64]string
	told     Report
	buf      []byte
}

func (m *machine) copy(s Step) error {
	from, err := m.mount(s.Disk, false)
	if err != nil {
		return err
	}
	to, err := m.mount(s.To, true)
	if err != nil {
		return fmt.Errorf("the target, %s: %w", s.To.Kind, err)
	}
	c := &copier{m: m, from: from, to: to, plain: s.To.Kind == "vfat", first: map[[2]uint64]string{}, buf: make([]byte, 64<<10)}
	if err := c.dir(""); err != nil {
		return err
	}
	unix.Sync()
	if err := m.measure(to); err != nil {
		return err
	}
	return m.unmountAll()
}

// dir copies what is in a folder, then what the folder itself has.
func (c *copier) dir(name string) error {
	list, err := os.ReadDir(c.from + name)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == "lost+found" && name == "" && e.IsDir() {
			if has, err := os.ReadDir(c.from + "/lost+found"); err == nil && len(has) == 0 {
				continue // each file system makes its own
			}
		}
		if err := c.entry(name + "/" + e.Name()); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(c.from+name+"/.", &st); err != nil {
		return err
	}
	return c.attributes(name, &st)
}

// entry copies one name.
func (c *copier) entry(name string) error {
	var st unix.Stat_t
	if err := unix.Lstat(c.from+name, &st); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && st.Nlink > 1 && !c.plain {
		id := [2]uint64{st.Dev, st.Ino}
		if old, ok := c.first[id]; ok {
			if err := unix.Link(c.to+old, c.to+name); err != nil {
				return fmt.Errorf("link %s: %w", name, err)
			}
			c.count(0)
			return nil
		}
		c.first[id] = name
	}
	var err error
	switch kind {
	case unix.S_IFDIR:
		if err = unix.Mkdir(c.to+name, 0o700); err == nil || errors.Is(err, unix.EEXIST) {
			c.count(0)
			return c.dir(name)
		}
	case unix.S_IFREG:
		err = c.file(name, st.Size)
	case unix.S_IFLNK:
		err = c.symlink(name)
	default:
		err = unix.Mknod(c.to+name, st.Mode&^0o7777|0o600, int(st.Rdev))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.count(st.Size)
	return c.attributes(name, &st)
}

func (c *copier) symlink(name string) error {
	n, err := unix.Readlink(c.from+name, c.buf)
	if err != nil {
		return err
	}
	return unix.Symlink(string(c.buf[:n]), c.to+name)
}

// count tells the host now and then: it gives up an appliance that says nothing.
func (c *copier) count(bytes int64) {
	c.m.mu.Lock()
	c.m.report.Files++
	c.m.report.Bytes += bytes
	r := c.m.report
	c.m.mu.Unlock()
	if r.Files-c.told.Files >= tellFiles || r.Bytes-c.told.Bytes >= tellBytes {
		c.tell()
	}
}

func (c *copier) tell() {
	c.told = c.m.report
	c.m.say()
}

// file copies a file without its holes.
func (c *copier) file(name string, size int64) error {
	in, err := os.Open(c.from + name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(c.to+name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	for at := int64(0); at < size; {
		begin, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		end, err := in.Seek(begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := c.stretch(in, out, begin, min(end, size)); err != nil {
			return err
		}
		at = end
	}
	return errors.Join(out.Truncate(size), out.Close())
}

// stretch has the kernel copy from begin to end.
func (c *copier) stretch(in, out *os.File, begin, end int64) error {
	if _, err := out.Seek(begin, io.SeekStart); err != nil {
		return err
	}
	since := int64(0)
	for at := begin; at < end; {
		n, err := unix.Sendfile(int(out.Fd()), int(in.Fd()), &at, int(min(end-at, 1<<20)))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		if since += int64(n); since >= tellBytes {
			since = 0
			c.tell()
		}
	}
	return nil
}

// attributes gives the copy what is beside the content.
func (c *copier) attributes(name string, st *unix.Stat_t) error {
	to := c.to + name
	if c.plain {
		return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("%s: owner: %w", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return fmt.Errorf("%s: mode: %w", name, err)
		}
	}
	if err := c.xattrs(name); err != nil {
		return err
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%s: time: %w", name, err)
	}
	return nil
}

// xattrs copies extended attributes, access control lists and capabilities among them.
func (c *copier) xattrs(name string) error {
	n, err := unix.Llistxattr(c.from+name, c.buf)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: attributes: %w", name, err)
	}
	for attr := range strings.SplitSeq(strings.TrimRight(string(c.buf[:n]), "\x00"), "\x00") {
		if own(attr) {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(c.from+name, attr, value)
		if err == nil {
			err = unix.Lsetxattr(c.to+name, attr, value[:n], 0)
		}
		if errors.Is(err, unix.E2BIG) { // f2fs has some 4 KiB for all of a file
			return fmt.Errorf("%s: attribute %s has %d bytes, and the file system has no room for so much beside a file", name, attr, n)
		}
		if err != nil {
			return fmt.Errorf("%s: attribute %s: %w", name, attr, err)
		}
	}
	return nil
}

// own tells whether an attribute is but the file system's own view of another, or a
// property that others have not.
func own(attr string) bool {
	return strings.HasPrefix(attr, "trusted.SGI_ACL_") || strings.HasPrefix(attr, "btrfs.")
}
