package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// address is an address and a port, and for IPv6 the index and the name of the
// card that it is behind.
type address struct {
	netip.AddrPort
	card int
	name string
}

// host is how a request names it.
func (a address) host() string {
	switch {
	case a.Addr().Is4():
		return a.Addr().String()
	case a.name != "":
		return "[" + a.Addr().String() + "%25" + a.name + "]"
	}
	return "[" + a.Addr().String() + "]"
}

// socket is the address as the kernel takes it.
func (a address) socket() (family int, to syscall.Sockaddr) {
	if a.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: uint32(a.card)}
}

// maxBody bounds an answer: user-data has at most 64 KiB, metadata little more.
const maxBody = 4 << 20

// get fetches path by HTTP/1.0, in which an answer ends with its connection:
// nothing of chunks or keeping alive is needed. It gives the status and the body.
func get(at address, path string) (int, []byte, error) {
	fd, err := dial(at)
	if err != nil {
		return 0, nil, err
	}
	conn := os.NewFile(uintptr(fd), "metadata")
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: hearth-guest\r\n\r\n", path, at.host()); err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxBody))
	if err != nil {
		return 0, nil, err
	}
	return parseAnswer(answer)
}

// dial connects with a limit of five seconds on each operation; of one for a
// connection by IPv6, which a card's own network answers or nobody does.
func dial(at address) (int, error) {
	family, to := at.socket()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	connect := int64(5)
	if family == syscall.AF_INET6 {
		connect = 1
	}
	for opt, seconds := range map[int]int64{syscall.SO_RCVTIMEO: 5, syscall.SO_SNDTIMEO: connect} {
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, opt, &syscall.Timeval{Sec: seconds}); err != nil {
			syscall.Close(fd)
			return 0, err
		}
	}
	if err := syscall.Connect(fd, to); err != nil {
		syscall.Close(fd)
		return 0, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

func parseAnswer(b []byte) (int, []byte, error) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	fields := strings.Fields(string(head))
	if !ok || len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return 0, nil, fmt.Errorf("the answer is not HTTP")
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, nil, fmt.Errorf("the answer has the status %q", fields[1])
	}
	return status, body, checkLength(string(head), len(body))
}

// checkLength finds an answer that was cut off.
func checkLength(head string, got int) error {
	for line := range strings.SplitSeq(head, "\r\n") {
		key, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(key, "Content-Length") {
			continue
		}
		if want, err := strconv.Atoi(strings.TrimSpace(value)); err != nil || want != got {
			return fmt.Errorf("the answer has %d bytes of %s", got, strings.TrimSpace(value))
		}
	}
	return nil
}
