package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// address is an IPv4 address and a port.
type address struct {
	ip   [4]byte
	port int
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
	host := fmt.Sprintf("%d.%d.%d.%d", at.ip[0], at.ip[1], at.ip[2], at.ip[3])
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: hearth-guest\r\n\r\n", path, host); err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxBody))
	if err != nil {
		return 0, nil, err
	}
	return parseAnswer(answer)
}

// dial connects with a limit of five seconds on each operation.
func dial(at address) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	limit := syscall.Timeval{Sec: 5}
	for _, opt := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, opt, &limit); err != nil {
			syscall.Close(fd)
			return 0, err
		}
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: at.port, Addr: at.ip}); err != nil {
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
