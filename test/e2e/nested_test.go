package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/schedulerstats"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"

	"hearth/internal/driver/storage/guesttest"
)

// inGuest tells whether this is the guest that a test runs itself in.
func inGuest() bool { return os.Getenv("HEARTH_IN_GUEST") != "" }

// cloudInGuest runs the test that calls it in a guest whose kernel has what this host's may
// lack, with all that a cloud with real guests needs. Its processor has SVM, so the cloud's
// guests run by KVM.
func cloudInGuest(t *testing.T, add guesttest.Guest) {
	t.Helper()
	ember := bakeImage(t, "ember")
	add.Packages = append(add.Packages, guesttest.Udev...)
	add.Programs = append(add.Programs, "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", "/usr/bin/qemu-storage-daemon", "/usr/sbin/mke2fs", "/usr/sbin/e2fsck", "/usr/sbin/resize2fs", "/usr/sbin/debugfs",
		"/usr/bin/setpriv", "/usr/bin/prlimit", "/usr/sbin/ip", "/usr/sbin/nft")
	add.Modules = append(add.Modules, "kvm-amd", "tun", "veth", "bridge", "br_netfilter", "ifb", "vxlan", "nft_ct", "nft_nat", "nft_chain_nat", "nft_objref", "nft_meta_bridge", "nf_conntrack_bridge",
		"nf_conntrack_netlink", "sch_tbf", "sch_ingress", "cls_u32", "cls_bpf", "act_mirred", "act_bpf", "fuse")
	add.Copies = map[string]string{"/usr/bin/hearth": needE2E(t), "/images/ember.qcow2": ember.disk, "/etc/mke2fs.conf": "/etc/mke2fs.conf", "/usr/share/seabios": "/usr/share/seabios",
		"/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so": "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so"}
	for _, rom := range []string{"kvmvapic.bin", "linuxboot_dma.bin", "keymaps"} {
		add.Copies["/usr/share/qemu/"+rom] = "/usr/share/qemu/" + rom
	}
	add.Files = map[string]string{"/etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "/etc/group": "root:x:0:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\nkmem:x:15:\ndialout:x:20:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\nvideo:x:44:\n" +
		"input:x:101:\nsgx:x:102:\nkvm:x:103:\nrender:x:104:\n"}
	add.Disks = append(add.Disks, 8<<30) // for what is not on the storage that is tested
	last := "/dev/vd" + string(rune('a'+len(add.Disks)-1))
	add.Setup = `ifconfig lo 127.0.0.1 up
/lib/systemd/systemd-udevd --daemon && udevadm trigger --action=add && udevadm settle
/usr/sbin/mke2fs -q -t ext4 ` + last + ` && mount -t ext4 ` + last + ` /tmp && chmod 1777 /tmp
export HEARTH_E2E=1 HEARTH_BIN=/usr/bin/hearth HEARTH_E2E_EMBER=/images/ember.qcow2 TMPDIR=/tmp
` + add.Setup
	add.MemoryMB, add.CPUs, add.Limit, add.Tests = 2560, 2, time.Hour, "^"+t.Name()+"$"
	start := time.Now()
	guesttest.Run(t, add, "--- PASS: "+t.Name())
	t.Logf("the guest and its cloud took %.0f s", time.Since(start).Seconds())
}

// guestCloud is a cloud with backends beside its own directory, each of which has a volume
// type of its name, and with ember.
func guestCloud(t *testing.T, backends string) *stage {
	t.Helper()
	c := newCloud(t, "qemu", "HEARTH_VOLUME_BACKENDS=[{name: file}, "+backends+"]", "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_COMPUTE_ACCEL=kvm")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	g.bare = g.upload("ember", "qcow2", os.Getenv("HEARTH_E2E_EMBER"), nil)
	eventually(t, "each backend tells its room", func() bool {
		told := 0
		for _, p := range must(schedulerstats.ExtractStoragePools(must(schedulerstats.List(g.volume, schedulerstats.ListOpts{Detail: true}).AllPages(g.ctx))(t)))(t) {
			if p.Capabilities.FreeCapacityGB > 0 {
				told++
			}
		}
		return told == 1+strings.Count(backends, "{name:")
	})
	for _, b := range regexp.MustCompile(`\{name: (\w+)`).FindAllStringSubmatch(backends, -1) {
		must(volumetypes.Create(g.ctx, g.volume, volumetypes.CreateOpts{Name: b[1], ExtraSpecs: map[string]string{"volume_backend_name": b[1]}}).Extract())(t)
	}
	t.Log(linesWith(string(must(os.ReadFile(c.data+".log"))(t)), "the hypervisor was probed"))
	return g
}
