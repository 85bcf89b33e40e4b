package reconcile

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// giver is a node that gives volumes to others.
type giver struct {
	volumeMaker
	given map[string]cloud.ExportStatus
	fail  error
}

func (g *giver) ExportVolume(_ context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error) {
	if g.fail != nil {
		return cloud.ExportStatus{}, g.fail
	}
	st := g.given[spec.Disk]
	st.ExportSpec, st.Asked = spec, st.Asked+1
	st.Source = cloud.VolumeSource{Address: netip.MustParseAddrPort("127.0.0.1:7000"), Export: spec.Disk}
	g.given[spec.Disk] = st
	return st, nil
}

func (g *giver) WithdrawVolume(_ context.Context, disk string, asked int64) error {
	if st := g.given[disk]; asked != 0 && st.Asked != asked {
		return cloud.E("node.WithdrawVolume", cloud.Conflict, "asked for again")
	}
	delete(g.given, disk)
	return nil
}

func (g *giver) Exports(context.Context) (all []cloud.ExportStatus, err error) {
	for _, st := range g.given {
		all = append(all, st)
	}
	return all, nil
}

// shared is a world with node-1, where the servers are, and a giver, far, with a volume
// of the server a.
func shared(t *testing.T) (*world, *giver) {
	w := newWorld(t)
	far := &giver{volumeMaker: volumeMaker{&scriptedNode{status: w.node.status, instances: w.node.instances}}, given: map[string]cloud.ExportStatus{}}
	w.node.status.Exports, far.status.Exports = true, true
	near := &giver{volumeMaker: volumeMaker{w.node}, given: map[string]cloud.ExportStatus{}}
	w.Fleet.Join("node-1", near)
	w.Fleet.Join("far", far)
	for name, n := range map[string]*giver{"node-1": near, "far": far} {
		if err := w.ObserveHost(t.Context(), name, n); err != nil {
			t.Fatal(err)
		}
	}
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Node = "node-1"
		return firstError(err, tx.Servers.Update(s),
			tx.Volumes.Insert(cloud.Volume{ID: "v1", SizeGB: 1, Node: "far", Pool: "gold", Seen: cloud.VolumeSeen{Ready: true, SizeBytes: cloud.GiB}}))
	})
	w.attach("a", "v1", nil)
	return w, far
}

// last is the volume of the spec that the server's node got last.
func (w *world) last() cloud.InstanceVolume {
	w.t.Helper()
	specs := w.node.specs
	if len(specs) == 0 || len(specs[len(specs)-1].Volumes) != 1 {
		w.t.Fatalf("no spec with a volume: %+v", specs)
	}
	return specs[len(specs)-1].Volumes[0]
}

func (w *world) sweep() {
	w.t.Helper()
	if err := w.SweepExports(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestVolumeOfAnotherNode: the node that keeps a volume gives it to the server's, for as
// long as the server has it.
func TestVolumeOfAnotherNode(t *testing.T) {
	w, far := shared(t)
	w.step()
	disk := cloud.DiskIn(cloud.VolumeDisk("v1"), "gold")
	want := cloud.VolumeSource{Node: "far", Address: netip.MustParseAddrPort("127.0.0.1:7000"), Export: disk}
	if v := w.last(); v.Source != want || v.Disk != disk || !slices.Equal(far.given[disk].Nodes, []string{"node-1"}) {
		t.Fatalf("%+v; given: %+v", v, far.given)
	}
	w.report("a", cloud.InstanceRunning, "")
	w.sweep()
	if len(far.given) != 1 {
		t.Error("what a server has was taken back")
	}
	// Its node is away: the server is told what was so before.
	w.Fleet.Leave("far")
	w.renew("a")
	w.step()
	if v := w.last(); v.Source != want {
		t.Errorf("with its node away: %+v", v)
	}
	w.Fleet.Join("far", far)
	// It becomes larger: not before it is there, and then at once.
	w.write(func(tx *store.Tx) error {
		v, err := tx.Volumes.Get("v1")
		v.SizeGB, v.NextAttemptAt = 2, w.clock.Now()
		return firstError(err, tx.Volumes.Update(v))
	})
	w.renew("a")
	w.step()
	if v := w.last(); v.SizeGB != 1 {
		t.Errorf("the guest is to see %d GB that are not there", v.SizeGB)
	}
	w.ProcessVolume(t.Context(), "v1")
	if due := w.step(); !slices.Equal(due, []string{"a"}) || w.last().SizeGB != 2 {
		t.Errorf("due %v; %+v", due, w.last())
	}
	w.report("a", cloud.InstanceRunning, "")
	// It is detached: given until the guest has let go of it, and then no more.
	w.write(func(tx *store.Tx) error {
		a, err := tx.VolumeAttachments.Get("at-v1")
		a.Detaching = true
		return firstError(err, tx.VolumeAttachments.Update(a))
	})
	w.renew("a")
	w.step()
	w.sweep()
	if len(far.given) != 1 {
		t.Error("it was taken back before the guest let go of it")
	}
	w.report("a", cloud.InstanceRunning, "")
	w.sweep()
	if len(far.given) != 0 {
		t.Errorf("given yet: %+v", far.given)
	}
}

// TestVolumeIsNotGiven: what passes is waited for, what does not is said to the server's
// node, which refuses the volume.
func TestVolumeIsNotGiven(t *testing.T) {
	w, far := shared(t)
	far.fail = cloud.E("test", cloud.Unavailable, "the port is taken")
	w.step()
	if s := w.server("a"); len(w.node.specs) > 0 || s.Attempt != 1 || s.NextAttemptAt.IsZero() {
		t.Fatalf("%+v; %+v", w.node.specs, s)
	}
	far.fail = cloud.E("test", cloud.NotFound, "the disk is lost")
	w.renew("a")
	w.step()
	if v := w.last(); v.Source.Node != "far" || v.Source.Address.IsValid() {
		t.Errorf("%+v", v)
	}
}

// TestExportsAreSwept: what a node gives to nobody's server is taken back, unless it is
// asked for just then; and when a server has come to the volume's own node.
func TestExportsAreSwept(t *testing.T) {
	w, far := shared(t)
	w.step()
	far.given["volume-old"] = cloud.ExportStatus{ExportSpec: cloud.ExportSpec{Disk: "volume-old"}, Asked: 1}
	far.given["volume-v1"] = cloud.ExportStatus{ExportSpec: cloud.ExportSpec{Disk: "volume-v1"}, Asked: 1} // of another pool
	w.sweep()
	if len(far.given) != 1 {
		t.Errorf("%+v", far.given)
	}
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Node = "far"
		return firstError(err, tx.Servers.Update(s))
	})
	w.renew("a")
	w.step()
	specs := far.specs
	if len(specs) == 0 || specs[len(specs)-1].Volumes[0].Source.Node != "" || len(far.given) > 0 {
		t.Errorf("%+v; given %+v", specs, far.given)
	}
}
