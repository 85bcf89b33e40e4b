package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// netInstaller is what the ramdisk runs that came over the network: it fetches a system
// from where the kernel's arguments say, writes it on an empty disk and starts anew.
// Started again with that disk full, it says so.
const netInstaller = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in /modules/1/*.ko /modules/2/*.ko; do $b insmod $m; done
echo "installer: started" >/dev/ttyS0
while [ ! -e /dev/vda ] || [ ! -e /sys/class/net/eth0 ]; do $b usleep 100000; done
$b ip link set eth0 up
$b udhcpc -n -q -t 20 -i eth0 -s /lease >/dev/ttyS0 2>&1
from=$($b sed -n 's/.*system=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ "$($b dd if=/dev/vda bs=1 skip=510 count=2 2>/dev/null | $b hexdump -e '/1 "%02x"')" = 55aa ]; then
	echo "installer: the disk is not empty" >/dev/ttyS0
	$b poweroff -f
fi
$b wget -q -O - $from | $b zcat >/dev/vda && $b sync && echo "installer: done" >/dev/ttyS0
$b reboot -f
`

// lease is what udhcpc runs.
const lease = `#!/bin/busybox sh
[ "$1" = bound ] || exit 0
/bin/busybox ip addr add $ip/$mask dev $interface
/bin/busybox ip route add default via $router
`

// TestNetboot shows a system come to an empty volume over the network and boot from
// there: from an installer's folder by Hearth's verb alone, and from an iPXE script.
func TestNetboot(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") == "" {
		t.Skip("HEARTH_E2E_ALL is not set: 'make e2e-all' runs this, which boots six times, and needs Debian's package ipxe")
	}
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	web, asked := netbootWeb(t, ember)
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	verb := func(name string, args ...string) *machine {
		all := append([]string{"server", "create", "--disk", "1", "--flavor", "42", "--network", g.private, "--key-name", "me", "--security-group", "web"}, args...)
		return &machine{name: name, id: lastLine(g.hearth(append(all, name)...))}
	}
	for _, part := range []struct {
		name string
		args []string
	}{
		{"Folder", []string{"--netboot", web + "/installer/", "--append", "rdinit=/init console=ttyS0,115200 quiet system=" + web + "/system.gz"}},
		{"Script", []string{"--netboot", web + "/boot.ipxe"}},
	} {
		t.Run(part.name, func(t *testing.T) {
			g, start := g.in(t), time.Now()
			m := verb(strings.ToLower(part.name), part.args...)
			g.await(m, "ACTIVE")
			g.awaitConsole(m.id, "installer: done")
			t.Logf("installed in %.1f s", time.Since(start).Seconds())
			in := g.loggedIn(m) // no client told it to start again
			if got := asked("/system.gz"); got != 1 {
				t.Errorf("the system was fetched %d times", got)
			}
			boot := bootID(in)
			g.do(servers.Reboot(g.ctx, g.compute, m.id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
			eventually(t, "it boots from the volume again", func() bool {
				now := bootIDOr(sshTo(t, "ember", m.float, g.signer))
				return now != "" && now != boot
			})
			if got := asked("/installer/linux"); got != 0 {
				t.Errorf("the installer's kernel was fetched again")
			}
			g.remove(m)
		})
	}
	if got := strings.Count(c.client("openstack", "image", "list", "-f", "value", "-c", "Name"), "netboot of"); got != 2 {
		t.Errorf("%d CD-ROMs of iPXE", got)
	}
	g.fsck()
}

// netbootWeb serves an installer where guests reach it; asked counts what was fetched
// since it was asked last.
func netbootWeb(t *testing.T, ember baked) (address string, asked func(string) int) {
	t.Helper()
	dir := t.TempDir()
	root, web := filepath.Join(dir, "root"), filepath.Join(dir, "web")
	if err := os.MkdirAll(filepath.Join(web, "installer"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, data string) {
		if err := os.WriteFile(name, []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(root, "init"), netInstaller)
	write(filepath.Join(root, "lease"), lease)
	command(t, "sh", "-c", "gzip -1 -c "+ember.raw+" >"+filepath.Join(web, "system.gz"))
	command(t, "sh", "-c", "cd "+root+" && find . | cpio -o -H newc --quiet >"+filepath.Join(dir, "more.cpio"))
	ramdisk, more := must(os.ReadFile(ember.ramdisk))(t), must(os.ReadFile(filepath.Join(dir, "more.cpio")))(t)
	for len(ramdisk)%4 != 0 { // archives begin at a multiple of four
		ramdisk = append(ramdisk, 0)
	}
	write(filepath.Join(web, "installer", "initrd.gz"), string(append(ramdisk, more...)))
	write(filepath.Join(web, "installer", "linux"), string(must(os.ReadFile(ember.kernel))(t)))
	l := must(net.Listen("tcp", ":0"))(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	address = "http://172.24.5.1:" + port
	write(filepath.Join(web, "boot.ipxe"), "#!ipxe\nset web "+address+"\nkernel ${web}/installer/linux rdinit=/init console=ttyS0,115200 quiet system=${web}/system.gz\n"+
		"initrd ${web}/installer/initrd.gz\nboot\n")
	var lock sync.Mutex
	counts, files := map[string]int{}, http.FileServer(http.Dir(web))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Logf("%s asks for %s", r.RemoteAddr, r.URL.Path)
		lock.Lock()
		counts[r.URL.Path]++
		lock.Unlock()
		files.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return address, func(name string) int {
		lock.Lock()
		defer lock.Unlock()
		n := counts[name]
		clear(counts)
		return n
	}
}
