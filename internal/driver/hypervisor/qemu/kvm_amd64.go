package qemu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctls of KVM that the probe needs (linux/kvm.h, Documentation/virt/kvm/api.rst), with the sizes of their
// structures on x86-64.
const (
	kvmGetAPIVersion = 0xae00
	kvmCreateVM      = 0xae01
	kvmVCPUMmapSize  = 0xae04
	kvmCreateVCPU    = 0xae41
	kvmSetMemory     = 0x4020ae46
	kvmRun           = 0xae80
	kvmSetRegs       = 0x4090ae82
	kvmGetSregs      = 0x8138ae83
	kvmSetSregs      = 0x4138ae84

	kvmAPIVersion = 12
	kvmExitIO     = 2
)

const (
	probeLoops    = 20_000 // 20 µs on real hardware, 25 ms under an emulator
	probeTries    = 3      // the best counts: another process may have had the processor
	probePatience = 500 * time.Millisecond
	probeMemory   = 2 << 20
	probeCode     = 0x1000 // guest-physical address of the code; page tables below, see pageTables
)

// measureKVM runs a counting loop as a guest in 64-bit mode and times it. That the guest runs proves nothing: an
// emulator runs it too, a thousand times slower.
func measureKVM() measurement {
	var best measurement
	for range probeTries {
		rate, err := probeOnce()
		if err != nil {
			return measurement{Problem: hopeless(err)}
		}
		best.Rate = max(best.Rate, rate)
		if best.Rate >= minimumRate {
			break
		}
	}
	return best
}

// probeOnce gives loops a second; 0 when the guest did not finish within probePatience.
func probeOnce() (float64, error) {
	v, err := newVCPU()
	if err != nil {
		return 0, err
	}
	defer v.close()
	var late atomic.Bool
	fired := make(chan struct{})
	runtime.LockOSThread() // the watchdog's signal must reach the thread that runs the guest
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	watchdog := time.AfterFunc(probePatience, func() {
		late.Store(true)
		v.run[1] = 1 // immediate_exit, for a KVM_RUN that has not begun
		_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGURG)
		close(fired)
	})
	defer func() {
		if !watchdog.Stop() {
			<-fired // it writes to memory that is about to go
		}
	}()
	begin := time.Now()
	for {
		err = ioctl(v.cpu, kvmRun, 0)
		if late.Load() {
			return 0, nil
		}
		if !errors.Is(err, unix.EINTR) { // the Go runtime's own signals
			break
		}
	}
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("KVM does not run a guest: %w", err)
	}
	if reason := binary.LittleEndian.Uint32(v.run[8:]); reason != kvmExitIO {
		return 0, fmt.Errorf("KVM gave up on a ten-byte guest (exit reason %d)", reason)
	}
	return probeLoops / took.Seconds(), nil
}

// vcpu is a guest with one processor, ready to run.
type vcpu struct {
	system, vm, cpu int
	memory, run     []byte
}

func (v *vcpu) close() {
	for _, m := range [][]byte{v.run, v.memory} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	for _, fd := range []int{v.cpu, v.vm, v.system} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func newVCPU() (*vcpu, error) {
	v := &vcpu{system: -1, vm: -1, cpu: -1}
	if err := v.make(); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *vcpu) make() error {
	var err error
	if v.system, err = unix.Open(kvmDevice, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return &os.PathError{Op: "open", Path: kvmDevice, Err: err}
	}
	if n, err := unix.IoctlRetInt(v.system, kvmGetAPIVersion); err != nil || n != kvmAPIVersion {
		return fmt.Errorf("%s speaks version %d of its interface, not %d (%w)", kvmDevice, n, kvmAPIVersion, err)
	}
	if v.vm, err = unix.IoctlRetInt(v.system, kvmCreateVM); err != nil {
		return fmt.Errorf("KVM makes no virtual machine: %w", err)
	}
	if v.memory, err = unix.Mmap(-1, 0, probeMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS); err != nil {
		return err
	}
	pageTables(v.memory)
	copy(v.memory[probeCode:], []byte{
		0x48, 0xff, 0xc9, // dec rcx
		0x75, 0xfb, // jnz to the beginning
		0xe6, 0xf4, // out 0xf4, al
		0xf4, // hlt
	})
	region := make([]byte, 32) // kvm_userspace_memory_region: slot, flags, guest address, size, our address
	binary.LittleEndian.PutUint64(region[16:], probeMemory)
	binary.LittleEndian.PutUint64(region[24:], uint64(uintptr(unsafe.Pointer(&v.memory[0]))))
	if err := ioctlBytes(v.vm, kvmSetMemory, region); err != nil {
		return fmt.Errorf("KVM takes no memory: %w", err)
	}
	if v.cpu, err = unix.IoctlRetInt(v.vm, kvmCreateVCPU); err != nil {
		return fmt.Errorf("KVM makes no processor: %w", err)
	}
	size, err := unix.IoctlRetInt(v.system, kvmVCPUMmapSize)
	if err != nil || size < 16 {
		return fmt.Errorf("KVM's run structure has %d bytes: %w", size, err)
	}
	if v.run, err = unix.Mmap(v.cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	return v.registers()
}

// Where the tables lie in the guest's memory.
const (
	pml4 = 0x10000
	pdpt = 0x11000
	pd   = 0x12000
)

// pageTables maps the first 2 MiB onto themselves, in one large page.
func pageTables(memory []byte) {
	const present, writable, large = 1, 2, 0x80
	binary.LittleEndian.PutUint64(memory[pml4:], pdpt|present|writable)
	binary.LittleEndian.PutUint64(memory[pdpt:], pd|present|writable)
	binary.LittleEndian.PutUint64(memory[pd:], present|writable|large)
}

// registers puts the processor into 64-bit mode before the loop.
func (v *vcpu) registers() error {
	s := make([]byte, 312) // kvm_sregs
	if err := ioctlBytes(v.cpu, kvmGetSregs, s); err != nil {
		return fmt.Errorf("KVM tells no registers: %w", err)
	}
	const (
		codeSegment, dataSegments = 0, 5 // of eight kvm_segment, 24 bytes each
		control                   = 8*24 + 2*16
		protection, paging        = 1, 1 << 31
		extension                 = 1 << 5       // CR4.PAE
		longMode                  = 1<<8 | 1<<10 // EFER.LME, LMA
	)
	for i := range dataSegments + 1 {
		kind := byte(3) // data, writable
		if i == codeSegment {
			kind = 11 // code, readable
		}
		segment(s[i*24:], kind)
	}
	binary.LittleEndian.PutUint64(s[control:], protection|paging)
	binary.LittleEndian.PutUint64(s[control+16:], pml4)
	binary.LittleEndian.PutUint64(s[control+24:], extension)
	binary.LittleEndian.PutUint64(s[control+40:], longMode)
	if err := ioctlBytes(v.cpu, kvmSetSregs, s); err != nil {
		return fmt.Errorf("KVM does not enter 64-bit mode: %w", err)
	}
	r := make([]byte, 144) // kvm_regs: rax rbx rcx rdx rsi rdi rsp rbp r8-r15 rip rflags
	binary.LittleEndian.PutUint64(r[2*8:], probeLoops)
	binary.LittleEndian.PutUint64(r[16*8:], probeCode)
	binary.LittleEndian.PutUint64(r[17*8:], 2) // the flag that is always set
	return ioctlBytes(v.cpu, kvmSetRegs, r)
}

// segment fills a flat kvm_segment; for code of 64-bit mode l is set in place of db.
func segment(s []byte, kind byte) {
	code := kind&8 != 0
	binary.LittleEndian.PutUint64(s, 0)
	binary.LittleEndian.PutUint32(s[8:], 0xffffffff)
	binary.LittleEndian.PutUint16(s[12:], map[bool]uint16{true: 8, false: 16}[code])
	// type, present, dpl, db, s, l, g, avl, unusable, padding
	flags := [10]byte{kind, 1, 0, 1, 1, 0, 1, 0, 0, 0}
	if code {
		flags[3], flags[5] = 0, 1
	}
	copy(s[14:], flags[:])
}

func ioctl(fd int, request uint, arg uintptr) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), arg); e != 0 {
		return e
	}
	return nil
}

func ioctlBytes(fd int, request uint, buf []byte) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&buf[0])))
	if e != 0 {
		return e
	}
	return nil
}
