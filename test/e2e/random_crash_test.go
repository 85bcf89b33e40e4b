package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
)

// book is what a client was told, and so may rely on: what was answered is so
// after any crash; what was asked and never answered may be so.
type book struct {
	here, maybe, going map[string]bool // names of servers
	nets, maybeNets    map[string]bool
	vols               *shelf
}

// TestRandomKills kills hearth at random moments while a client works, fifty
// times over, or until everything was granted once: after each start the lists are
// what the client was told, and nothing is left over.
func TestRandomKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := newCloud(t, "fake")
	blank := filepath.Join(t.TempDir(), "i.qcow2")
	c.run(nil, "/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", blank, "64M")
	image := c.session().upload("i", "qcow2", blank, nil)
	b := book{here: map[string]bool{}, maybe: map[string]bool{}, going: map[string]bool{}, nets: map[string]bool{"private": true, "public": true}, maybeNets: map[string]bool{}, vols: newShelf()}
	for round := 0; round < 50 || round < 150 && b.vols.missing() != nil; round++ {
		stop, done := make(chan struct{}), make(chan struct{})
		s := c.session()
		private := s.networkNamed("private")
		plan := rand.New(rand.NewPCG(seed, uint64(round)+1))
		go func() { defer close(done); b.work(s, plan, image, private, round, stop) }()
		<-time.NewTimer(time.Duration(random.IntN(300)) * time.Millisecond).C // the moment of the power cut
		c.kill()
		close(stop)
		<-done
		c.up()
		b.compare(c, round)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d servers, %d networks, %d volumes and %d snapshots at the end", len(b.here), len(b.nets), len(b.vols.volumes), len(b.vols.snapshots))
	t.Logf("granted %v, refused %v, never granted %v", b.vols.granted, b.vols.refused, b.vols.missing())
	if b.vols.missing() != nil {
		t.Error("something was never granted, so nothing was shown of it")
	}
}

// work makes and deletes servers, networks and volumes until it is told to stop or
// nobody answers, and keeps the book.
func (b *book) work(s *session, random *rand.Rand, image, network string, round int, stop chan struct{}) {
	ids := map[string]string{}
	pages, err := servers.List(s.compute, nil).AllPages(s.ctx)
	if err != nil {
		return
	}
	all, _ := servers.ExtractServers(pages)
	for _, one := range all {
		ids[one.Name] = one.ID
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("r%d-%d", round, i)
		switch dice := random.IntN(20); {
		case dice >= 10:
			if !b.vols.act(s, random, b.ids(ids), image, name) {
				return
			}
		case dice < 5 && len(b.here) < 8:
			b.maybe[name] = true
			made, err := servers.Create(s.ctx, s.compute, servers.CreateOpts{Name: name, ImageRef: image, FlavorRef: "42", Networks: []servers.Network{{UUID: network}}}, nil).Extract()
			if err != nil {
				return
			}
			delete(b.maybe, name)
			b.here[name], ids[name] = true, made.ID
		case dice < 6 && len(b.nets) < 30:
			b.maybeNets[name] = true
			if _, err := networks.Create(s.ctx, s.network, networks.CreateOpts{Name: name}).Extract(); err != nil {
				return
			}
			delete(b.maybeNets, name)
			b.nets[name] = true
		default:
			if !b.deleteOne(s, ids) {
				return
			}
		}
	}
}

// ids are those of the servers that are here.
func (b *book) ids(all map[string]string) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(b.here)) {
		out = append(out, all[name])
	}
	return out
}

// deleteOne deletes any server; false when nobody answers.
func (b *book) deleteOne(s *session, ids map[string]string) bool {
	for name := range b.here {
		delete(b.here, name)
		b.maybe[name] = true
		if err := servers.Delete(s.ctx, s.compute, ids[name]).ExtractErr(); err != nil {
			b.vols.serverGoes(ids[name], false)
			return false
		}
		b.vols.serverGoes(ids[name], true)
		delete(b.maybe, name)
		b.going[name] = true
		return true
	}
	return true
}

// compare waits until everything rests and holds the lists against the book.
// What may or may not have been is settled by it.
func (b *book) compare(c *theCloud, round int) {
	c.t.Helper()
	s := c.session()
	var found map[string]string
	var restless [][]string // kinds and ids
	var all []servers.Server
	var shelved []volumes.Volume
	var snaps []snapshots.Snapshot
	tell := func() {
		for _, one := range restless {
			c.t.Logf("round %d: a %s that does not rest:\n%s", round, one[0], c.hearth("explain", one[0], one[1]))
		}
	}
	defer tell()
	slow := time.NewTimer(30 * time.Second) // a busy disk may keep a commit that long; if it is something else, this shows it
	within(c.t, patience/4, fmt.Sprintf("round %d: every server and volume rests", round), func() bool {
		found, restless = map[string]string{}, nil
		all = must(servers.ExtractServers(must(servers.List(s.compute, nil).AllPages(s.ctx))(c.t)))(c.t)
		for _, one := range all {
			found[one.Name] = one.Status
			if one.Status != "ACTIVE" || one.TaskState != "" || b.going[one.Name] {
				restless = append(restless, []string{"server", one.ID})
			}
		}
		var moving [][]string
		shelved, snaps, moving = b.vols.restless(c, s)
		restless = append(restless, moving...)
		select {
		case <-slow.C:
			tell()
		default:
		}
		return len(restless) == 0
	})
	b.vols.compare(c, round, shelved, snaps, all)
	for name := range b.here {
		if found[name] == "" {
			c.t.Errorf("round %d: server %s was promised and is not there", round, name)
		}
	}
	for name := range found {
		if !b.here[name] && !b.maybe[name] {
			c.t.Errorf("round %d: server %s is there and nobody asked for it", round, name)
		}
		b.here[name] = true
	}
	nets := map[string]bool{}
	for _, n := range must(networks.ExtractNetworks(must(networks.List(s.network, nil).AllPages(s.ctx))(c.t)))(c.t) {
		nets[n.Name] = true
		if !b.nets[n.Name] && !b.maybeNets[n.Name] {
			c.t.Errorf("round %d: network %s is there and nobody asked for it", round, n.Name)
		}
	}
	for name := range b.nets {
		if !nets[name] {
			c.t.Errorf("round %d: network %s was promised and is not there", round, name)
		}
	}
	b.nets, b.maybe, b.maybeNets, b.going = nets, map[string]bool{}, map[string]bool{}, map[string]bool{}
	c.fsck()
}
