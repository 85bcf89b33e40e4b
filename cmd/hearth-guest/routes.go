package main

import (
	"syscall"
	"time"
)

// routes tells of changes in this guest's addresses and routes, so that the
// metadata service is asked the moment it can be reached.
type routes struct{ fd int }

func watchRoutes() (*routes, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	groups := uint32(1<<(syscall.RTNLGRP_LINK-1) | 1<<(syscall.RTNLGRP_IPV4_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV4_ROUTE-1) | 1<<(syscall.RTNLGRP_IPV6_IFADDR-1))
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groups}); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return &routes{fd: fd}, nil
}

// wait returns at the next change, or after limit at the latest.
func (r *routes) wait(limit time.Duration) {
	t := syscall.NsecToTimeval(limit.Nanoseconds())
	if syscall.SetsockoptTimeval(r.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &t) != nil {
		return
	}
	buf := make([]byte, 4096)
	_, _, _ = syscall.Recvfrom(r.fd, buf, 0)
}

func (r *routes) close() { syscall.Close(r.fd) }
