package e2e

import (
	"os"
	"strings"
	"testing"

	"hearth/internal/driver/storage/guesttest"
)

// zfsSetup makes an operator's pool and dataset as docs/zfs.md says, and a volume of his own.
const zfsSetup = `zpool create -o ashift=12 tank /dev/vda && zfs create -o canmount=off -o volmode=dev -o compression=on tank/hearth && zfs create -V 16m tank/keep || exit 1
udevadm settle
dd if=/dev/urandom of=/dev/zvol/tank/keep bs=1M count=16 2>/dev/null
`

// TestServerOnZFS boots a server from a zvol, within a guest that has ZFS, which this host
// need not have.
func TestServerOnZFS(t *testing.T) {
	needE2E(t)
	if inGuest() {
		serverOnZFS(t)
		return
	}
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("builds ZFS and boots guests in a guest: 'make e2e-all' runs this")
	}
	with := guesttest.ZFS(t, "../../scripts/zfs-module")
	with.Disks, with.Setup = []int64{8 << 30}, zfsSetup
	cloudInGuest(t, with)
}

func serverOnZFS(t *testing.T) {
	before := poolReport(t)
	g := guestCloud(t, "{name: tank, driver: zfs, dataset: tank/hearth}")
	g.serversOnDevices([2]string{"tank", "tank"})
	if got := guesttest.Command(t, "zfs", "list", "-r", "-o", "name,hearth:kind", "tank/hearth"); !strings.Contains(got, "/i-") {
		t.Errorf("no image is cached: %q", got)
	}
	g.forget(g.bare, g.keysOnDevice("tank"))
	asBefore(t, before, poolReport)
	g.fsck()
	g.noGuestsLeft()
}

// poolReport is all that an operator has in his pool, what he set, and the sum of what he keeps.
func poolReport(t *testing.T) string {
	t.Helper()
	return strings.Join([]string{
		guesttest.Command(t, "zpool", "get", "-H", "-o", "property,value", "guid,health,readonly,autotrim", "tank"),
		guesttest.Command(t, "zfs", "get", "-r", "-s", "local", "-H", "-t", "all", "all", "tank"),
		guesttest.Command(t, "zfs", "list", "-r", "-H", "-t", "all", "-o", "name,guid,volsize", "tank"),
		guesttest.Command(t, "md5sum", "/dev/zvol/tank/keep"),
	}, "\n")
}
