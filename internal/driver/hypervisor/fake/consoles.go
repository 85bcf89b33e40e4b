package fake

import (
	"context"
	"encoding/binary"
	"io"
	"net"

	"hearth/internal/cloud"
)

// Console implements hypervisor.Guest: a screen that stays black (RFC 6143), a serial line that says back what is typed.
func (g *guest) Console(ctx context.Context, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	err := g.on(ctx, "hypervisor.Console", func(*Host) error {
		go func() {
			defer theirs.Close()
			if kind == cloud.ConsoleVNC {
				_ = screen(theirs, g.m.cfg.Name) // ends when the client has seen enough
				return
			}
			if _, err := io.WriteString(theirs, "\r\n"+g.m.cfg.Name+" login: "); err == nil {
				_, _ = io.Copy(theirs, theirs)
			}
		}()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ours, nil
}

// screen greets a client of the RFB protocol and then reads whatever it sends.
func screen(c io.ReadWriter, name string) error {
	version := []byte("RFB 003.008\n")
	if _, err := c.Write(version); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, version); err != nil {
		return err
	}
	if _, err := c.Write([]byte{1, 1}); err != nil { // one kind of security: none
		return err
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, 4)); err != nil { // it is accepted
		return err
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // ClientInit
		return err
	}
	// 640 by 480 pixels of 32 bits, 24 of them used: red, green and blue of 8 bits each.
	hello := []byte{0x02, 0x80, 0x01, 0xe0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}
	hello = binary.BigEndian.AppendUint32(hello, uint32(len(name)))
	if _, err := c.Write(append(hello, name...)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}
