package linux

import (
	"fmt"
	"sort"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"

	"hearth/internal/cloud"
)

// The tables of a switch. Guard, in the bridge family, drops what a port must
// not send and writes into the packet's mark between which ports it goes: the
// low half is the sender's number, the high half the receiver's, 0 for what is
// no instance's port or has no port security. Groups, in the inet family with
// br_netfilter and in the bridge family where it has connection tracking,
// applies the security groups by these marks.
const (
	tableGuard  = "hearth_guard"
	tableGroups = "hearth_groups"
)

const (
	markSource      = 0x0000ffff
	markDestination = 0xffff0000
)

// socketBuffer is enough for the acknowledgements of some ten thousand rules in
// one transaction (bytes).
const socketBuffer = 16 << 20

func nftConn(ns netns.NsHandle) (*nftables.Conn, error) {
	return nftables.New(nftables.WithNetNSFd(int(ns)), nftables.WithSockOptions(growBuffers))
}

// chainSet is a table under construction.
type chainSet struct {
	conn  *nftables.Conn
	table *nftables.Table
}

// replaceTable begins a table anew in the transaction: the old one is there
// until Flush, and the new one from then on, with nothing between.
func replaceTable(conn *nftables.Conn, family nftables.TableFamily, name string) chainSet {
	table := &nftables.Table{Family: family, Name: name}
	conn.AddTable(table)
	conn.DelTable(table)
	return chainSet{conn: conn, table: conn.AddTable(table)}
}

func (c chainSet) chain(name string) *nftables.Chain {
	return c.conn.AddChain(&nftables.Chain{Name: name, Table: c.table})
}

func (c chainSet) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority int32, policy nftables.ChainPolicy) *nftables.Chain {
	return c.conn.AddChain(&nftables.Chain{
		Name: name, Table: c.table, Type: kind, Hooknum: hook,
		Priority: nftables.ChainPriorityRef(nftables.ChainPriority(priority)), Policy: &policy,
	})
}

func (c chainSet) rule(chain *nftables.Chain, parts ...match) {
	c.conn.AddRule(&nftables.Rule{Table: c.table, Chain: chain, Exprs: join(parts...)})
}

func (c chainSet) verdicts(name string, key nftables.SetDatatype, elements []nftables.SetElement) (*nftables.Set, error) {
	set := &nftables.Set{Table: c.table, Name: name, IsMap: true, KeyType: key, DataType: nftables.TypeVerdict}
	return set, c.conn.AddSet(set, elements)
}

// numberPorts gives each port of a network a number for marks, and keeps the
// numbers of ports that stay, so that a packet on its way during an update is
// not taken for another's.
func (s *netState) numberPorts(ports []cloud.PortSpec) error {
	present := map[string]bool{}
	for _, p := range ports {
		present[p.ID] = true
	}
	taken := map[uint16]bool{}
	for id, n := range s.indexes {
		if !present[id] {
			delete(s.indexes, id)
			continue
		}
		taken[n] = true
	}
	if len(present) > 60000 {
		return cloud.E("network.Apply", cloud.Invalid, "a network has at most 60000 ports on one node, this one has %d", len(present))
	}
	for _, p := range ports {
		if s.indexes[p.ID] != 0 {
			continue
		}
		for s.next++; s.next == 0 || taken[s.next]; s.next++ {
		}
		s.indexes[p.ID], taken[s.next] = s.next, true
	}
	return nil
}

// applyFilters replaces both tables of a switch in one transaction.
func (d *Driver) applyFilters(sw *space, state *netState, spec cloud.NetworkSpec) error {
	if err := state.numberPorts(spec.Ports); err != nil {
		return err
	}
	conn, err := nftConn(sw.ns)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	family := nftables.TableFamilyINet
	if d.filter() == filterBridge {
		family = nftables.TableFamilyBridge
	}
	if err := addGuard(conn, state, spec); err != nil {
		return err
	}
	if err := addGroups(replaceTable(conn, family, tableGroups), state, spec); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("nftables, filters of network %s: %w", spec.ID, err)
	}
	return nil
}

// addGuard writes the table that knows the ports by their taps.
func addGuard(conn *nftables.Conn, state *netState, spec cloud.NetworkSpec) error {
	t := replaceTable(conn, nftables.TableFamilyBridge, tableGuard)
	in := t.base("from", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300, nftables.ChainPolicyDrop)
	out := t.base("to", nftables.ChainTypeFilter, nftables.ChainHookForward, -200, nftables.ChainPolicyAccept)
	addNever(t)
	var from, to []nftables.SetElement
	for _, p := range spec.Ports {
		tap := tapName(p.ID)
		source, destination := t.chain("from-"+tap), t.chain("to-"+tap)
		index := uint32(state.indexes[p.ID])
		if err := guardSource(t, source, p, index); err != nil {
			return err
		}
		guardDestination(t, destination, p, index)
		from = append(from, nftables.SetElement{Key: interfaceKey(tap), VerdictData: goVerdict(source.Name)})
		to = append(to, nftables.SetElement{Key: interfaceKey(tap), VerdictData: goVerdict(destination.Name)})
	}
	fromSet, err := t.verdicts("sources", nftables.TypeIFName, from)
	if err != nil {
		return err
	}
	toSet, err := t.verdicts("destinations", nftables.TypeIFName, to)
	if err != nil {
		return err
	}
	t.rule(in, setMark(0, 0))
	t.rule(in, interfaceLookup(expr.MetaKeyIIFNAME, fromSet))
	for _, prefix := range []string{prefixRouter, prefixService, prefixUplink} {
		t.rule(in, interfaceBegins(expr.MetaKeyIIFNAME, prefix), accept())
	}
	t.rule(in, drop())
	t.rule(out, interfaceLookup(expr.MetaKeyOIFNAME, toSet))
	return nil
}

func interfaceLookup(key expr.MetaKey, set *nftables.Set) match {
	return match{
		&expr.Meta{Key: key, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID, DestRegister: 0, IsDestRegSet: true},
	}
}

// addGroups writes the table of the security groups. What a port may send and
// what it may receive are two chains at the same hook: a packet must be
// accepted by both.
func addGroups(t chainSet, state *netState, spec cloud.NetworkSpec) error {
	send := t.base("send", nftables.ChainTypeFilter, nftables.ChainHookForward, 0, nftables.ChainPolicyAccept)
	receive := t.base("receive", nftables.ChainTypeFilter, nftables.ChainHookForward, 10, nftables.ChainPolicyAccept)
	addBasics(t, spec)
	groups, err := addGroupChains(t, spec.Groups, spec.AddressGroups)
	if err != nil {
		return err
	}
	var sends, receives []nftables.SetElement
	for _, p := range spec.Ports {
		if !p.Security {
			continue
		}
		tap, index := tapName(p.ID), uint32(state.indexes[p.ID])
		s, r := t.chain("send-"+tap), t.chain("receive-"+tap)
		addPortChain(t, s, p, chainSendBasics, "out", groups)
		addPortChain(t, r, p, chainReceiveBasics, "in", groups)
		sends = append(sends, nftables.SetElement{Key: native32(index), VerdictData: goVerdict(s.Name)})
		receives = append(receives, nftables.SetElement{Key: native32(index << 16), VerdictData: goVerdict(r.Name)})
	}
	sendSet, err := t.verdicts("senders", nftables.TypeMark, sends)
	if err != nil {
		return err
	}
	receiveSet, err := t.verdicts("receivers", nftables.TypeMark, receives)
	if err != nil {
		return err
	}
	for _, base := range []*nftables.Chain{send, receive} {
		t.rule(base, protocolIs(etherARP), accept())
	}
	t.rule(send, markLookup(markSource, sendSet.Name, sendSet.ID))
	t.rule(receive, markLookup(markDestination, receiveSet.Name, receiveSet.ID))
	return nil
}

// sortedGroups is the groups in the order of their ids.
func sortedGroups(groups []cloud.GroupSpec) []cloud.GroupSpec {
	sorted := append([]cloud.GroupSpec(nil), groups...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].ID < sorted[j].ID })
	return sorted
}
