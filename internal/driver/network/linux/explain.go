package linux

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"hearth/internal/cloud"
)

// explainPort finds the switch with the port's filters and tells its tap, its
// chains and what they dropped.
func (d *Driver) explainPort(id string) ([]cloud.Fact, error) {
	ids, err := d.idsOf(kindSwitch)
	if err != nil {
		return nil, err
	}
	for _, networkID := range ids {
		facts, err := d.explainPortOn(networkID, id)
		if err != nil || facts != nil {
			return facts, err
		}
	}
	return nil, os.ErrNotExist
}

func (d *Driver) explainPortOn(networkID, id string) ([]cloud.Fact, error) {
	sw, err := open(d.nsName(kindSwitch, networkID))
	if err != nil {
		return nil, err
	}
	defer sw.close()
	tap := tapName(id)
	facts := []cloud.Fact{{Topic: "bridge", Value: fmt.Sprintf("%s in namespace %s", bridgeName, d.nsName(kindSwitch, networkID))}}
	link, err := sw.link(tap)
	if err != nil {
		return nil, err
	}
	if link == nil {
		facts = append(facts, cloud.Fact{Topic: "tap", Value: tap + ", not there: no guest is plugged"})
	} else {
		facts = append(facts, cloud.Fact{Topic: "tap", Value: describeTap(link)})
	}
	drops, err := dropsOf(sw, tap)
	if err != nil {
		return nil, err
	}
	if link == nil && drops == nil {
		return nil, nil // the port is on another network
	}
	return append(facts, drops...), nil
}

func describeTap(link netlink.Link) string {
	a := link.Attrs()
	text := fmt.Sprintf("%s, %s, MTU %d", a.Name, a.OperState, a.MTU)
	if a.Statistics != nil {
		text += fmt.Sprintf(", from the guest %d packets, to the guest %d", a.Statistics.RxPackets, a.Statistics.TxPackets)
	}
	return text
}

// dropsOf tells the chains of a port, and those that all ports of its network
// share, and the packets that each dropped.
func dropsOf(sw *space, tap string) ([]cloud.Fact, error) {
	conn, err := nftConn(sw.ns)
	if err != nil {
		return nil, err
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{"from-" + tap: true, "advertise-" + tap: true, "send-" + tap: true, "receive-" + tap: true,
		chainNever: true, chainTagged: true, chainState: true}
	var facts []cloud.Fact
	known := false
	for _, chain := range chains {
		if !names[chain.Name] {
			continue
		}
		known = known || strings.HasSuffix(chain.Name, tap)
		rules, err := conn.GetRules(chain.Table, chain)
		if err != nil {
			return nil, err
		}
		facts = append(facts, cloud.Fact{Topic: "rules", Value: fmt.Sprintf("table %s, chain %s: dropped %d packets", chain.Table.Name, chain.Name, dropped(rules))})
	}
	if !known {
		return nil, nil
	}
	return facts, nil
}

// dropped adds up the counters of rules that drop.
func dropped(rules []*nftables.Rule) uint64 {
	var total uint64
	for _, rule := range rules {
		var packets uint64
		for _, e := range rule.Exprs {
			switch e := e.(type) {
			case *expr.Counter:
				packets = e.Packets
			case *expr.Verdict:
				if e.Kind == expr.VerdictDrop {
					total += packets
				}
			}
		}
	}
	return total
}
