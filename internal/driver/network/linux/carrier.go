package linux

import (
	"time"

	"github.com/vishvananda/netlink"
)

// patience is how long a new link may take to come up before it is used as it
// is. The kernel needs a few milliseconds, on a busy machine some more.
const patience = time.Second

// awaitUp waits until the kernel has brought a link up that it was told to:
// before, a bridge drops what comes by it, such as the announcement of a
// router's addresses.
func (s *space) awaitUp(name string) error {
	done := make(chan struct{})
	updates := make(chan netlink.LinkUpdate, 16)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{Namespace: &s.ns, ListExisting: true})
	if err != nil {
		close(done)
		return err
	}
	defer func() {
		close(done)
		go func() {
			for range updates { // let the sender come to its end
				continue
			}
		}()
	}()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case update, ok := <-updates:
			if !ok {
				return nil
			}
			if a := update.Attrs(); a.Name == name && a.OperState == netlink.OperUp {
				return nil
			}
		case <-timeout.C:
			return nil
		}
	}
}
