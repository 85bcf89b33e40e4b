// Package vm runs QEMU for the oven: a machine of one's own, as any user, that ends with
// this process however that ends, is given open files only, and is watched from outside by
// its serial line and monitor. Tests that boot images and installers share it.
package vm

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"hearth/internal/driver/hypervisor/qmp"
)

// Guest is a running QEMU.
type Guest struct {
	Mon     *qmp.Client // after Connect
	Console *Console
	Began   time.Time

	cmd     *exec.Cmd
	monitor net.Conn
	errs    bytes.Buffer
	ended   error // what Wait gave; after exited
	exited  chan struct{}
	once    sync.Once
}

// Exited is closed when the process is gone.
func (g *Guest) Exited() <-chan struct{} { return g.exited }

// Errors is what QEMU complained of; read it after Exited.
func (g *Guest) Errors() string { return g.errs.String() }

// Crash is the signal by which QEMU itself crashed, in words; "" if it did not. Read it after
// Exited. It is no fault of what it ran: QEMU 7.2 with two emulated processors was seen to end by
// a segmentation fault, once in thousands of starts.
func (g *Guest) Crash() string { return crash(g.ended) }

func crash(ended error) string {
	var exit *exec.ExitError
	if !errors.As(ended, &exit) {
		return ""
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return ""
	}
	switch s := status.Signal(); s {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT:
		return s.String()
	}
	return ""
}

// Ended says why QEMU ended by itself; read it after Exited.
func (g *Guest) Ended() string {
	if signal := g.Crash(); signal != "" {
		return "QEMU crashed (" + signal + "), which is no fault of what it ran: " + strings.TrimSpace(g.Errors())
	}
	return "QEMU ended: " + strings.TrimSpace(g.Errors())
}

// nobody is who runs QEMU when root tests: it is given open files only.
const nobody = 65534

// pair is a connection of which one end is for QEMU.
func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	mine := os.NewFile(uintptr(fds[0]), "socket")
	defer mine.Close()
	theirs = os.NewFile(uintptr(fds[1]), "socket")
	if ours, err = net.FileConn(mine); err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// Start runs a binary with the words that arguments adds to a line, which it is given with the
// numbers of the serial line and the monitor in QEMU. shared are files that QEMU opens by
// name as /proc/self/fd: whoever it runs as may.
func Start(ctx context.Context, binary string, shared []*os.File, arguments func(l *Line, serial, monitor int) error) (g *Guest, err error) {
	l := &Line{}
	defer l.Close()
	g = &Guest{exited: make(chan struct{})}
	serial, serialFile, err := pair()
	if err != nil {
		return nil, err
	}
	serialFD := l.FD(serialFile)
	monitor, monitorFile, err := pair()
	if err != nil {
		serial.Close()
		return nil, err
	}
	monitorFD := l.FD(monitorFile)
	g.monitor, g.Console = monitor, NewConsole(serial)
	if err := arguments(l, serialFD, monitorFD); err != nil {
		return nil, errors.Join(err, serial.Close(), monitor.Close())
	}
	g.cmd = exec.Command(binary, l.Words...)
	g.cmd.Dir, g.cmd.Env, g.cmd.ExtraFiles, g.cmd.Stderr = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, l.Files, &g.errs
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		if g.cmd.SysProcAttr.Credential, err = unprivileged(shared); err != nil {
			return nil, errors.Join(err, serial.Close(), monitor.Close())
		}
	}
	if err := g.launch(); err != nil {
		return nil, errors.Join(err, serial.Close(), monitor.Close())
	}
	l.Close() // so that the ends of the pipe and sockets are seen
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if g.Mon, err = qmp.New(ctx, monitor); err != nil {
		g.Kill()
		return nil, errors.Join(err, errors.New(g.Errors()))
	}
	return g, nil
}

// unprivileged is who QEMU is instead of root.
func unprivileged(shared []*os.File) (*syscall.Credential, error) {
	c := &syscall.Credential{Uid: nobody, Gid: nobody}
	if st, err := os.Stat("/dev/kvm"); err == nil && st.Mode()&0o060 == 0o060 {
		if s, ok := st.Sys().(*syscall.Stat_t); ok && s.Gid != 0 {
			c.Groups = []uint32{s.Gid}
		}
	}
	var err error
	for _, f := range shared {
		err = errors.Join(err, f.Chown(nobody, nobody))
	}
	return c, err
}

// launch starts the process on a thread that lives as long: the kernel ends the process
// with the thread that made it.
func (g *Guest) launch() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		g.Began = time.Now()
		err := g.cmd.Start()
		started <- err
		if err == nil {
			g.ended = g.cmd.Wait()
			close(g.exited)
		}
	}()
	return <-started
}

// Kill ends the guest, if it is there, and what reads from it.
func (g *Guest) Kill() {
	g.once.Do(func() {
		_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
		<-g.exited
		if g.Mon != nil {
			g.Mon.Close()
		}
		g.monitor.Close()
		g.Console.close()
	})
}
