package linux

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// instruction is one of the kernel's packet programs (BPF, RFC 9669), 8 bytes: opcode, both
// registers, jump offset, constant.
type instruction struct {
	code   uint8
	dst    uint8
	src    uint8
	offset int16
	value  int32
}

// The opcodes that are used here.
const (
	opLoad32   = 0x61 // dst = *(u32 *)(src + offset)
	opCopy     = 0xbf // dst = src
	opSet      = 0xb7 // dst = value
	opAnd      = 0x57 // dst &= value
	opIfEqual  = 0x15 // if dst == value, go offset on
	opIfNot    = 0x55 // if dst != value, go offset on
	opCall     = 0x85 // call the kernel's helper value
	opExit     = 0x95
	helperPush = 18 // bpf_skb_vlan_push(packet, protocol, id)
	helperPop  = 19 // bpf_skb_vlan_pop(packet)
	helperSend = 23 // bpf_redirect(device, flags)
)

// What the programs find in a packet (struct __sk_buff of linux/bpf.h, byte offsets).
const (
	packetTagged   = 20
	packetTag      = 24
	packetProtocol = 28
)

// What the programs answer (linux/pkt_cls.h).
const (
	goOn    = -1 // to the next filter, and to the bridge
	discard = 2
)

const vlanMask = 0xfff // the VLAN id, of a tag

// tagProtocol is 802.1Q's Ethernet type as it stands in the packet, read in the
// machine's order.
func tagProtocol() int32 {
	return int32(binary.NativeEndian.Uint16([]byte{0x81, 0x00}))
}

// splitter takes the tag off what a trunk's guest sends with one, and sends it on to
// the device of its VLAN. What has no tag goes on as if there were no trunk; any
// other tag ends here. It stands where the port's frames enter the switch.
func splitter(devices map[int]int) []instruction {
	head := []instruction{
		{code: opCopy, dst: 6, src: 1},
		{code: opLoad32, dst: 2, src: 6, offset: packetTagged},
		{code: opIfNot, dst: 2, value: 0, offset: 2},
		{code: opSet, dst: 0, value: goOn},
		{code: opExit},
		{code: opLoad32, dst: 2, src: 6, offset: packetProtocol},
		{code: opIfEqual, dst: 2, value: tagProtocol(), offset: 2},
		{code: opSet, dst: 0, value: discard},
		{code: opExit},
		{code: opLoad32, dst: 7, src: 6, offset: packetTag},
		{code: opAnd, dst: 7, value: vlanMask},
	}
	return append(head, branches(devices)...)
}

// branches looks for the VLAN in register 7 among the devices. A found one is 9
// instructions of its own, so no jump is long.
func branches(devices map[int]int) []instruction {
	var list []instruction
	for vlan := 1; vlan < vlanMask; vlan++ {
		device, ok := devices[vlan]
		if !ok {
			continue
		}
		list = append(list,
			instruction{code: opIfNot, dst: 7, value: int32(vlan), offset: 9},
			instruction{code: opCopy, dst: 1, src: 6},
			instruction{code: opCall, value: helperPop},
			instruction{code: opIfEqual, dst: 0, value: 0, offset: 2},
			instruction{code: opSet, dst: 0, value: discard},
			instruction{code: opExit},
			instruction{code: opSet, dst: 1, value: int32(device)},
			instruction{code: opSet, dst: 2, value: 0},
			instruction{code: opCall, value: helperSend},
			instruction{code: opExit},
		)
	}
	return append(list, instruction{code: opSet, dst: 0, value: discard}, instruction{code: opExit})
}

// tagger puts a tag on what comes back from a sub-port's network, and sends it to the
// trunk's guest.
func tagger(vlan, device int) []instruction {
	return []instruction{
		{code: opSet, dst: 2, value: tagProtocol()},
		{code: opSet, dst: 3, value: int32(vlan)},
		{code: opCall, value: helperPush},
		{code: opIfEqual, dst: 0, value: 0, offset: 2},
		{code: opSet, dst: 0, value: discard},
		{code: opExit},
		{code: opSet, dst: 1, value: int32(device)},
		{code: opSet, dst: 2, value: 0},
		{code: opCall, value: helperSend},
		{code: opExit},
	}
}

// encode writes a program as the kernel reads it.
func encode(program []instruction) []byte {
	raw := make([]byte, 0, 8*len(program))
	for _, i := range program {
		registers := i.dst | i.src<<4
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
			registers = i.dst<<4 | i.src
		}
		raw = append(raw, i.code, registers)
		raw = binary.NativeEndian.AppendUint16(raw, uint16(i.offset))
		raw = binary.NativeEndian.AppendUint32(raw, uint32(i.value))
	}
	return raw
}

// loadProgram is the part of the kernel's union bpf_attr that loading needs.
type loadProgram struct {
	kind, count         uint32
	program, license    uint64
	logLevel, logSize   uint32
	log                 uint64
	kernel, flags       uint32
	name                [16]byte
	ifindex, attachType uint32
}

// load gives a program to the kernel, which proves it safe, and returns its
// descriptor.
func load(name string, program []instruction) (int, error) {
	raw, license := encode(program), []byte("none\x00")
	log := make([]byte, 64<<10)
	attr := loadProgram{
		kind: unix.BPF_PROG_TYPE_SCHED_CLS, count: uint32(len(program)),
		program: uint64(uintptr(unsafe.Pointer(&raw[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	copy(attr.name[:15], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		attr.logLevel, attr.logSize, attr.log = 1, uint32(len(log)), uint64(uintptr(unsafe.Pointer(&log[0])))
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	runtime.KeepAlive(raw)
	runtime.KeepAlive(license)
	if errno != 0 {
		return -1, fmt.Errorf("load the packet program %s: %w: %s", name, errno, unix.ByteSliceToString(log))
	}
	return int(fd), nil
}

// The order of the filters where a port's frames enter: what is a sub-port's leaves
// before the port's own limit is looked at.
const (
	orderSteer = 1
	orderLimit = 2
)

// steer has a program see every frame that enters by a device, in place of the one
// that did.
func (s *space) steer(link netlink.Link, name string, program []instruction) error {
	if err := s.ensureEntry(link); err != nil {
		return err
	}
	fd, err := load(name, program)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // the filter keeps the program
	return s.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: link.Attrs().Index, Parent: entryHandle, Handle: 1, Priority: orderSteer, Protocol: unix.ETH_P_ALL},
		Fd:          fd, Name: name, DirectAction: true,
	})
}

var entryHandle = netlink.MakeHandle(0xffff, 0)

// entryOf is the queue of a device that filters of what enters hang on; nil for none.
func (s *space) entryOf(link netlink.Link) (netlink.Qdisc, error) {
	list, err := s.QdiscList(link)
	if err != nil {
		return nil, err
	}
	for _, q := range list {
		if q.Type() == "ingress" {
			return q, nil
		}
	}
	return nil, nil
}

func (s *space) ensureEntry(link netlink.Link) error {
	have, err := s.entryOf(link)
	if err != nil || have != nil {
		return err
	}
	return s.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: entryHandle, Parent: netlink.HANDLE_INGRESS}})
}

// dropEntryFilters removes the filters of a place in the order from where a device's
// frames enter.
func (s *space) dropEntryFilters(link netlink.Link, order uint16) error {
	have, err := s.entryOf(link)
	if err != nil || have == nil {
		return err
	}
	list, err := s.FilterList(link, entryHandle)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.Attrs().Priority != order {
			continue
		}
		a := f.Attrs()
		all := &netlink.GenericFilter{FilterAttrs: netlink.FilterAttrs{LinkIndex: a.LinkIndex, Parent: entryHandle, Priority: order, Protocol: a.Protocol}, FilterType: f.Type()}
		return s.FilterDel(all) // without a handle it is all of them
	}
	return nil
}
