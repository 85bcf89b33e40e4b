package qemu

import (
	"context"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// vncFD is the name under which QEMU gets the end of a connection to its screen.
const vncFD = "vnc"

// Console implements hypervisor.Guest. The screen has no socket that anybody could find: QEMU is handed one end of a
// connection made for the purpose (getfd and add_client of its QMP reference).
func (g *guest) Console(ctx context.Context, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	const op = "hypervisor.Console"
	if g.proc.gone() {
		return nil, g.missing(op)
	}
	if kind == cloud.ConsoleSerial {
		conn, err := connect(ctx, g.handle.Dir, hypervisor.FileSerial)
		if err != nil {
			return nil, cloud.E(op, cloud.Unavailable, "guest %s: its serial line cannot be reached: %w", g.handle.ID, err)
		}
		return conn, nil
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, hostError(op, g.handle.ID, err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "vnc"), os.NewFile(uintptr(pair[1]), "vnc")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, hostError(op, g.handle.ID, err)
	}
	if err = g.ask(ctx, op, theirs, "getfd", map[string]string{"fdname": vncFD}, nil); err == nil {
		err = g.ask(ctx, op, nil, "add_client", map[string]any{"protocol": "vnc", "fdname": vncFD, "skipauth": true}, nil)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
