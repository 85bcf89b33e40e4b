package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// ordinarily runs a script of bash as an ordinary user who may use the cloud and FUSE,
// in mounts of its own. $1 is hearth, $2 and on are words.
func (g *stage) ordinarily(script string, words ...string) (string, error) {
	const frame = `set -e; d=$(mktemp -d); mknod $d/fuse c 10 229; chmod 666 $d/fuse; mount --bind $d/fuse /dev/fuse; rm -r $d
		exec setpriv --reuid 1000 --regid 1000 --clear-groups -- bash -ec "$@"`
	args := append([]string{"-m", "bash", "-c", frame, "frame", script, "script", g.bin}, words...)
	return g.theCloud.try(append(g.env, "HOME="+g.ordinary(), "PATH="+os.Getenv("PATH")), "unshare", args...)
}

// ordinary is a folder of the ordinary user's.
func (g *stage) ordinary() string {
	dir := filepath.Join(os.TempDir(), "hearth-e2e-ordinary")
	g.do(os.MkdirAll(dir, 0o700))
	g.do(os.Chown(dir, 1000, 1000))
	return dir
}

// mountDisk has an ordinary user look into the disk that the guest boots from while it
// runs, and change files on it while it is off: the guest finds them at its next start,
// and is the same else.
func (g *stage) mountDisk() {
	in := g.inside()
	const keys = "sudo sh -c 'sync; sha256sum /etc/dropbear/dropbear_*_host_key'"
	eventually(g.t, "it has three host keys", func() bool { return strings.Count(in.run(keys), "_host_key") == 3 })
	who := in.run(keys)
	out, err := g.ordinarily(`if "$1" mount-disks --rw one; then exit 1; fi 2>&1; ls -d /tmp/one_root 2>&1 || true`, "one")
	if err != nil || !strings.Contains(out, "is ACTIVE") || !strings.Contains(out, "cannot access") {
		g.t.Errorf("of a guest that runs: %v\n%s", err, out)
	}
	if !g.bootsFromVolume() { // which is not read under a guest
		out, err = g.ordinarily(`"$1" mount-disks one; cat /tmp/one_root/etc/hostname /tmp/one_root/var/lib/kept; touch /tmp/one_root/x 2>&1 || true; "$1" umount-disks one`)
		if want := in.run("cat /etc/hostname"); err != nil || !strings.Contains(out, "\n"+want+"\nkept\n") || !strings.Contains(out, "Read-only file system") {
			g.t.Errorf("for reading: %v\n%s", err, out)
		}
	}
	g.do(servers.Stop(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "SHUTOFF")
	before := must(servers.Get(g.ctx, g.compute, g.one.id).Extract())(g.t)
	const script = `"$1" mount-disks --rw one; cd /tmp/one_root; cat var/lib/kept; cp -p var/lib/kept var/lib/changed; sed -i s/kept/changed/ var/lib/changed
		mkdir var/lib/new; head -c 3000000 /dev/urandom > var/lib/new/big; sha256sum var/lib/new/big; mv var/lib/new var/lib/moved; chmod 640 var/lib/moved/big; chown 7:8 var/lib/moved/big
		openstack --os-compute-api-version 2.73 server show one -f value -c locked_reason; cd /; "$1" umount-disks one 2>&1; ls -d /tmp/one_root /tmp/hearth-disk-mount-* 2>&1 || true`
	out, err = g.ordinarily(script)
	if err != nil || !strings.Contains(out, "\nkept\n") || !strings.Contains(out, "mounted to be changed") || !strings.Contains(out, "has its changed disk") {
		g.t.Fatalf("to be changed: %v\n%s", err, out)
	}
	sum := ""
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 2 && f[1] == "var/lib/new/big" {
			sum = f[0]
		}
	}
	after := must(servers.Get(g.ctx, g.compute, g.one.id).Extract())(g.t)
	if fmt.Sprint(after.Image, after.Status, after.AttachedVolumes) != fmt.Sprint(before.Image, "SHUTOFF", before.AttachedVolumes) {
		g.t.Errorf("the server was %v and is %v", before, after)
	}
	if list := g.client("openstack", "image", "list", "--format", "value", "-c", "Name"); strings.Contains(list, "disk of") {
		g.t.Errorf("images are left: %s", list)
	}
	g.do(servers.Start(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "ACTIVE")
	in = g.inside()
	if got := in.run("cat /var/lib/changed; sudo sha256sum /var/lib/moved/big; stat -c '%a %u:%g' /var/lib/moved/big; sudo rm -r /var/lib/moved /var/lib/changed"); got != "changed\n"+sum+"  /var/lib/moved/big\n640 7:8" {
		g.t.Errorf("the guest finds %q", got)
	}
	if now := in.run(keys); now != who {
		g.t.Errorf("the guest's keys were\n%s\nand are\n%s", who, now)
	}
	if roots := g.rootDisks(); !g.bootsFromVolume() && len(roots) != 1 {
		g.t.Errorf("root disks: %v", roots)
	}
}

// bootsFromVolume tells whether the server one does.
func (g *stage) bootsFromVolume() bool {
	return len(must(servers.Get(g.ctx, g.compute, g.one.id).Extract())(g.t).Image) == 0
}
