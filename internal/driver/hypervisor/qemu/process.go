package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/driver/hypervisor"
)

// process is a hold on one process: not on its number, which is used again, but on the very process, by a pidfd.
type process struct {
	pid     int
	started uint64
	fd      *os.File
	child   *exec.Cmd     // nil when it is another's child, or an orphan
	done    chan struct{} // closed when the process is gone, or when let go
	exited  bool          // valid after done
	code    int           // valid after done
}

// errNoProcess says that the process that was asked for is not there; the number may be another's.
var errNoProcess = errors.New("no such process")

// hold takes hold of the process with this number and start time, or of whichever has the number if started is 0. child is
// the same process as this one's child, to be reaped when it ends; nil when it is not one.
func hold(pid int, started uint64, child *exec.Cmd) (*process, error) {
	if pid <= 1 {
		return nil, errNoProcess
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, errNoProcess
	} else if err != nil {
		return nil, fmt.Errorf("open a pidfd (Linux 5.10 or later): %w", err)
	}
	// The number is looked up after the hold was taken: if it still belongs to a process that started when ours did,
	// then the hold is on that one.
	s, err := readStat(pid)
	if err != nil || s.dead() && child == nil || started != 0 && s.started != started {
		unix.Close(fd)
		return nil, errNoProcess
	}
	p := &process{pid: pid, started: s.started, fd: os.NewFile(uintptr(fd), "pidfd"), child: child,
		done: make(chan struct{}), code: hypervisor.ExitUnknown}
	go p.watch()
	return p, nil
}

// watch waits for the end without a thread of its own: a pidfd becomes readable for the runtime's poller.
func (p *process) watch() {
	defer close(p.done)
	defer p.fd.Close()
	raw, err := p.fd.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, _ := unix.Poll(poll, 0)
			return n > 0
		})
	}
	if err != nil && p.child == nil {
		return // let go
	}
	if p.child != nil {
		p.child.Wait()
		p.code = exitCode(p.child.ProcessState)
	}
	p.exited = true
}

// exitCode is the exit status, or the negative number of the signal.
func exitCode(s *os.ProcessState) int {
	if s == nil {
		return hypervisor.ExitUnknown
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return -int(w.Signal())
	}
	return s.ExitCode()
}

// gone tells whether the process is known to have ended.
func (p *process) gone() bool {
	select {
	case <-p.done:
		return p.exited
	default:
		return false
	}
}

// letGo gives up the hold. On a child it is kept until it ends, for somebody must reap it.
func (p *process) letGo() {
	if p.child == nil {
		p.fd.SetReadDeadline(time.Now())
	}
}

// kill ends the process, and none other. No error when it has ended.
func (p *process) kill() error { return p.send(unix.SIGKILL) }

// send sends the process, and none other, a signal. No error when it has ended.
func (p *process) send(signal syscall.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err == nil {
		var sent error
		err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), signal, nil, 0) })
		err = errors.Join(err, sent)
	}
	if p.gone() || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// stat is what is used of /proc/PID/stat (proc(5)).
type stat struct {
	state   byte
	started uint64 // clock ticks since boot
	cpu     time.Duration
	threads int
	pages   int64 // resident
}

// dead tells whether the process has ended, all of it: its first thread may be a zombie while others still hold its
// files, and with them the lock on its folder.
func (s stat) dead() bool { return (s.state == 'Z' || s.state == 'X') && s.threads <= 1 }

func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(raw)
}

// parseStat reads the fields after the command, whose name may have anything in it, ')' included.
func parseStat(raw []byte) (stat, error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, errors.New("malformed /proc/PID/stat")
	}
	f := strings.Fields(string(raw[end+1:]))
	if len(f) < 22 || len(f[0]) != 1 {
		return stat{}, errors.New("short /proc/PID/stat")
	}
	const tick = time.Second / 100 // USER_HZ, the same on every Linux that Go runs on
	user, err1 := strconv.ParseUint(f[11], 10, 62)
	system, err2 := strconv.ParseUint(f[12], 10, 62)
	threads, err3 := strconv.Atoi(f[17])
	started, err4 := strconv.ParseUint(f[19], 10, 64)
	pages, err5 := strconv.ParseInt(f[21], 10, 64)
	s := stat{state: f[0][0], started: started, cpu: time.Duration(user+system) * tick, threads: threads, pages: pages}
	return s, errors.Join(err1, err2, err3, err4, err5)
}

// bootID names the present run of this host's kernel.
func bootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw)), err
}
