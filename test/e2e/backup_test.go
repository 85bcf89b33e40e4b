package e2e

import (
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/backups"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
)

// backedUp makes backups of a volume, whole and then the difference, while a guest has
// it and writes to it, and compares in the guest what comes back of each.
func (g *stage) backedUp() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	boot, volume := bootID(in), g.makeVolume("precious")
	g.attach(g.one, volume)
	dev := "/dev/" + disk(in, volume)
	sum := func(dev string) string { // of the first 16 MiB
		g.t.Helper()
		in.run("sudo blockdev --flushbufs " + dev + " 2>/dev/null; echo 3 | sudo tee /proc/sys/vm/drop_caches >/dev/null")
		return strings.Fields(in.run("sudo dd if=" + dev + " bs=1M count=16 2>/dev/null | sha256sum"))[0]
	}
	in.run("sudo dd if=/dev/urandom of=" + dev + " bs=1M count=16 conv=fsync 2>/dev/null")
	// Somebody goes on writing, behind it, all the while.
	in.run("sudo sh -c '(while [ ! -e /run/enough ] && dd if=/dev/urandom of=" + dev + " bs=64k count=16 seek=1024 conv=notrunc,fsync; do echo >>/run/written; done; touch /run/ended) >/dev/null 2>&1 &'")
	wrote := func() int { return number(g.t, in.run("cat /run/written 2>/dev/null | wc -l")) }
	was := []string{sum(dev)}
	before := wrote()
	made := []string{g.backUp(volume, false)}
	if wrote() == before {
		g.t.Error("nobody wrote while the backup was made")
	}
	in.run("sudo dd if=/dev/urandom of=" + dev + " bs=1M seek=5 count=1 conv=notrunc,fsync 2>/dev/null")
	was, made = append(was, sum(dev)), append(made, g.backUp(volume, true))
	if was[0] == was[1] {
		g.t.Fatal("the guest wrote nothing")
	}
	for i, id := range made {
		back := must(backups.RestoreFromBackup(g.ctx, g.volume, id, backups.RestoreOpts{Name: "restored"}).Extract())(g.t)
		g.awaitVolume(back.VolumeID, "available")
		g.attach(g.one, back.VolumeID)
		if got := sum("/dev/" + disk(in, back.VolumeID)); got != was[i] {
			g.t.Errorf("backup %d has %s, want %s", i, got, was[i])
		}
		g.detach(g.one, back.VolumeID)
		g.do(volumes.Delete(g.ctx, g.volume, back.VolumeID, nil).ExtractErr())
	}
	if bootID(in) != boot {
		g.t.Error("the guest is another boot")
	}
	in.run("sudo touch /run/enough; until [ -e /run/ended ]; do sleep 1; done")
	g.detach(g.one, volume)
	for i := range made {
		id := made[len(made)-1-i]
		g.do(backups.Delete(g.ctx, g.volume, id).ExtractErr())
		eventually(g.t, "the backup is gone", func() bool { return gone(backups.Get(g.ctx, g.volume, id).Err) })
	}
	g.do(volumes.Delete(g.ctx, g.volume, volume, nil).ExtractErr())
}

// backUp makes a backup of a volume that is in use, and waits for it.
func (g *stage) backUp(volume string, difference bool) string {
	g.t.Helper()
	if _, err := backups.Create(g.ctx, g.volume, backups.CreateOpts{VolumeID: volume, Incremental: difference}).Extract(); err == nil {
		g.t.Error("a volume in use was backed up without force")
	}
	start := time.Now()
	b := must(backups.Create(g.ctx, g.volume, backups.CreateOpts{VolumeID: volume, Force: true, Incremental: difference}).Extract())(g.t)
	eventually(g.t, "the backup is available", func() bool {
		now := must(backups.Get(g.ctx, g.volume, b.ID).Extract())(g.t)
		if now.Status == "error" {
			g.t.Fatalf("the backup failed: %s", now.FailReason)
		}
		return now.Status == "available"
	})
	if now := must(backups.Get(g.ctx, g.volume, b.ID).Extract())(g.t); now.IsIncremental != difference {
		g.t.Errorf("incremental: %t", now.IsIncremental)
	}
	g.awaitVolume(volume, "in-use")
	g.t.Logf("backed up in %.1f s (difference: %t)", time.Since(start).Seconds(), difference)
	return b.ID
}
