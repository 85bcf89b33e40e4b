package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Is tells whether this process is the first one of an appliance.
func Is() bool {
	if os.Getpid() != 1 {
		return false
	}
	_, err := os.Stat(JobFile)
	return err == nil
}

// Main does the job and resets the machine; it does not return.
func Main() {
	m := &machine{}
	err := m.run()
	if err != nil {
		m.report.Error, m.report.Full = err.Error(), errors.Is(err, unix.ENOSPC)
	}
	m.report.Done = true
	m.say()
	if m.out != nil {
		_ = unix.IoctlSetInt(int(m.out.Fd()), unix.TCSBRK, 1) // until all has gone out
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}

type machine struct {
	mu     sync.Mutex // for the report
	out    *os.File
	report Report
	mounts []string
}

func (m *machine) say() {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := json.Marshal(m.report)
	if err == nil && m.out != nil {
		_, _ = m.out.Write(append(b, '\n'))
	}
}

func (m *machine) note(format string, args ...any) {
	if len(m.report.Notes) < 20 {
		m.report.Notes = append(m.report.Notes, fmt.Sprintf(format, args...))
	}
}

// run prepares the machine and does the steps.
func (m *machine) run() error {
	for _, s := range [][3]string{{"devtmpfs", "/dev", ""}, {"proc", "/proc", ""}, {"sysfs", "/sys", ""}} {
		if err := os.MkdirAll(s[1], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(s[0], s[1], s[0], 0, s[2]); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", s[1], err)
		}
	}
	var err error
	if m.out, err = os.OpenFile(Line, os.O_WRONLY|syscall.O_NOCTTY, 0); err != nil {
		return err
	}
	if err := raw(m.out); err != nil {
		return err
	}
	m.say()
	b, err := os.ReadFile(JobFile)
	if err != nil {
		return err
	}
	var job Job
	if err := json.Unmarshal(b, &job); err != nil {
		return err
	}
	if err := loadModules(job); err != nil {
		return err
	}
	go m.watch()
	for _, s := range job.Steps {
		if err := m.step(s); err != nil {
			return errors.Join(fmt.Errorf("%s %s: %w", s.Do, s.Disk.Kind, err), m.unmountAll())
		}
	}
	return nil
}

// watch tells the host that all goes on while a step has nothing to say but reads or
// writes its disks: the host gives up a guest that does neither.
func (m *machine) watch() {
	was := ""
	for range time.Tick(5 * time.Second) {
		now := ""
		disks, _ := filepath.Glob("/sys/block/vd*/stat")
		for _, name := range disks {
			b, _ := os.ReadFile(name)
			now += string(b)
		}
		if now != was {
			m.say()
		}
		was = now
	}
}

// raw lets a serial line take bytes as they are.
func raw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

// spared are modules that only one kind of file system needs: raid6_pq and xor measure
// for seconds how fast they are.
var spared = map[string][]string{"xfs": {"xfs"}, "btrfs": {"btrfs", "raid6_pq", "xor"}, "vfat": {"vfat", "fat", "nls_cp437", "nls_ascii", "nls_utf8"}, "f2fs": {"f2fs", "lz4_compress", "lz4hc_compress", "crc32_generic"}}

// spare tells whether a job does without a module.
func (j Job) spare(module string) bool {
	for kind, list := range spared {
		if slices.Contains(list, module) {
			return !slices.ContainsFunc(j.Steps, func(s Step) bool { return s.Disk.Kind == kind || s.To.Kind == kind })
		}
	}
	return false
}

func loadModules(job Job) error {
	names, err := filepath.Glob(ModuleDir + "/*")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if _, module, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".ko"), "-"); job.spare(module) {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

func (m *machine) step(s Step) error {
	switch s.Do {
	case Copy:
		return m.copy(s)
	case Edit:
		return m.edit(s)
	case Grow:
		return m.grow(s)
	case Shrink:
		return m.shrink(s)
	}
	return errors.New("this step is not known here")
}

// mount mounts a file system, and gives where.
func (m *machine) mount(d Disk, write bool) (string, error) {
	at := "/" + filepath.Base(d.Device)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", err
	}
	data, flags := "", uintptr(unix.MS_NOATIME)
	switch d.Kind {
	case "xfs":
		data = "nouuid,inode64"
	case "ext4":
		data = "noinit_itable,nobarrier"
	case "f2fs":
		data = "background_gc=off,fsync_mode=nobarrier"
	case "vfat":
		data = "iocharset=ascii,utf8,quiet,shortname=mixed"
	}
	if !write {
		flags |= unix.MS_RDONLY
	}
	if err := m.mountAt(d, at, flags, data); errors.Is(err, unix.ENODEV) {
		return "", fmt.Errorf("the kernel of the appliance has no module for %s; without HEARTH_APPLIANCE one that has it is fetched from Debian", d.Kind)
	} else if err != nil {
		return "", fmt.Errorf("the kernel does not mount it: %w", err)
	}
	if d.Kind == "btrfs" && d.Tree {
		return at, m.subvolumes(d, at, flags)
	}
	return at, nil
}

func (m *machine) mountAt(d Disk, at string, flags uintptr, data string) error {
	if err := unix.Mount(d.Device, at, d.Kind, flags, data); err != nil {
		return err
	}
	m.mounts = append(m.mounts, at)
	return nil
}

// unmountAll unmounts what is mounted, the last first.
func (m *machine) unmountAll() error {
	var err error
	for len(m.mounts) > 0 {
		at := m.mounts[len(m.mounts)-1]
		m.mounts = m.mounts[:len(m.mounts)-1]
		if uerr := unix.Unmount(at, 0); uerr != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", at, uerr))
		}
	}
	return err
}

// measure asks a mounted file system what it has.
func (m *machine) measure(at string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return err
	}
	m.report.Size = int64(st.Blocks) * st.Bsize
	m.report.Used = int64(st.Blocks-st.Bfree) * st.Bsize
	return nil
}
