package boottest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

// guest is a running QEMU. It ends with this process, however that ends.
type guest struct {
	cmd     *exec.Cmd
	mon     *qmp.Client
	console *console
	frames  *os.File // what goes over its network, see frames.go
	errs    bytes.Buffer
	exited  chan struct{} // closed when the process is gone
	port    int           // on 127.0.0.1, that leads to the guest's 22
	began   time.Time
	once    sync.Once
}

// nobody is who runs QEMU when root tests: it is given open files only.
const nobody = 65534

// line is QEMU's command line under construction, with the files it is handed.
type line struct {
	words []string
	files []*os.File
}

func (l *line) add(words ...string) { l.words = append(l.words, words...) }

// fd hands a file over and gives its number in QEMU.
func (l *line) fd(f *os.File) int {
	l.files = append(l.files, f)
	return 2 + len(l.files)
}

// path hands a file over and gives the name by which QEMU opens it.
func (l *line) path(name string, flag int) (string, error) {
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return "", err
	}
	n := l.fd(f)
	l.add("-add-fd", fmt.Sprintf("fd=%d,set=%d", n, n))
	return fmt.Sprintf("/dev/fdset/%d", n), nil
}

func (l *line) close() {
	for _, f := range l.files {
		f.Close()
	}
}

// block adds a block node of a raw or qcow2 file with nothing, or backing, below it.
func (l *line) block(node, driver, path string, flag int, backing any) error {
	name, err := l.path(path, flag)
	if err != nil {
		return err
	}
	readOnly := flag == os.O_RDONLY
	n := map[string]any{"node-name": node, "driver": driver, "read-only": readOnly,
		"file": map[string]any{"driver": "file", "filename": name, "read-only": readOnly}}
	if driver == "qcow2" {
		n["backing"] = backing
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	l.add("-blockdev", string(b))
	return nil
}

// arguments makes the command line. The serial line, the monitor and the frames come
// by the descriptors given.
func (t *test) arguments(l *line, serial, monitor, frames int) error {
	machine := t.opt.Machine + ",usb=off,vmport=off,graphics=off" // SeaBIOS speaks on the serial line then
	if t.opt.Firmware == "uefi" {
		if err := t.uefi(l); err != nil {
			return err
		}
		machine += ",pflash0=code,pflash1=vars"
	}
	l.add("-machine", machine, "-name", "guest="+instanceName, "-no-user-config", "-nodefaults", "-display", "none", "-vga", "none", "-rtc", "base=utc",
		"-m", fmt.Sprintf("%dM", t.opt.MemoryMB), "-smp", "2", "-boot", "strict=on,menu=off", "-action", "reboot=reset,shutdown=poweroff,panic=none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
	if t.accel == "kvm" {
		l.add("-accel", "kvm", "-cpu", "host")
	} else {
		l.add("-accel", fmt.Sprintf("tcg,thread=multi,tb-size=%d", hypervisor.TranslationMB(t.opt.MemoryMB)), "-cpu", "max")
	}
	l.add("-chardev", fmt.Sprintf("socket,id=serial,fd=%d", serial), "-device", "isa-serial,chardev=serial",
		"-chardev", fmt.Sprintf("socket,id=mon,fd=%d", monitor), "-mon", "chardev=mon,mode=control",
		"-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22", "-device", "virtio-net-pci,netdev=net,romfile=,mac="+guestMAC,
		"-object", fmt.Sprintf("filter-dump,id=frames,netdev=net,maxlen=%d,file=/proc/self/fd/%d", maxFrame, frames),
		"-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng", "-device", "pvpanic")
	return t.disks(l)
}

// guestMAC is in the range of QEMU.
const guestMAC = "52:54:00:48:65:61"

func (t *test) disks(l *line) error {
	if err := l.block("base", string(t.layer.Format), t.layer.Path, os.O_RDONLY, nil); err != nil {
		return err
	}
	if err := l.block("root", "qcow2", filepath.Join(t.dir, "overlay"), os.O_RDWR, "base"); err != nil {
		return err
	}
	l.add("-device", "virtio-blk-pci,drive=root,bootindex=1")
	for _, name := range []string{"config", "seed"} {
		if err := l.block(name, "raw", filepath.Join(t.dir, name), os.O_RDONLY, nil); err != nil {
			return err
		}
		l.add("-device", "virtio-blk-pci,drive="+name)
	}
	return nil
}

// firmwares are OVMF's code and the variables it begins with, as Debian, Fedora and
// SUSE have them.
var firmwares = [][2]string{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
	{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
}

// uefi adds the firmware as flash; its variables are a copy.
func (t *test) uefi(l *line) error {
	for _, f := range firmwares {
		vars, err := os.ReadFile(f[1])
		if err != nil {
			continue
		}
		own := filepath.Join(t.dir, "vars")
		if err := os.WriteFile(own, vars, 0o600); err != nil {
			return err
		}
		if err := l.block("code", "raw", f[0], os.O_RDONLY, nil); err != nil {
			return err
		}
		return l.block("vars", "raw", own, os.O_RDWR, nil)
	}
	return fail("there is no firmware for UEFI here; Debian has it in the package ovmf")
}

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

// start starts QEMU and asks where the guest's ssh is found.
func (t *test) start(ctx context.Context) (*guest, error) {
	l := &line{}
	defer l.close()
	serial, serialFile, err := pair()
	if err != nil {
		return nil, err
	}
	serialFD := l.fd(serialFile)
	monitor, monitorFile, err := pair()
	if err != nil {
		serial.Close()
		return nil, err
	}
	monitorFD := l.fd(monitorFile)
	g := &guest{console: newConsole(serial), exited: make(chan struct{})}
	frames, framesFile, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, serial.Close(), monitor.Close())
	}
	g.frames = frames
	framesFD := l.fd(framesFile)
	if err := t.arguments(l, serialFD, monitorFD, framesFD); err != nil {
		return nil, errors.Join(err, serial.Close(), monitor.Close(), frames.Close())
	}
	g.cmd = exec.Command(t.binary, l.words...)
	g.cmd.Dir, g.cmd.Env, g.cmd.ExtraFiles, g.cmd.Stderr = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, l.files, &g.errs
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		if g.cmd.SysProcAttr.Credential, err = unprivileged(framesFile); err != nil {
			return nil, errors.Join(err, serial.Close(), monitor.Close(), frames.Close())
		}
	}
	if err := g.launch(); err != nil {
		return nil, errors.Join(err, serial.Close(), monitor.Close(), frames.Close())
	}
	l.close() // so that the ends of the pipe and sockets are seen
	if err := g.connect(ctx, monitor); err != nil {
		g.kill()
		return nil, fail("QEMU did not start: %v: %s", err, strings.TrimSpace(g.errs.String()))
	}
	return g, nil
}

// unprivileged is who QEMU is instead of root. It opens the pipe by its name.
func unprivileged(pipe *os.File) (*syscall.Credential, error) {
	c := &syscall.Credential{Uid: nobody, Gid: nobody}
	if st, err := os.Stat("/dev/kvm"); err == nil && st.Mode()&0o060 == 0o060 {
		if s, ok := st.Sys().(*syscall.Stat_t); ok && s.Gid != 0 {
			c.Groups = []uint32{s.Gid}
		}
	}
	return c, pipe.Chown(nobody, nobody)
}

// launch starts the process on a thread that lives as long: the kernel ends the process
// with the thread that made it.
func (g *guest) launch() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		g.began = time.Now()
		err := g.cmd.Start()
		started <- err
		if err == nil {
			_ = g.cmd.Wait()
			close(g.exited)
		}
	}()
	return <-started
}

var forwarded = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s`)

func (g *guest) connect(ctx context.Context, conn net.Conn) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if g.mon, err = qmp.New(ctx, conn); err != nil {
		return err
	}
	var text string
	if err := g.mon.Execute(ctx, "human-monitor-command", map[string]string{"command-line": "info usernet"}, &text); err != nil {
		return err
	}
	found := forwarded.FindStringSubmatch(text)
	if found == nil {
		return errors.New("it forwards no port")
	}
	_, err = fmt.Sscan(found[1], &g.port)
	return err
}

// kill ends the guest, if it is there, and what reads from it.
func (g *guest) kill() {
	g.once.Do(func() {
		_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
		<-g.exited
		if g.mon != nil {
			g.mon.Close()
		}
		g.frames.Close()
		g.console.close()
	})
}
