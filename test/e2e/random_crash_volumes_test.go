package e2e

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
)

// shelf is what a client was told of volumes and snapshots, as book is of servers.
type shelf struct {
	volumes, snapshots map[string]string   // names to ids
	maybe, going       map[string]bool     // names of either
	on                 map[string][]string // ids of volumes to the servers, one of which has it at rest; "" for none
	granted, refused   map[string]int      // answers, by what was asked
	broken             []string            // answers that no server may give
}

func newShelf() *shelf {
	return &shelf{volumes: map[string]string{}, snapshots: map[string]string{}, maybe: map[string]bool{}, going: map[string]bool{},
		on: map[string][]string{}, granted: map[string]int{}, refused: map[string]int{}}
}

// hearing is what became of a question.
type hearing int

const (
	silence hearing = iota // nobody answered: it may have been done
	granted
	refused
)

func (b *shelf) heard(what string, err error) hearing {
	var code gophercloud.ErrUnexpectedResponseCode
	switch {
	case err == nil:
		b.granted[what]++
		return granted
	case errors.As(err, &code) && code.Actual < 500:
		b.refused[what]++
		return refused
	case errors.As(err, &code):
		b.broken = append(b.broken, what+": "+err.Error())
	}
	return silence
}

// act asks for one thing; false when nobody answers. have are the ids of servers.
func (b *shelf) act(s *session, random *rand.Rand, have []string, image, name string) bool {
	volume, id := one(random, b.volumes)
	snapshot, snapshotID := one(random, b.snapshots)
	room := len(b.volumes) < 8
	switch dice := random.IntN(20); {
	case dice < 2 && room:
		return b.create(s, "v"+name, volumes.CreateOpts{}, "create")
	case dice < 4 && room:
		return b.create(s, "v"+name, volumes.CreateOpts{ImageID: image}, "create from an image")
	case dice < 6 && room && snapshot != "":
		return b.create(s, "v"+name, volumes.CreateOpts{SnapshotID: snapshotID}, "create from a snapshot")
	case dice < 8 && room && volume != "":
		return b.create(s, "v"+name, volumes.CreateOpts{SourceVolID: id}, "clone")
	case dice < 9 && len(b.snapshots) < 4 && volume != "":
		return b.snapshot(s, "s"+name, id)
	case dice < 11 && len(have) > 0 && volume != "":
		return b.plug(s, have[random.IntN(len(have))], id)
	case dice < 14 && volume != "":
		return b.unplug(s, id)
	case dice < 18 && volume != "":
		return b.drop(volume, b.volumes, "delete a volume", volumes.Delete(s.ctx, s.volume, id, nil).ExtractErr())
	case snapshot != "":
		return b.drop(snapshot, b.snapshots, "delete a snapshot", snapshots.Delete(s.ctx, s.volume, snapshotID).ExtractErr())
	}
	return true
}

// one is any entry of a map, "" of an empty one.
func one(random *rand.Rand, of map[string]string) (name, id string) {
	if len(of) == 0 {
		return "", ""
	}
	names := slices.Sorted(maps.Keys(of))
	name = names[random.IntN(len(names))]
	return name, of[name]
}

func (b *shelf) create(s *session, name string, from volumes.CreateOpts, what string) bool {
	from.Name, from.Size = name, 1
	b.maybe[name] = true
	made, err := volumes.Create(s.ctx, s.volume, from, nil).Extract()
	answer := b.heard(what, err)
	if answer != silence {
		delete(b.maybe, name)
	}
	if answer == granted {
		b.volumes[name] = made.ID
		b.on[made.ID] = []string{""}
	}
	return answer != silence
}

func (b *shelf) snapshot(s *session, name, volume string) bool {
	b.maybe[name] = true
	made, err := snapshots.Create(s.ctx, s.volume, snapshots.CreateOpts{VolumeID: volume, Force: true, Name: name}).Extract()
	answer := b.heard("snapshot", err)
	if answer != silence {
		delete(b.maybe, name)
	}
	if answer == granted {
		b.snapshots[name] = made.ID
	}
	return answer != silence
}

func (b *shelf) plug(s *session, server, volume string) bool {
	_, err := volumeattach.Create(s.ctx, s.compute, server, volumeattach.CreateOpts{VolumeID: volume}).Extract()
	return b.settle("attach", err, volume, server)
}

func (b *shelf) unplug(s *session, volume string) bool {
	at := b.on[volume]
	if len(at) != 1 || at[0] == "" {
		return true
	}
	return b.settle("detach", volumeattach.Delete(s.ctx, s.compute, at[0], volume).ExtractErr(), volume, "")
}

// settle notes where a volume is to be after it was asked to go there.
func (b *shelf) settle(what string, err error, volume, server string) bool {
	answer := b.heard(what, err)
	switch answer {
	case granted:
		b.on[volume] = []string{server}
	case silence:
		b.on[volume] = append(b.on[volume], server)
	}
	return answer != silence
}

// serverGoes notes that a server was told to go, and whether it was promised.
func (b *shelf) serverGoes(server string, promised bool) {
	for volume, at := range b.on {
		if i := slices.Index(at, server); i >= 0 && promised {
			at[i] = ""
		} else if i >= 0 {
			b.on[volume] = append(at, "")
		}
	}
}

// drop notes what a deletion was answered.
func (b *shelf) drop(name string, of map[string]string, what string, err error) bool {
	answer := b.heard(what, err)
	switch answer {
	case granted:
		delete(of, name)
		b.going[name] = true
	case silence:
		delete(of, name)
		b.maybe[name] = true
	}
	return answer != silence
}

// restless gives all volumes and snapshots, and the kinds and ids of those that are on their way.
func (b *shelf) restless(c *theCloud, s *session) (found []volumes.Volume, kept []snapshots.Snapshot, moving [][]string) {
	c.t.Helper()
	found = must(volumes.ExtractVolumes(must(volumes.List(s.volume, nil).AllPages(s.ctx))(c.t)))(c.t)
	for _, v := range found {
		if v.Status != "available" && v.Status != "in-use" || b.going[v.Name] {
			moving = append(moving, []string{"volume", v.ID})
		}
	}
	kept = must(snapshots.ExtractSnapshots(must(snapshots.List(s.volume, nil).AllPages(s.ctx))(c.t)))(c.t)
	for _, k := range kept {
		if k.Status != "available" || b.going[k.Name] {
			moving = append(moving, []string{"snapshot", k.ID})
		}
	}
	return found, kept, moving
}

// compare holds what there is at rest against what was promised, which it then is.
func (b *shelf) compare(c *theCloud, round int, found []volumes.Volume, kept []snapshots.Snapshot, all []servers.Server) {
	c.t.Helper()
	for _, answer := range b.broken {
		c.t.Errorf("round %d: %s", round, answer)
	}
	has := map[string]string{} // ids of volumes to the servers that say they have them
	for _, server := range all {
		for _, v := range server.AttachedVolumes {
			has[v.ID] = server.ID
		}
	}
	now, on := map[string]string{}, map[string][]string{}
	for _, v := range found {
		at := ""
		for _, a := range v.Attachments {
			at += a.ServerID
		}
		promised := b.on[v.ID]
		if promised == nil { // its making was not answered, so nobody could ask for more
			promised = []string{""}
		}
		if !slices.Contains(promised, at) || has[v.ID] != at || (at != "") != (v.Status == "in-use") {
			c.t.Errorf("round %d: volume %s is %s at %q, its servers say %q, the client was told %q", round, v.Name, v.Status, at, has[v.ID], promised)
		}
		now[v.Name], on[v.ID] = v.ID, []string{at}
	}
	then := map[string]string{}
	for _, k := range kept {
		then[k.Name] = k.ID
	}
	b.same(c, round, b.volumes, now)
	b.same(c, round, b.snapshots, then)
	b.volumes, b.snapshots, b.on, b.maybe, b.going = now, then, on, map[string]bool{}, map[string]bool{}
}

// same compares names that were promised with those that are there.
func (b *shelf) same(c *theCloud, round int, promised, found map[string]string) {
	c.t.Helper()
	for name := range promised {
		if found[name] == "" {
			c.t.Errorf("round %d: %s was promised and is not there", round, name)
		}
	}
	for name := range found {
		if promised[name] == "" && !b.maybe[name] {
			c.t.Errorf("round %d: %s is there and nobody asked for it", round, name)
		}
	}
}

// missing are what was asked for and never granted: nothing was shown of it.
func (b *shelf) missing() (out []string) {
	for _, what := range strings.Split("create,create from an image,create from a snapshot,clone,snapshot,attach,detach,delete a volume,delete a snapshot", ",") {
		if b.granted[what] == 0 {
			out = append(out, what)
		}
	}
	return out
}
