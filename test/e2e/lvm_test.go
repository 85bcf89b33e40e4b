package e2e

import (
	"os"
	"strings"
	"testing"

	"hearth/internal/driver/storage/guesttest"
)

// lvmSetup makes an operator's two volume groups: ops with a thin pool, and plain, with a
// volume of his own. Device manager and LVM are as Debian sets them up.
const lvmSetup = `pvcreate -q /dev/vda /dev/vdb && vgcreate -q ops /dev/vda && vgcreate -q plain /dev/vdb || exit 1
lvcreate -q -y --type thin-pool -L 3g -n pool ops && lvcreate -q -y -L 16m -n keep plain || exit 1
dd if=/dev/urandom of=/dev/plain/keep bs=1M count=16 2>/dev/null
export HEARTH_E2E_GROUPS="$(vgs --noheadings -o vg_uuid ops) $(vgs --noheadings -o vg_uuid plain)"
`

// TestServerOnLVM boots servers from logical volumes, thin and thick, within a guest that
// has device-mapper, which this host need not have.
func TestServerOnLVM(t *testing.T) {
	needE2E(t)
	if inGuest() {
		serversOnLVM(t)
		return
	}
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots guests in a guest: 'make e2e-all' runs this")
	}
	cloudInGuest(t, guesttest.Guest{
		Packages: []string{"lvm2", "dmsetup", "dmeventd", "thin-provisioning-tools", "libdevmapper1.02.1", "libdevmapper-event1.02.1", "liblvm2cmd2.03", "libaio1", "libsystemd0", "libgcrypt20",
			"libgpg-error0", "liblz4-1", "libedit2", "libtinfo6", "libbsd0", "libmd0", "libexpat1", "libstdc++6", "libgcc-s1"},
		Modules: []string{"dm-thin-pool", "dm-snapshot"},
		Disks:   []int64{4 << 30, 4 << 30},
		Setup:   lvmSetup,
	})
}

func serversOnLVM(t *testing.T) {
	groups := strings.Fields(os.Getenv("HEARTH_E2E_GROUPS"))
	if len(groups) != 2 {
		t.Fatalf("HEARTH_E2E_GROUPS names no two volume groups: %q", groups)
	}
	before := groupsReport(t)
	g := guestCloud(t, "{name: thin, driver: lvm, group: "+groups[0]+", pool: pool}, {name: thick, driver: lvm, group: "+groups[1]+"}")
	g.serversOnDevices([2]string{"thin", "thick"}, [2]string{"thick", "thin"})
	if got := guesttest.Command(t, "lvs", "--noheadings", "-o", "lv_tags", "ops", "plain"); !strings.Contains(got, "hearth.image") {
		t.Errorf("no image is cached: %q", got)
	}
	g.forget(g.bare, g.keysOnDevice("thin"))
	asBefore(t, before, groupsReport)
	g.fsck()
	g.noGuestsLeft()
}

// groupsReport is all that an operator sees of his groups, and the sum of what he keeps in one.
// That a pool has once been in use (its device is "open") is no part of it.
func groupsReport(t *testing.T) string {
	t.Helper()
	return strings.Join([]string{
		guesttest.Command(t, "vgs", "-o", "vg_uuid,vg_name,vg_attr,vg_size,vg_free,vg_tags,pv_name,pv_uuid,pv_attr"),
		guesttest.Command(t, "lvs", "-a", "-o", "lv_uuid,lv_full_name,lv_layout,lv_role,lv_permissions,lv_active,zero,lv_size,lv_tags,data_percent"),
		guesttest.Command(t, "md5sum", "/dev/plain/keep"),
	}, "\n")
}
