package bake

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/kiwi"
	"hearth/internal/bake/recipe"
	"hearth/internal/disk"
)

// nebula bakes one of KIWI's trees of a small cloud.
func nebula(t *testing.T, kind string) *RunResult {
	t.Helper()
	dir := filepath.Join(t.TempDir(), kind)
	if _, err := recipe.Scaffold(kind, dir); err != nil {
		t.Fatal(err)
	}
	r, warnings, err := kiwi.Read(dir, "")
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return runLogged(t, r, filepath.Join(dir, "out"))
}

// nebulaDisk is a disk of 6 GiB over an image.
func nebulaDisk(t *testing.T, name string, res *RunResult) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := new(disk.Runner).CreateOverlay(context.Background(), file, disk.Layer{Path: res.Disk, Format: disk.QCOW2}, 6<<30); err != nil {
		t.Fatal(err)
	}
	return file
}

// freeSegment is an address at which one guest listens for another.
func freeSegment(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// nebulaGuest boots a disk with two cards: the cloud's, with metadata, and the segment.
func nebulaGuest(t *testing.T, over string, res *RunResult, signer ssh.Signer, key, segment string, words ...string) (*machine, func(string) string) {
	t.Helper()
	m := boot(t, metadataServer(t, "uuid-"+filepath.Base(over), key), append(drive("format=qcow2,file="+over), append([]string{"-smp", "2",
		"-netdev", "socket,id=segment," + segment}, words...)...)...)
	c := m.login(t, res.User, signer, 20*time.Minute)
	return m, func(command string) string { return do(t, c, command) }
}

// journal is what a guest's services said.
const journal = "sudo journalctl -qb -n 80 -o short-monotonic -u 'nebula-*' -u isc-dhcp-server -u libvirtd"

// eventually runs a command in a guest until it says what is wanted: services come up in their own time.
func eventually(t *testing.T, in func(string) string, command, want string) {
	t.Helper()
	retry, limit, got := time.NewTicker(2*time.Second), time.Now().Add(6*time.Minute), ""
	defer retry.Stop()
	for time.Now().Before(limit) {
		if got = in(command); got == want {
			return
		}
		<-retry.C
	}
	t.Fatalf("%s: %q, want %q; %s", command, got, want, in(journal))
}

// answers holds what commands say in a guest against what they should.
func answers(t *testing.T, in func(string) string, want map[string]string) {
	t.Helper()
	for command, w := range want {
		if got := in(command); got != w {
			t.Errorf("%s: %q, want %q", command, got, w)
		}
	}
}

// TestNebula bakes the head and the node of KIWI's cookbook for Debian, and boots both on one
// segment: the node finds the head at 169.254.1.1:8445, is told its name, takes its address of the
// head's DHCP server, is registered, and has the administrator's home by NFS; the administrator
// then controls the node's libvirt from the head.
func TestNebula(t *testing.T) {
	needAll(t)
	headImage, nodeImage := nebula(t, "nebula-head"), nebula(t, "nebula-node")
	signer, key := newKey(t)
	segment := freeSegment(t)

	m, head := nebulaGuest(t, nebulaDisk(t, "head", headImage), headImage, signer, key, "listen="+segment, "-m", "512", "-device", "virtio-net-pci,netdev=segment,mac=52:54:00:8a:00:01")
	defer func() {
		if t.Failed() {
			t.Log(head(journal))
		}
	}()
	m.waitFor(t, 10*time.Minute, "Nebula Head Node", "login:")
	checkHead(t, head)

	nodeDisk := nebulaDisk(t, "node", nodeImage)
	nodeCard := "virtio-net-pci,netdev=segment,mac=52:54:00:8a:00:02"
	m, node := nebulaGuest(t, nodeDisk, nodeImage, signer, key, "connect="+segment, "-m", "1024", "-device", nodeCard)
	m.waitFor(t, 10*time.Minute, "Nebula Cloud Node", "login:")
	address := checkNode(t, node)
	answers(t, head, map[string]string{
		"cat /var/lib/nebula/nodes":                             "52:54:00:8a:00:02 node-1 " + address,
		"cat /etc/dhcp/nebula-nodes.conf":                       "host node-1 { hardware ethernet 52:54:00:8a:00:02; fixed-address " + address + "; }",
		"grep nebula /etc/hosts":                                address + " node-1 # nebula",
		"systemctl is-active isc-dhcp-server":                   "active",
		"sudo journalctl -qu nebula-registrar -o cat | tail -1": "node-1 is registered, at " + address,
	})
	checkAdministrator(t, head, node)

	t.Log("the node boots again")
	node("sudo sync")
	cutOff(t, m)
	_, node = nebulaGuest(t, nodeDisk, nodeImage, signer, key, "connect="+segment, "-m", "1024", "-device", nodeCard)
	eventually(t, node, "systemctl is-active nebula-firstboot || true", "active")
	eventually(t, node, "findmnt -no SOURCE /var/lib/one || true", "10.0.8.1:/var/lib/one")
	answers(t, node, map[string]string{"hostname": "node-1", "ip -4 -o address show br0 | grep -o 'inet [0-9.]*'": "inet " + address})
	answers(t, head, map[string]string{"cat /var/lib/nebula/nodes": "52:54:00:8a:00:02 node-1 " + address})
}

// cutOff ends a guest as if its power failed. QEMU itself ends in order, and leaves a sound disk.
func cutOff(t *testing.T, m *machine) {
	t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// heardOfHead is a command that says "some" when leases of a card have the head's option.
func heardOfHead(card string) string {
	return "grep -q 'option nebula-head 10.0.8.1;' /var/lib/dhcp/dhclient." + card + ".leases && echo some"
}

func checkHead(t *testing.T, in func(string) string) {
	t.Helper()
	const services = " nebula-firstboot nebula-info nebula-registrar isc-dhcp-server nfs-server rpcbind ssh"
	eventually(t, in, "systemctl is-active"+services+" | sort -u | xargs; true", "active")
	answers(t, in, map[string]string{
		"id -un": "nebula", "hostname": "spark",
		"systemctl is-enabled" + services + " 2>/dev/null | sort -u | xargs": "enabled",
		"systemctl --failed --no-legend":                                     "",
		"sudo cut -d'(' -f1 /var/lib/nfs/etab | xargs":                       "/var/lib/one 10.0.8.0/24",
		"ip -4 -o address show br0 | grep -o 'inet [0-9./]*' | xargs":        "inet 10.0.8.1/24 inet 169.254.1.1/24",
		"grep ^INTERFACESv4 /etc/default/isc-dhcp-server":                    `INTERFACESv4="br0"`,
		"grep ^FIRSTBOOT /etc/sysconfig/firstboot":                           `FIRSTBOOT_WELCOME_DIR="/usr/share/nebula"`,
		"cat /proc/sys/net/ipv6/conf/all/disable_ipv6":                       "1",
		"cat /etc/modprobe.d/local.conf | xargs":                             "alias net-pf-10 off alias ipv6 off",
		"sudo swapon --show=NAME,SIZE --bytes --noheadings | xargs":          "/swapfile 2147479552",
		"stat -c %a:%U /swapfile":                                            "600:root",
		"sudo stat -c %U:%G /var/lib/one /var/lib/one/.one | xargs":          "oneadmin:cloud oneadmin:cloud",
		"cat /var/lib/nebula/count; ls /var/lib/nebula | xargs":              "1\ncount nodes",
	})
	// A start of the first boot's service does nothing the second time, unless somebody answers anew.
	answers(t, in, map[string]string{"sudo systemctl restart nebula-firstboot && cat /var/lib/nebula/count": "1"})
	said := in(`printf '\n\n\n10.0.8.150\n\n' | sudo nebula-head firstboot --ask`)
	if !strings.Contains(said, "becomes the head of a cloud") || !strings.Contains(said, "NEBULA_LAST [10.0.8.199]:") {
		t.Error(said)
	}
	eventually(t, in, "systemctl is-active"+services+" | sort -u | xargs; true", "active")
	answers(t, in, map[string]string{"cat /var/lib/nebula/count": "2", "grep range /etc/dhcp/dhcpd.conf | xargs": "range 10.0.8.100 10.0.8.150;",
		"ip -4 -o address show br0 | grep -o 'inet [0-9./]*' | xargs": "inet 10.0.8.1/24 inet 169.254.1.1/24"})
}

func checkNode(t *testing.T, in func(string) string) (address string) {
	t.Helper()
	eventually(t, in, "systemctl is-active nebula-firstboot || true", "active")
	address = strings.TrimPrefix(in("ip -4 -o address show br0 | grep -o 'inet [0-9.]*'"), "inet ")
	if !regexp.MustCompile(`^10\.0\.8\.1[0-4][0-9]$`).MatchString(address) {
		t.Errorf("the node's address is %q", address)
	}
	answers(t, in, map[string]string{
		"hostname": "node-1", "ls /var/lib/nebula": "hostname",
		"findmnt -no SOURCE,FSTYPE /var/lib/one | xargs":                    "10.0.8.1:/var/lib/one nfs4",
		"sudo journalctl -qu nebula-firstboot -o cat | grep -c ^registered": "1",
		heardOfHead("br0"): "some",
		"sudo grep -E '^(dynamic_ownership|user|group) ' /etc/libvirt/qemu.conf": "user = \"oneadmin\"\ngroup = \"cloud\"\ndynamic_ownership = 0",
		"sudo grep ^listen_tcp /etc/libvirt/libvirtd.conf":                       "listen_tcp = 1",
		"grep ^NEBULA /etc/sysconfig/nebula":                                     `NEBULA_INTERFACE="eth1"`,
		"cat /proc/sys/net/ipv6/conf/all/disable_ipv6":                           "1",
		"sudo swapon --show=NAME --noheadings":                                   "/swapfile",
		"test -x /usr/bin/kvm && echo there":                                     "there",
		"systemctl is-enabled nebula-firstboot libvirtd ssh | sort -u":           "enabled",
	})
	return address
}

// diskless is a guest of the node's own.
const diskless = "<domain type='qemu'><name>spark</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"

// checkAdministrator has oneadmin, who has no password and no key but that of the common home, go
// from the head to the node and start a guest there: as oneadmin, for that is what qemu.conf says.
func checkAdministrator(t *testing.T, head, node func(string) string) {
	t.Helper()
	answers(t, node, map[string]string{"id oneadmin": head("id oneadmin")})
	there := func(command string) string {
		return head(fmt.Sprintf("sudo -u oneadmin ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR node-1 %q", command))
	}
	if got := there("hostname; id -un; pwd; echo came >mark"); got != "node-1\noneadmin\n/var/lib/one" {
		t.Errorf("%q", got)
	}
	begin := time.Now()
	there("echo \"" + diskless + "\" >spark.xml && virsh -q -c qemu:///system create spark.xml")
	t.Logf("a guest on the node after %.0f s", time.Since(begin).Seconds())
	answers(t, head, map[string]string{"sudo cat /var/lib/one/mark": "came"})
	answers(t, node, map[string]string{"ps -o user= -C qemu-system-x86_64 | xargs": "oneadmin", "sudo virsh -q -c qemu:///system list --name": "spark"})
}

// rogue starts another DHCP server on the segment, in a network namespace of the head's. It is
// quicker than the head, and knows nothing of its option.
const rogue = `set -e
ip netns add rogue
ip link add rogue0 type veth peer name rogue1
ip link set rogue1 netns rogue
ip link set rogue0 master br0 up
ip -n rogue address add 10.0.9.1/24 dev rogue1
ip -n rogue link set rogue1 up
printf 'authoritative;\nping-check false;\nsubnet 10.0.9.0 netmask 255.255.255.0 { range 10.0.9.10 10.0.9.99; }\n' >/run/rogue.conf
: >/run/rogue.leases
(setsid ip netns exec rogue dhcpd -4 -d -cf /run/rogue.conf -lf /run/rogue.leases -pf /run/rogue.pid rogue1 </dev/null >/run/rogue.log 2>&1 &)`

// TestNebulaGuest boots the cookbook's guest on the head's segment, where another DHCP server
// offers addresses too: it takes its lease of the head.
func TestNebulaGuest(t *testing.T) {
	needAll(t)
	headImage, guestImage := nebula(t, "nebula-head"), nebula(t, "nebula-guest")
	signer, key := newKey(t)
	segment := freeSegment(t)
	m, head := nebulaGuest(t, nebulaDisk(t, "head", headImage), headImage, signer, key, "listen="+segment, "-m", "512", "-device", "virtio-net-pci,netdev=segment,mac=52:54:00:8a:00:01")
	defer func() {
		if t.Failed() {
			t.Log(head(journal))
		}
	}()
	m.waitFor(t, 10*time.Minute, "Nebula Head Node", "login:")
	eventually(t, head, "systemctl is-active isc-dhcp-server nebula-registrar | sort -u; true", "active")
	head("cat >rogue.sh <<'END'\n" + rogue + "\nEND\nsudo sh rogue.sh")

	_, guest := nebulaGuest(t, nebulaDisk(t, "guest", guestImage), guestImage, signer, key, "connect="+segment, "-m", "384", "-device", "virtio-net-pci,netdev=segment,mac=52:54:00:8a:00:03")
	defer func() {
		if t.Failed() {
			t.Log(guest("ip address; sudo journalctl -qb -n 60 -o short-monotonic -u networking -u 'ifup@*' -t dhclient; cat /var/lib/dhcp/*.leases"))
		}
	}()
	eventually(t, guest, "ip -4 -o address show eth1 | grep -c 'inet 10[.]0[.]8[.]1' || true", "1")
	answers(t, guest, map[string]string{
		"id -un": "nebula", "cat /proc/sys/net/ipv6/conf/all/disable_ipv6": "1", heardOfHead("eth1"): "some",
		"ip -4 -o address show | grep -c 'inet 10[.]0[.]9[.]' || true": "0", "pgrep -c dhclient": "2",
	})
	if offers := head("grep -c '^DHCPOFFER .* to 52:54:00:8a:00:03' /run/rogue.log || true"); offers == "0" {
		t.Error("the other server has offered nothing:", head("cat /run/rogue.log"))
	} else {
		t.Logf("the other server offered %s times", offers)
	}
}
