package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"golang.org/x/crypto/ssh"

	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/driver/storage/guesttest"
)

// serversOnDevices boots a server from a volume of the first pool of each pair, in a test of
// that name, and plugs one of the second into it.
func (g *stage) serversOnDevices(pairs ...[2]string) {
	for _, pools := range pairs {
		ok := g.t.Run(pools[0], func(t *testing.T) {
			start := time.Now()
			defer func() { t.Logf("%.1f s", time.Since(start).Seconds()) }()
			g.in(t).serverOnDevice(pools[0], pools[1])
		})
		if !ok {
			g.t.FailNow()
		}
	}
}

// serverOnDevice boots a server from a volume that is a block device of the host, starts it
// anew, and plugs in a volume of another pool.
func (g *stage) serverOnDevice(pool, other string) {
	start := time.Now()
	root := g.volumeIn(pool, "root-"+pool, g.bare)
	g.t.Logf("a volume of the image in %.1f s", time.Since(start).Seconds())
	m := g.startOn("on-"+pool, root)
	in := g.loggedIn(m)
	g.awaitConsole(m.id, "login:")
	g.backs(m, root)
	if name := disk(in, root); name != "vda" {
		g.t.Errorf("the boot volume is %s", name)
	}
	if got := number(g.t, in.run("cat /sys/block/vda/size")); got != 1<<30/512 { // the host writes to no device, and ember grows nothing itself
		g.t.Errorf("the root disk has %d sectors", got)
	}
	mark := "kept-by-" + m.id
	in.run("echo " + mark + " | sudo tee /var/lib/kept; sync")
	if !holds(g.t, g.deviceOf(root), mark) {
		g.t.Errorf("what the guest wrote is not on %s", g.deviceOf(root))
	}

	boot := bootID(in)
	g.kill()
	g.up()
	if now := bootID(in); now != boot {
		g.t.Error("the guest did not outlive hearth")
	}
	g.do(servers.Reboot(g.ctx, g.compute, m.id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	eventually(g.t, "it is another boot", func() bool {
		in = sshTo(g.t, "ember", m.float, g.signer)
		now := bootIDOr(in)
		return now != boot && now != ""
	})
	if got := in.run("cat /var/lib/kept"); got != mark {
		g.t.Errorf("after a reboot the root disk holds %q", got)
	}
	g.backs(m, root)
	g.plugDevice(m, in, other)
	g.remove(m)
	g.awaitVolume(root, "available")
	if !holds(g.t, g.deviceOf(root), mark) {
		g.t.Error("the volume lost what its server wrote")
	}
	g.dropVolume(root)
	g.fsck()
}

// plugDevice gives a running guest a volume of a pool, which grows, and takes it away.
func (g *stage) plugDevice(m *machine, in *login, pool string) {
	data := g.volumeIn(pool, "data", "")
	start := time.Now()
	g.attach(m, data)
	name := disk(in, data)
	g.t.Logf("a volume of %s came in %.1f s", pool, time.Since(start).Seconds())
	g.backs(m, data)
	in.run("echo kept-in-the-volume | sudo dd of=/dev/" + name + " bs=512 seek=7 conv=sync,fsync 2>/dev/null")
	larger := *g.volume
	larger.Type, larger.Microversion = "volume", "3.42" // from which on a volume may be extended while in use
	g.do(volumes.ExtendSize(g.ctx, &larger, data, volumes.ExtendSizeOpts{NewSize: 2}).ExtractErr())
	eventually(g.t, "the guest sees 2 GiB", func() bool { return number(g.t, in.run("cat /sys/block/"+name+"/size")) == 2<<30/512 })
	g.awaitVolume(data, "in-use")
	g.detach(m, data)
	if out, err := in.try("ls /sys/block/" + name); err == nil {
		g.t.Errorf("the guest has it still: %s", out)
	}
	dev := must(os.Open(g.deviceOf(data)))(g.t)
	defer dev.Close()
	block := make([]byte, 512)
	if _, err := dev.ReadAt(block, 7*512); err != nil || !bytes.HasPrefix(block, []byte("kept-in-the-volume\n")) {
		g.t.Errorf("the device holds %q, %v", block, err)
	}
	dev.Close()
	g.dropVolume(data)
}

var processLine = regexp.MustCompile(`(?m)^ +process +(\d+)$`)

// deviceOf gives the block device that a volume is, as 'hearth volume where' tells it.
func (g *stage) deviceOf(volume string) string {
	g.t.Helper()
	out := g.hearth("volume", "where", volume)
	found := regexp.MustCompile(`/dev/\S+` + volume).FindString(out)
	st, err := os.Stat(found)
	if err != nil || st.Mode()&os.ModeDevice == 0 {
		g.t.Fatalf("the volume %s is no block device of its name: %v\n%s", volume, err, out)
	}
	return found
}

// backs fails the test unless a server's process has a volume's device open, and what
// explains the server says so.
func (g *stage) backs(m *machine, volume string) {
	g.t.Helper()
	device := g.deviceOf(volume)
	node, err := filepath.EvalSymlinks(device)
	if err != nil {
		g.t.Fatal(err)
	}
	out := g.hearth("explain", "server", m.id)
	if !strings.Contains(out, device+" (raw") {
		g.t.Errorf("explain says nothing of %s:\n%s", device, out)
	}
	pid := processLine.FindStringSubmatch(out)
	if pid == nil {
		g.t.Fatalf("explain names no process:\n%s", out)
	}
	files, err := filepath.Glob("/proc/" + pid[1] + "/fd/*")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range files {
		if to, _ := os.Readlink(f); to == node {
			g.t.Logf("process %s has %s, %s, open", pid[1], device, node)
			return
		}
	}
	g.t.Errorf("process %s has not %s open, of %d files", pid[1], node, len(files))
}

// holds tells whether words are on a device.
func holds(t *testing.T, device, words string) bool {
	t.Helper()
	dev := must(os.Open(device))(t)
	defer dev.Close()
	const step = 1 << 20
	buf := make([]byte, step+len(words))
	for at := int64(0); ; at += step {
		n, _ := dev.ReadAt(buf, at)
		if n == 0 {
			return false
		}
		if bytes.Contains(buf[:n], []byte(words)) {
			return true
		}
	}
}

// volumeIn makes a volume of 1 GiB of a type, of an image or blank.
func (g *stage) volumeIn(kind, name, image string) string {
	g.t.Helper()
	v := must(volumes.Create(g.ctx, g.volume, volumes.CreateOpts{Name: name, Size: 1, VolumeType: kind, ImageID: image}, nil).Extract())(g.t)
	g.awaitVolume(v.ID, "available")
	return v.ID
}

func (g *stage) dropVolume(id string) {
	g.t.Helper()
	g.do(volumes.Delete(g.ctx, g.volume, id, nil).ExtractErr())
	eventually(g.t, "the volume is gone", func() bool { return gone(volumes.Get(g.ctx, g.volume, id).Err) })
}

// cachedImage is an image as glance lists it of the nodes' caches.
type cachedImage struct {
	ID string `json:"image_id"`
}

// forget has the nodes drop images, when they have told that they have them, and deletes them.
func (g *stage) forget(ids ...string) {
	g.t.Helper()
	for _, id := range ids {
		eventually(g.t, "the node's cache tells of the image", func() bool {
			var told struct {
				Images []cachedImage `json:"cached_images"`
			}
			resp, err := g.image.Get(g.ctx, g.image.ServiceURL("cache"), &told, nil)
			g.do(err)
			resp.Body.Close()
			return slices.ContainsFunc(told.Images, func(i cachedImage) bool { return i.ID == id })
		})
		resp, err := g.image.Delete(g.ctx, g.image.ServiceURL("cache", id), &gophercloud.RequestOpts{OkCodes: []int{http.StatusNoContent}})
		g.do(err)
		resp.Body.Close()
		g.do(images.Delete(g.ctx, g.image, id).ExtractErr())
	}
}

// asBefore waits until what an operator sees of his storage is as it was.
func asBefore(t *testing.T, before string, report func(*testing.T) string) {
	t.Helper()
	now := ""
	t.Cleanup(func() {
		if now != before {
			t.Logf("the storage was\n%s\nand is\n%s", before, now)
		}
	})
	eventually(t, "the storage is as it was", func() bool {
		now = report(t)
		return now == before
	})
}

// keysOnDevice has a server boot from a volume that has ssh host keys, and nothing that
// makes others: they are made new on the device. What boots from it says nothing. It gives
// the image.
func (g *stage) keysOnDevice(pool string) string {
	g.t.Helper()
	shared := guestfstest.Image(g.t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(g.t, dir, "etc/os-release=ID=debian\n", "etc/ssh/sshd_config=HostKey /etc/ssh/ssh_host_ed25519_key\n", "etc/ssh/ssh_host_ed25519_key=shared\n", "etc/ssh/ssh_host_ed25519_key.pub=shared\n")
	})
	image := g.upload("shared", "raw", shared, nil)
	root := g.volumeIn(pool, "shared", image)
	read := func() string {
		return guesttest.Command(g.t, "sh", "-c", "debugfs -R 'cat /etc/ssh/ssh_host_ed25519_key.pub' "+g.deviceOf(root)+" 2>/dev/null")
	}
	if was := read(); was != "shared" {
		g.t.Fatalf("before the first boot the volume has the key %q", was)
	}
	m := g.startOn("shared", root)
	g.ready(m)
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(read()))
	if err != nil {
		g.t.Fatalf("the new key %q: %v", read(), err)
	}
	out := linesWith(g.hearth("explain", "server", m.id), "host keys")
	if !strings.Contains(out, "made new on volume "+root) || !strings.Contains(out, ssh.FingerprintSHA256(key)) {
		g.t.Errorf("the key on the device is %s; explain says %q", ssh.FingerprintSHA256(key), out)
	}
	g.t.Log(out)
	g.remove(m)
	g.awaitVolume(root, "available")
	guesttest.Command(g.t, "e2fsck", "-f", "-n", g.deviceOf(root))
	g.dropVolume(root)
	return image
}
