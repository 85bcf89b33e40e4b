package linux

import (
	"errors"

	"github.com/mdlayher/netlink"
)

// growBuffers lets a transaction of many rules and its acknowledgements fit:
// with the default sizes the kernel answers "message too long" or "no buffer
// space available".
func growBuffers(conn *netlink.Conn) error {
	return errors.Join(conn.SetReadBuffer(socketBuffer), conn.SetWriteBuffer(socketBuffer))
}
