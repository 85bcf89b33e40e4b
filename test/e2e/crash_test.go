package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// createPoints are the points of a create at which hearth is killed: in the
// housekeeper and in the agent, before and after each step.
var createPoints = []string{
	"reconcile.place.after", "reconcile.apply.before", "reconcile.apply.after",
	"instance.create.before", "instance.create.after", "instance.image.before", "instance.image.after", "instance.disk.before", "instance.disk.after",
	"instance.config-drive.before", "instance.config-drive.after", "instance.ports.before", "instance.ports.after",
	"instance.guest.before", "instance.guest.started", "instance.guest.after", "instance.built",
}

// deletePoints are those of a delete.
var deletePoints = []string{
	"instance.condemn.before", "instance.condemn.after", "instance.guest.undo.before", "instance.guest.undo.after",
	"instance.ports.undo.after", "instance.disk.undo.before", "instance.destroy.after", "reconcile.remove.after",
}

// TestKillDuringCreate kills hearth at each point of a create and starts it
// again: the guest must boot, and nothing may be left over.
func TestKillDuringCreate(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	image := c.session().upload("ember", "qcow2", ember.disk, nil)
	for _, point := range createPoints {
		t.Run(point, func(t *testing.T) {
			c := c.in(t)
			m := c.dieAt(point, func(s *session) *machine {
				return s.launch("42", wish{name: "crash", image: image, network: s.networkNamed("private"), script: userScript, configDrive: true})
			})
			s := c.session()
			s.ready(m)
			// A disk or guest that was interrupted must work to the end; of the others it is proof enough that the loader finds its disk.
			proof := "Loading /boot/vmlinuz"
			if strings.HasPrefix(point, "instance.disk") || strings.HasPrefix(point, "instance.guest") || point == "instance.config-drive.after" {
				proof = "user-data-was-here"
			}
			c.awaitConsole(m.id, proof)
			c.fsck()
			s.remove(m)
			c.fsck()
		})
	}
}

// TestKillDuringDelete kills hearth at each point of a delete: after the restart
// the server goes, and all that was its.
func TestKillDuringDelete(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	image := c.session().upload("ember", "qcow2", ember.disk, nil)
	for _, point := range deletePoints {
		t.Run(point, func(t *testing.T) {
			c := c.in(t)
			s := c.session()
			m := s.launch("42", wish{name: "crash", image: image, network: s.networkNamed("private")})
			s.ready(m)
			c.dieAt(point, func(s *session) *machine {
				_ = servers.Delete(s.ctx, s.compute, m.id).ExtractErr() // it may die before it answers
				return m
			})
			c.session().remove(m)
			c.fsck()
			c.noGuestsLeft()
		})
	}
}

// dieAt restarts the cloud so that it dies at a point, acts, waits for its death
// and starts it again as it should be.
func (c *theCloud) dieAt(point string, act func(*session) *machine) *machine {
	c.t.Helper()
	c.kill()
	c.up("HEARTH_FAILPOINT=" + point)
	m := act(c.session())
	c.awaitDeath()
	start := time.Now()
	c.up()
	c.t.Logf("died at %s, ready again in %.2f s", point, time.Since(start).Seconds())
	return m
}
