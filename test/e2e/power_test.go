package e2e

import (
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

func try(s *session, id string) (*servers.Server, error) {
	return servers.Get(s.ctx, s.compute, id).Extract()
}

// power stops, starts and reboots a guest, and has it power itself off. Its disk
// stays what it was, and user-data runs no second time.
func (g *stage) power() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	in.run("sudo sh -c 'echo kept > /var/lib/kept; sync'")
	boot := bootID(in)
	again := func(what string) {
		g.t.Helper()
		in = sshTo(g.t, "ember", g.one.float, g.signer)
		if now := bootID(in); now == boot {
			g.t.Errorf("after %s it is the same boot", what)
		} else {
			boot = now
		}
		if got := in.run("cat /var/lib/kept /var/lib/count"); got != "kept\nagain" {
			g.t.Errorf("after %s: %q", what, got)
		}
	}
	g.do(servers.Stop(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "SHUTOFF")
	if open(g.one.float, 22) {
		g.t.Error("a stopped guest answers")
	}
	g.do(servers.Start(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "ACTIVE")
	again("stop and start")
	for _, kind := range []servers.RebootMethod{servers.SoftReboot, servers.HardReboot} {
		g.do(servers.Reboot(g.ctx, g.compute, g.one.id, servers.RebootOpts{Type: kind}).ExtractErr())
		eventually(g.t, "the guest is another boot", func() bool { return g.status(g.one) == "ACTIVE" && rebooted(g, boot) })
		again(string(kind) + " reboot")
	}
	_, _ = in.try("sudo shutdown -h now")
	g.await(g.one, "SHUTOFF")
	g.do(servers.Start(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "ACTIVE")
	again("its own poweroff")
	g.fsck()
}

func (g *stage) do(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func bootID(in *login) string { return in.run("cat /proc/sys/kernel/random/boot_id") }

// rebooted logs in to see whether it is still the same boot.
func rebooted(g *stage, boot string) bool {
	if !open(g.one.float, 22) {
		return false
	}
	return bootID(sshTo(g.t, "ember", g.one.float, g.signer)) != boot
}
