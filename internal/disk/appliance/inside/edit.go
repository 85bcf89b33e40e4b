package inside

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// edit carries out commands on a mounted file system. They are those of debugfs that
// hearth/internal/disk/guestfs writes, with the same meaning: a file that is to be
// removed and is not there, or a folder that is, is no failure.
func (m *machine) edit(s Step) error {
	at, err := m.mount(s.Disk, true)
	if err != nil {
		return err
	}
	e := &editor{root: at, cwd: "/"}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return err
	}
	if err := e.fits(s.Script, int64(st.Bavail)*st.Bsize); err != nil {
		return err
	}
	for line := range strings.Lines(s.Script) {
		words, err := split(strings.TrimSuffix(line, "\n"))
		if err == nil {
			err = e.do(words)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
	}
	unix.Sync()
	if err := m.measure(at); err != nil {
		return err
	}
	return m.unmountAll()
}

// fits refuses, before the first change, files for which a file system with so many bytes
// free has no room, with what goes before them taken into account.
func (e *editor) fits(script string, free int64) error {
	const block = 4096
	for line := range strings.Lines(script) {
		w, err := split(strings.TrimSuffix(line, "\n"))
		if err != nil || len(w) < 2 {
			continue // it is told of when it is to be done
		}
		var st unix.Stat_t
		switch w[0] {
		case "rm":
			if unix.Lstat(e.at(w[1]), &st) == nil && st.Nlink == 1 {
				free += st.Blocks * 512
			}
		case "write":
			if unix.Stat(w[1], &st) == nil {
				free -= (st.Size + block - 1) / block * block
			}
		}
		if free < 0 {
			return fmt.Errorf("the files need %d bytes more than are free; nothing was changed: %w", -free, unix.ENOSPC)
		}
	}
	return nil
}

// split takes a line apart as debugfs does: words, or strings in quotes in which two
// quotes stand for one.
func split(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			words, line = append(words, word), rest
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(line); i++ {
			if line[i] == '"' {
				if i+1 >= len(line) || line[i+1] != '"' {
					break
				}
				i++
			}
			b.WriteByte(line[i])
		}
		if i >= len(line) {
			return nil, errors.New("a quote is not closed")
		}
		words, line = append(words, b.String()), line[i+1:]
	}
}

type editor struct{ root, cwd string }

// at is where a name of the script lies; no name leads out of the mount.
func (e *editor) at(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = e.cwd + "/" + name
	}
	return e.root + path.Clean("/"+name)
}

func (e *editor) do(w []string) error {
	arguments := map[string]int{"cd": 1, "rm": 1, "rmdir": 1, "mkdir": 1, "write": 2, "symlink": 2, "sif": 3, "ea_set": 4}
	if len(w) == 0 {
		return nil
	}
	if n, ok := arguments[w[0]]; !ok || len(w) != n+1 {
		return errors.New("this command is not known here")
	}
	switch w[0] {
	case "cd":
		e.cwd = w[1]
	case "rm":
		return but(unix.Unlink(e.at(w[1])), unix.ENOENT)
	case "rmdir":
		return but(unix.Rmdir(e.at(w[1])), unix.ENOENT)
	case "mkdir":
		return but(unix.Mkdir(e.at(w[1]), 0o755), unix.EEXIST)
	case "write":
		return write(w[1], e.at(w[2]))
	case "symlink":
		return unix.Symlink(w[2], e.at(w[1]))
	case "sif":
		return set(e.at(w[1]), w[2], w[3])
	case "ea_set":
		value, err := os.ReadFile(w[2])
		if err != nil {
			return err
		}
		return unix.Lsetxattr(e.at(w[3]), w[4], value, 0)
	}
	return nil
}

func but(err error, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func write(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// set sets a field of an inode. The kernel takes setuid and capabilities away with a
// new owner; debugfs does not, so they are given back.
func set(name, field, value string) error {
	n, err := strconv.ParseInt(value, 0, 64)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return err
	}
	link := st.Mode&unix.S_IFMT == unix.S_IFLNK
	uid, gid := -1, -1
	switch field {
	case "mode":
		if link {
			return nil
		}
		return unix.Chmod(name, uint32(n)&0o7777)
	case "uid":
		uid = int(n)
	case "gid":
		gid = int(n)
	default:
		return errors.New("this field is not known here")
	}
	rights := make([]byte, 256)
	had, _ := unix.Lgetxattr(name, "security.capability", rights)
	if err := unix.Lchown(name, uid, gid); err != nil {
		return err
	}
	if !link {
		if err := unix.Chmod(name, st.Mode&0o7777); err != nil {
			return err
		}
	}
	if had > 0 {
		return unix.Lsetxattr(name, "security.capability", rights[:had], 0)
	}
	return nil
}
