package linux

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// class tells with which traffic class a datagram from one guest reaches another.
func class(t *testing.T, from, to *guest, target netip.AddrPort) (int, error) {
	t.Helper()
	family, level, name := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVTOS
	if target.Addr().Is6() {
		family, level, name = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS
	}
	open := func(g *guest) (fd int) {
		err := g.Do(func() (err error) {
			fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	address := func(a netip.Addr) unix.Sockaddr {
		if a.Is4() {
			return &unix.SockaddrInet4{Port: int(target.Port()), Addr: a.As4()}
		}
		return &unix.SockaddrInet6{Port: int(target.Port()), Addr: a.As16()}
	}
	in, out := open(to), open(from)
	defer unix.Close(in)
	defer unix.Close(out)
	if err := unix.SetsockoptInt(in, level, name, 1); err != nil {
		t.Fatal(err)
	}
	patience := unix.NsecToTimeval(int64(soon))
	if err := unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(in, address(target.Addr())); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(out, []byte("ember"), 0, address(target.Addr())); err != nil {
		t.Fatal(err)
	}
	control := make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(in, make([]byte, 64), control, 0)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 || len(messages[0].Data) == 0 {
		return 0, fmt.Errorf("no traffic class came with it: %v, %w", messages, err)
	}
	return int(messages[0].Data[0]), nil
}

// TestE2EDSCP sends what a port marks, and sees the mark at the other end: the packets
// arrive, so their checksums are right.
func TestE2EDSCP(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24", "fd00:2::/64")
	open := p.group(append(egressAll(), ingress("IPv4", "udp", 5001), ingress("IPv6", "udp", 5001))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	mark := 46
	for _, step := range []struct {
		name     string
		mark     *int
		security bool
		want     int
	}{{"unmarked", nil, true, 0}, {"expedited", &mark, true, 46 << 2}, {"without port security", &mark, false, 46 << 2}, {"unmarked again", nil, true, 0}} {
		p.Ports[0].DSCP, p.Ports[0].Security = step.mark, step.security
		l.apply(p)
		for _, address := range b.Addresses {
			got, err := class(t, ga, gb, netip.AddrPortFrom(address.IP, 5001))
			if err != nil || got != step.want {
				t.Errorf("%s, to %s: class %d, want %d: %v", step.name, address.IP, got, step.want, err)
			}
		}
	}
}

func TestE2EAddressGroup(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24", "fd00:1::/64")
	db4, db6 := ingress("IPv4", "6", 5432), ingress("IPv6", "tcp", 5432)
	db4.RemoteAddressGroupID, db6.RemoteAddressGroupID = "trusted", "trusted"
	db := p.group(append(egressAll(), db4, db6)...)
	a, b, c := p.port(11, db), p.port(12, db), p.port(13, db)
	prefixes := func(texts ...string) {
		p.AddressGroups = []cloud.AddressGroupSpec{{ID: "trusted"}}
		for _, text := range texts {
			p.AddressGroups[0].Addresses = append(p.AddressGroups[0].Addresses, netip.MustParsePrefix(text))
		}
		l.apply(p)
	}
	// 10.0.0.8/30 holds guest 11 in pieces that overlap and touch.
	prefixes("10.0.0.8/31", "10.0.0.10/31", "10.0.0.11/32", "fd00:1::b/128")
	ga, gb, gc := l.guest(p, a), l.guest(p, b), l.guest(p, c)
	gb.serve(":5432")
	four, six := ip(b)+":5432", "["+b.Addresses[1].IP.String()+"]:5432"
	ga.mustSee(four, ip(a))
	ga.mustSee(six, a.Addresses[1].IP.String())
	gc.mustNotReach(four)
	gc.mustNotReach(six)
	prefixes("0.0.0.0/0", "::/0")
	gc.mustSee(four, ip(c))
	prefixes("10.0.0.12/31", "0.0.0.0/32", "255.255.255.255/32")
	gc.mustSee(four, ip(c))
	ga.mustNotReach(four)
	prefixes()
	gc.mustNotReach(four)
	prefixes("0.0.0.0/0", "10.0.0.11/32", "::/0")
	ga.mustSee(four, ip(a))
	gc.mustSee(six, c.Addresses[1].IP.String())
}
