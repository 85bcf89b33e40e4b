package linux

import (
	"context"
	"testing"

	"hearth/internal/cloud"
)

// trunkLab is two networks: a machine with a trunk on blue, of which VLAN 100 is a
// sub-port on red; and a guest on each.
type trunkLab struct {
	*lab
	blue, red              *plan
	parent, sub            cloud.PortSpec
	neighbour, other       cloud.PortSpec
	onBlue, onRed          *guest
	machine                *machine
	neighbourIP, otherIP   string
	parentIP, subIP, wrong string
}

func newTrunkLab(t *testing.T) *trunkLab {
	l := &trunkLab{lab: newLab(t, nil), blue: newPlan("10.0.0.0/24"), red: newPlan("10.1.0.0/24"), wrong: "10.1.0.99"}
	calm := l.blue.group(append(egressAll(), ingress("IPv4", "icmp", -1))...)
	strict := l.red.group(append(egressAll(), ingress("IPv4", "icmp", -1), ingress("IPv4", "tcp", 22))...)
	l.parent, l.neighbour = l.blue.port(11, calm), l.blue.port(12, calm)
	l.sub, l.other = l.red.port(21, strict), l.red.port(22, strict)
	l.apply(l.red)
	l.trunk(cloud.SubPortSpec{PortID: l.sub.ID, NetworkID: l.red.ID, VLAN: 100, MTU: l.red.MTU})
	l.onBlue, l.onRed = l.guest(l.blue, l.neighbour), l.guest(l.red, l.other)
	l.machine = l.lab.machine(l.blue.ID, l.parent.ID)
	l.neighbourIP, l.otherIP, l.parentIP, l.subIP = ip(l.neighbour), ip(l.other), ip(l.parent), ip(l.sub)
	return l
}

// trunk gives the parent port these sub-ports.
func (l *trunkLab) trunk(subs ...cloud.SubPortSpec) {
	l.t.Helper()
	l.blue.Ports[0].SubPorts = subs
	l.apply(l.blue)
}

func (l *trunkLab) works(when string) {
	l.t.Helper()
	if !l.machine.resolves(0, mac(l.parent), l.parentIP, l.neighbourIP, soon) {
		l.t.Errorf("%s: a frame without a tag does not reach the parent's network", when)
	}
	if !l.machine.resolves(100, mac(l.sub), l.subIP, l.otherIP, soon) {
		l.t.Errorf("%s: a frame with the sub-port's tag does not reach its network", when)
	}
}

func (l *trunkLab) cut(when string, vlan int) {
	l.t.Helper()
	if l.machine.resolves(vlan, mac(l.sub), l.subIP, l.otherIP, grim) {
		l.t.Errorf("%s: a frame with tag %d reached the sub-port's network", when, vlan)
	}
}

// TestE2ETrunk sends real frames: with the right tag, none, and wrong ones.
func TestE2ETrunk(t *testing.T) {
	l := newTrunkLab(t)
	l.works("at first")
	for vlan, what := range map[int]string{0: "no tag", 200: "another tag"} {
		l.cut(what, vlan)
	}
	for what, ok := range map[string]bool{
		"the parent's network with a tag":  l.machine.resolves(100, mac(l.parent), l.parentIP, l.neighbourIP, grim),
		"an address that is another's":     l.machine.resolves(100, mac(l.sub), l.wrong, l.otherIP, grim),
		"a hardware address of the parent": l.machine.resolves(100, mac(l.parent), l.subIP, l.otherIP, grim),
	} {
		if ok {
			t.Errorf("%s: it was answered", what)
		}
	}
	if !l.machine.echo(0, l.parent, l.neighbour, soon) || !l.machine.echo(100, l.sub, l.other, soon) {
		t.Error("no answer to a ping")
	}
}

// TestE2ETrunkGroups holds a sub-port to its own security groups.
func TestE2ETrunkGroups(t *testing.T) {
	l := newTrunkLab(t)
	l.works("at first") // the others know the machine's addresses now
	for port, allowed := range map[uint16]bool{22: true, 23: false} {
		address := l.subIP + ":" + map[uint16]string{22: "22", 23: "23"}[port]
		patience := grim
		if allowed {
			patience = soon
		}
		ask := func() {
			if c := l.onRed.dial(address, grim/10); c != nil {
				_ = c.Close()
			}
		}
		if l.machine.connected(100, port, ask, patience) != allowed {
			t.Errorf("port %d: a connection comes: %t, want %t", port, !allowed, allowed)
		}
	}
}

// TestE2ETrunkChanges takes a trunk through its life: sub-ports come and go while the
// guest runs, the guest goes and comes, a network is built anew.
func TestE2ETrunkChanges(t *testing.T) {
	l := newTrunkLab(t)
	ctx := context.Background()
	same := l.blue.Ports[0].SubPorts
	l.trunk()
	l.cut("without the sub-port", 100)
	moved := append([]cloud.SubPortSpec(nil), same...)
	moved[0].VLAN = 7
	l.trunk(moved...)
	l.cut("at another tag", 100)
	if !l.machine.resolves(7, mac(l.sub), l.subIP, l.otherIP, soon) {
		t.Error("the tag did not change")
	}
	l.trunk(same...)
	l.works("again")

	l.blue.Ports[0].Egress = cloud.Bandwidth{Kbps: 20000}
	l.apply(l.blue)
	l.works("with a limit on the parent")
	l.blue.Ports[0].Egress = cloud.Bandwidth{}
	l.apply(l.blue)
	l.works("without the limit")

	_ = l.machine.tap.Close()
	l.machine = l.lab.machine(l.blue.ID, l.parent.ID)
	l.works("with a new guest")

	if err := l.d.RemoveNetwork(ctx, l.red.ID); err != nil {
		t.Fatal(err)
	}
	l.apply(l.red)
	l.onRed = l.guest(l.red, l.other)
	l.works("on a network that was built anew")

	found, err := l.d.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range found.Ports {
		if id == l.sub.ID {
			t.Error("a sub-port is listed as a guest's tap")
		}
	}
}
