package linux

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"hearth/internal/cloud"
)

// tableMeter is a router's table of metering. What is forwarded is counted where its
// inner addresses stand in it: after a floating IP was replaced on the way in, before
// it is on the way out. The counters are objects of their own and outlive changes of
// the rules.
const tableMeter = "hearth_meter"

const meterPrefix = "label-" // of a counter's and a chain's name, followed by the label's id

// applyMeters makes a router count by these labels. Counts of labels that stay go on.
func (d *Driver) applyMeters(rt *space, spec cloud.RouterSpec) error {
	conn, err := nftConn(rt.ns)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableMeter}
	have, err := meterTable(conn)
	if err != nil || !have && len(spec.Meters) == 0 {
		return err
	}
	t := chainSet{conn: conn, table: conn.AddTable(table)}
	if len(spec.Meters) == 0 {
		conn.DelTable(table)
		return conn.Flush()
	}
	top := t.base("forwarded", nftables.ChainTypeFilter, nftables.ChainHookForward, 0, nftables.ChainPolicyAccept)
	conn.FlushChain(top)
	if have {
		if err := t.dropLabels(spec.Meters); err != nil {
			return err
		}
	}
	for _, m := range spec.Meters {
		t.conn.AddObj(&nftables.CounterObj{Table: t.table, Name: meterPrefix + m.ID})
		chain := t.chain(meterPrefix + m.ID)
		addMeter(t, chain, m, spec)
		t.rule(top, jump(chain.Name))
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("nftables, metering of router %s: %w", spec.ID, err)
	}
	return nil
}

// meterTable tells whether a router has its table of metering.
func meterTable(conn *nftables.Conn) (bool, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == tableMeter }), nil
}

// dropLabels removes the chains of all labels, and the counters of those that are not
// wanted any more.
func (c chainSet) dropLabels(wanted []cloud.MeterSpec) error {
	chains, err := c.conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if chain.Table.Name == tableMeter && strings.HasPrefix(chain.Name, meterPrefix) {
			c.conn.FlushChain(chain)
			c.conn.DelChain(chain)
		}
	}
	counters, err := c.conn.GetObjects(c.table)
	if err != nil {
		return err
	}
	for _, o := range counters {
		counter, ok := o.(*nftables.CounterObj)
		if ok && !slices.ContainsFunc(wanted, func(m cloud.MeterSpec) bool { return meterPrefix+m.ID == counter.Name }) {
			c.conn.DeleteObject(counter)
		}
	}
	return nil
}

// addMeter writes the rules of a label: what is excluded first, and nothing twice.
func addMeter(t chainSet, chain *nftables.Chain, m cloud.MeterSpec, spec cloud.RouterSpec) {
	if spec.Gateway == nil {
		return // nothing is external
	}
	done := match{&expr.Verdict{Kind: expr.VerdictReturn}}
	count := join(match{&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: meterPrefix + m.ID}}, done)
	for _, excluded := range []bool{true, false} {
		for _, r := range m.Rules {
			if r.Excluded != excluded {
				continue
			}
			then := count
			if excluded {
				then = done
			}
			t.rule(chain, meterMatch(r, linkName(prefixGateway, spec.Gateway.PortID)), then)
		}
	}
}

// meterMatch matches what a rule is about, at the router's gateway.
func meterMatch(r cloud.MeteringRule, gateway string) match {
	parts, source, destination := interfaceIs(expr.MetaKeyIIFNAME, gateway), r.Source, r.Destination
	if r.Direction == cloud.Egress {
		parts = interfaceIs(expr.MetaKeyOIFNAME, gateway)
	}
	switch {
	case r.Remote.IsValid() && r.Direction == cloud.Egress:
		source = r.Remote
	case r.Remote.IsValid():
		destination = r.Remote
	}
	if source.IsValid() {
		parts = join(parts, protocolIs(etherOf(source.Addr())), sourceIn(source))
	}
	if destination.IsValid() {
		parts = join(parts, protocolIs(etherOf(destination.Addr())), destinationIn(destination))
	}
	return parts
}

// meterFacts tells what a router counted.
func meterFacts(rt *space) ([]cloud.Fact, error) {
	conn, err := nftConn(rt.ns)
	if err != nil {
		return nil, err
	}
	have, err := meterTable(conn)
	if err != nil || !have {
		return nil, err
	}
	objects, err := conn.GetObjects(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableMeter})
	if err != nil {
		return nil, err
	}
	var facts []cloud.Fact
	for _, o := range objects {
		if c, ok := o.(*nftables.CounterObj); ok {
			label := strings.TrimPrefix(c.Name, meterPrefix)
			facts = append(facts, cloud.Fact{Topic: "metering", Value: fmt.Sprintf("label %s: %d packets, %d bytes", label, c.Packets, c.Bytes)})
		}
	}
	return facts, nil
}
