package boottest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// maxFrame is how much is kept of each frame: all of a DHCP answer.
const maxFrame = 700

// leases reads what went over the guest's network, in the form of libpcap files
// (draft-ietf-opsawg-pcap), and tells each address that a DHCP server gave, until the
// stream or the reader ends. Frames that are no such answer are passed over.
func leases(r io.Reader, tell func(net.IP)) error {
	in := bufio.NewReader(r)
	head := make([]byte, 24)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch binary.BigEndian.Uint32(head) {
	case 0xa1b2c3d4:
		order = binary.BigEndian
	case 0xd4c3b2a1:
	default:
		return errors.New("the frames are in no form known here")
	}
	record := make([]byte, 16)
	for {
		if _, err := io.ReadFull(in, record); err != nil {
			return err
		}
		n := order.Uint32(record[8:])
		if n > 1<<16 {
			return errors.New("a frame is too long")
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		if ip := acknowledged(frame); ip != nil {
			tell(ip)
		}
	}
}

// acknowledged is the address in a DHCPACK (RFC 2131) over IPv4 and Ethernet; nil if a
// frame is none.
func acknowledged(f []byte) net.IP {
	if len(f) < 14+20 || binary.BigEndian.Uint16(f[12:]) != 0x0800 || f[14]>>4 != 4 || f[14+9] != 17 {
		return nil
	}
	udp := 14 + int(f[14]&15)*4
	if len(f) < udp+8+240 || binary.BigEndian.Uint16(f[udp:]) != 67 || binary.BigEndian.Uint16(f[udp+2:]) != 68 {
		return nil
	}
	b := f[udp+8:]
	if b[0] != 2 || binary.BigEndian.Uint32(b[236:]) != 0x63825363 {
		return nil
	}
	for o := b[240:]; len(o) > 2 && o[0] != 255; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		n := int(o[1])
		if len(o) < 2+n {
			return nil
		}
		if o[0] == 53 && n == 1 && o[2] == 5 {
			return net.IP(append([]byte(nil), b[16:20]...))
		}
		o = o[2+n:]
	}
	return nil
}
