package lvm

import (
	"os"
	"strings"
	"testing"

	"hearth/internal/driver/storage/guesttest"
)

// lvmConf spares LVM what the guest does not have: udev, a daemon that watches, and
// time, for it looks at all of /dev at every call.
const lvmConf = `devices { obtain_device_list_from_udev = 0 scan = [ "/dev/disks" ] sysfs_scan = 0 multipath_component_detection = 0 md_component_detection = 0 fw_raid_component_detection = 0 }
activation { monitoring = 0 udev_sync = 0 udev_rules = 0 thin_pool_autoextend_threshold = 90 reserved_memory = 0 reserved_stack = 0 }
backup { backup = 0 archive = 0 }
`

// The extents are of 512 bytes, so that the suite gets the sizes that it asks for.
const lvmSetup = `export DM_DISABLE_UDEV=1
mkdir /dev/disks && ln -s /dev/vda /dev/vdb /dev/vdc /dev/disks/
pvcreate --yes --quiet /dev/disks/vda && vgcreate --quiet --physicalextentsize 512b ops /dev/disks/vda && lvcreate --quiet --yes --size 400m --thinpool pool ops
export HEARTH_LVM_GROUP=$(vgs --noheadings -o vg_uuid ops | tr -d ' ') HEARTH_LVM_POOL=pool HEARTH_LVM_SPARE=/dev/disks/vdb,/dev/disks/vdc
`

// TestInAGuest runs the tests of this package in a guest that has device-mapper,
// which this host need not have.
func TestInAGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("set HEARTH_E2E=1 to run the tests in a guest under QEMU")
	}
	out := guesttest.Run(t, guesttest.Guest{
		Packages: []string{"lvm2", "dmsetup", "thin-provisioning-tools", "libc6", "libdevmapper1.02.1", "libdevmapper-event1.02.1", "libaio1",
			"libblkid1", "libudev1", "libselinux1", "libpcre2-8-0", "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5", "libzstd1", "liblz4-1", "libedit2",
			"libtinfo6", "libbsd0", "libmd0", "libexpat1", "libstdc++6", "libgcc-s1"},
		Modules: []string{"libcrc32c", "dm-mod", "dm-bufio", "dm-bio-prison", "dm-persistent-data", "dm-thin-pool", "dm-snapshot"},
		Files:   map[string]string{"/etc/lvm/lvm.conf": lvmConf},
		Disks:   []int64{1 << 30, 64 << 20, 64 << 20},
		Setup:   lvmSetup,
	}, "--- PASS: TestThickSuite", "--- PASS: TestThinSuite", "--- PASS: TestOthersVolumesAreLeftAlone", "--- PASS: TestGroupsThatCannotBeUsed")
	t.Logf("%d tests passed in the guest", strings.Count(out, "--- PASS"))
}
