package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Runner starts the tools that read and write images, each in a sandbox: a
// process group of its own that dies with it (but see [Command.Whole]), limits on time, memory and file
// size, no new rights, no capabilities, no network, a clean environment, and,
// where the kernel has Landlock, no file but those named. The zero Runner has
// the defaults of the fields.
type Runner struct {
	Timeout  time.Duration // of one tool; 0: 10 minutes
	Memory   int64         // bytes of address space; 0: 2 GiB
	FileSize int64         // largest file a tool may write, bytes; 0: 16 TiB, below 0: no limit

	// FileSystems works on what no tool here does without a mount; nil: nobody does.
	FileSystems FileSystems
}

// Command is one run of a tool.
type Command struct {
	Name     string
	Args     []string
	Read     []string     // files it may read besides the system's programs
	Write    []string     // files it may read and write; they exist
	Disk     *os.File     // an open disk it works on, under the name [DiskPath]
	OK       []int        // exit codes that are no failure besides 0
	Progress func(string) // is given each piece of standard output up to \r or \n
	Stdout   io.Writer    // is given standard output, all of it, in place of Output
	Whole    bool         // it lives on if this process is killed: what it writes is whole then
	Keep     *os.File     // is open in a tool that lives on, as long as it does
}

// DiskPath is how a tool names [Command.Disk]. A file handed over open needs no
// right on the folders above it, nor a look into another process' mounts.
const DiskPath = "/proc/self/fd/3"

// Output is what a tool left.
type Output struct {
	Code           int
	Stdout, Stderr string // the first MiB of each
}

const (
	maxOutput   = 1 << 20
	toolPath    = "/usr/sbin:/usr/bin:/sbin:/bin"
	dacOverride = "-all,+dac_override"
)

// Run runs c to its end. Errors are of kind ToolMissing, ToolFailed or
// TimedOut; the last lines the tool wrote are in the sentence.
func (r *Runner) Run(ctx context.Context, c Command) (Output, error) {
	tool, err := lookTool(c.Name)
	if err != nil {
		return Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	write := c.Write
	if c.Disk != nil {
		write = append(write, fmt.Sprintf("/proc/self/fd/%d", c.Disk.Fd()))
	}
	argv := append(r.wrap(ownerOf(append(write, c.Read...))), tool)
	argv = append(argv, c.Args...)
	var stdout, stderr capped
	stdout.line = c.Progress
	var sink io.Writer = &stdout
	if c.Stdout != nil {
		sink = c.Stdout
	}
	err = inThread(func() error {
		if err := confine(c.Read, write); err != nil {
			return fmt.Errorf("confine %s: %w", c.Name, err)
		}
		return c.start(ctx, argv, sink, &stderr)
	})
	out := Output{Stdout: stdout.String(), Stderr: stderr.String()}
	return c.judge(ctx, out, err)
}

// judge turns how the tool ended into an Output and an error.
func (c Command) judge(ctx context.Context, out Output, err error) (Output, error) {
	if ctx.Err() != nil {
		return out, &Error{Kind: TimedOut, Op: c.Name, Reason: "it did not end in time or was given up", Err: ctx.Err()}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		out.Code = exit.ExitCode()
		for _, ok := range c.OK {
			if out.Code == ok {
				return out, nil
			}
		}
		return out, fail(ToolFailed, c.Name, "%v: %s", exit, lastLines(out.Stderr+"\n"+out.Stdout))
	}
	return out, err
}

// inThread runs fn on a thread that ends with it, so that what fn does to its
// thread touches nothing else. The thread must outlive the child: the child is
// told to die with it.
func inThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

func (c Command) start(ctx context.Context, argv []string, stdout, stderr io.Writer) error {
	err := c.startWith(ctx, argv, stdout, stderr, noNetwork())
	if errors.Is(err, syscall.EPERM) { // root without the right to make namespaces
		err = c.startWith(ctx, argv, stdout, stderr, 0)
	}
	return err
}

func (c Command) startWith(ctx context.Context, argv []string, stdout, stderr io.Writer, flags uintptr) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + toolPath, "LC_ALL=C", "E2FSPROGS_LIBMAGIC_SUPPRESS=1"}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if c.Disk != nil {
		cmd.ExtraFiles = []*os.File{c.Disk}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	if c.Whole {
		cmd.SysProcAttr.Pdeathsig = 0
		if c.Disk != nil {
			if v, ok := holds.Load(c.Disk.Name()); ok {
				k, _ := v.(kept)
				cmd.ExtraFiles = append(cmd.ExtraFiles, k.file)
			}
		}
		if c.Keep != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, c.Keep)
		}
		keep, err := keepOutput(cmd)
		if err != nil {
			return err
		}
		defer keep()
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd.Run()
}

// keepOutput has a tool write to files in memory, and gives what hands that on and lets them
// go: a pipe breaks when this process is killed, and with it the tool.
func keepOutput(cmd *exec.Cmd) (done func(), err error) {
	var files []*os.File
	to := []io.Writer{cmd.Stdout, cmd.Stderr}
	for range to {
		fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
		if err != nil {
			return nil, os.NewSyscallError("memfd_create", err)
		}
		files = append(files, os.NewFile(uintptr(fd), "output"))
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	return func() {
		for i, f := range files {
			_, _ = io.Copy(to[i], io.NewSectionReader(f, 0, math.MaxInt64))
			_ = f.Close()
		}
	}, nil
}

// noNetwork takes the network away; only root may, for others Landlock stands in.
func noNetwork() uintptr {
	if os.Geteuid() != 0 {
		return 0
	}
	return syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
}

// wrap is the command line that puts the limits on and the rights off. As root
// the tool runs as the owner of its files, if they have one other than root.
func (r *Runner) wrap(uid, gid int, same bool) []string {
	w := []string{"/usr/bin/setpriv", "--no-new-privs"}
	if os.Geteuid() == 0 {
		caps := "-all"
		if !same {
			caps = dacOverride
		}
		w = append(w, "--bounding-set="+caps, "--inh-caps=-all")
		if same && uid != 0 {
			w = append(w, "--reuid="+strconv.Itoa(uid), "--regid="+strconv.Itoa(gid), "--clear-groups")
		}
	}
	cpu := max(2*int64(r.timeout().Seconds()), 2) // none at all would end the tool at its first tick
	w = append(w, "/usr/bin/prlimit", "--core=0", "--nofile=1024", fmt.Sprintf("--cpu=%d", cpu), fmt.Sprintf("--as=%d", orDefault(r.Memory, 2<<30)))
	if r.FileSize < 0 {
		return w
	}
	return append(w, fmt.Sprintf("--fsize=%d", orDefault(r.FileSize, 16<<40)))
}

func (r *Runner) timeout() time.Duration { return orDefault(r.Timeout, 10*time.Minute) }

func orDefault[T int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// ownerOf gives the one owner of all paths; same is false when they differ.
func ownerOf(paths []string) (uid, gid int, same bool) {
	same = true
	for i, p := range paths {
		var st syscall.Stat_t
		if syscall.Stat(p, &st) != nil {
			continue
		}
		if i > 0 && int(st.Uid) != uid {
			same = false
		}
		uid, gid = int(st.Uid), int(st.Gid)
	}
	return uid, gid, same
}

func lookTool(name string) (string, error) {
	for dir := range strings.SplitSeq(toolPath, ":") {
		path := dir + "/" + name
		if st, err := os.Stat(path); err == nil && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fail(ToolMissing, name, "this program is not installed; Debian has it in %s", packageOf(name))
}

func packageOf(tool string) string {
	switch tool {
	case "qemu-img", "qemu-storage-daemon":
		return "qemu-utils or qemu-system-common"
	case "grub-mkimage":
		return "grub-common and grub-pc-bin"
	case "mke2fs", "e2fsck", "resize2fs", "debugfs":
		return "e2fsprogs"
	case "mkfs.xfs", "xfs_repair":
		return "xfsprogs"
	case "mkfs.btrfs", "btrfs":
		return "btrfs-progs"
	case "mkfs.f2fs", "fsck.f2fs", "resize.f2fs":
		return "f2fs-tools"
	case "mkfs.vfat":
		return "dosfstools"
	case "qemu-system-x86_64":
		return "qemu-system-x86"
	}
	return "a package of the same name"
}

// capped keeps the first MiB and hands on lines as they come.
type capped struct {
	buf  bytes.Buffer // not embedded: its ReadFrom would pass by Write
	line func(string)
	part []byte
}

func (c *capped) String() string { return c.buf.String() }

func (c *capped) Write(p []byte) (int, error) {
	if room := maxOutput - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	if c.line == nil {
		return len(p), nil
	}
	for _, b := range p {
		if b == '\r' || b == '\n' {
			c.line(string(c.part))
			c.part = c.part[:0]
		} else if len(c.part) < 4096 {
			c.part = append(c.part, b)
		}
	}
	return len(p), nil
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}
