package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// Inventory implements network.Driver. It reads names and aliases, so it finds
// what an earlier process left too.
func (d *Driver) Inventory(context.Context) (network.Inventory, error) {
	const op = "network.Inventory"
	var found network.Inventory
	networks := map[string]bool{}
	for kind, list := range map[string]map[string]bool{kindSwitch: networks, kindService: networks, kindRouter: {}} {
		ids, err := d.idsOf(kind)
		if err != nil {
			return found, wrap(op, err, "namespaces")
		}
		for _, id := range ids {
			list[id] = true
		}
		if kind == kindRouter {
			found.Routers = ids
		}
	}
	for id := range networks {
		found.Networks = append(found.Networks, id)
		ports, err := d.tapsOf(id)
		if err != nil {
			return found, wrap(op, err, "network %s", id)
		}
		found.Ports = append(found.Ports, ports...)
	}
	sort.Strings(found.Networks)
	sort.Strings(found.Routers)
	sort.Strings(found.Ports)
	return found, nil
}

// idsOf lists the ids of this node's namespaces of a kind.
func (d *Driver) idsOf(kind string) ([]string, error) {
	prefix := d.prefix + kind + "-"
	names, err := namespaces(prefix)
	var ids []string
	for _, name := range names {
		if id := strings.TrimPrefix(name, prefix); cloud.IsID(id) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (d *Driver) tapsOf(networkID string) ([]string, error) {
	sw, err := open(d.nsName(kindSwitch, networkID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer sw.close()
	ids, _, err := sw.taps()
	return ids, err
}

// Down implements network.Driver.
func (d *Driver) Down(ctx context.Context) error {
	found, err := d.Inventory(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range found.Routers {
		failed = append(failed, d.RemoveRouter(ctx, id))
	}
	for _, id := range found.Networks {
		failed = append(failed, d.RemoveNetwork(ctx, id))
	}
	if err := errors.Join(failed...); err != nil {
		return cloud.E("network.Down", cloud.Internal, "not all of the data plane could be removed: %w", err)
	}
	return nil
}

// Explain implements network.Driver. Kinds are network, router and port.
func (d *Driver) Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error) {
	const op = "network.Explain"
	if err := checkID(op, kind, id); err != nil {
		return nil, err
	}
	var facts []cloud.Fact
	var err error
	switch kind {
	case "network":
		facts, err = d.explainNetwork(id)
	case "router":
		facts, err = d.explainRouter(id)
	case "port":
		facts, err = d.explainPort(id)
	default:
		return nil, cloud.E(op, cloud.Invalid, "%q cannot be explained here: ask for a network, router or port", kind)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, cloud.E(op, cloud.NotFound, "%s %s is not built on this node", kind, id)
	}
	if err != nil {
		return nil, wrap(op, err, "%s %s", kind, id)
	}
	return facts, nil
}

func (d *Driver) explainNetwork(id string) ([]cloud.Fact, error) {
	sw, err := open(d.nsName(kindSwitch, id))
	if err != nil {
		return nil, err
	}
	defer sw.close()
	facts := []cloud.Fact{
		{Topic: "switch", Value: fmt.Sprintf("bridge %s in namespace %s", bridgeName, d.nsName(kindSwitch, id))},
		{Topic: "filter", Value: fmt.Sprintf("nft tables bridge %s and %s, stateful by %s", tableGuard, tableGroups, d.filter())},
	}
	if sv, err := open(d.nsName(kindService, id)); err == nil {
		defer sv.close()
		facts = append(facts, cloud.Fact{Topic: "services", Value: fmt.Sprintf("%s in namespace %s", sv.describe(serviceDevice), d.nsName(kindService, id))})
	}
	links, err := sw.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if named(link.Attrs().Name, prefixTap, prefixTrunk, prefixRouter, prefixUplink) {
			facts = append(facts, cloud.Fact{Topic: "link", Value: link.Attrs().Name + ", " + link.Attrs().Alias})
		}
	}
	return facts, nil
}

// describe tells a link's addresses.
func (s *space) describe(name string) string {
	link, err := s.LinkByName(name)
	if err != nil {
		return name + " (missing)"
	}
	addresses, _ := s.AddrList(link, 0)
	text := name + " " + link.Attrs().HardwareAddr.String()
	for _, a := range addresses {
		text += " " + fromIPNet(a.IPNet).String()
	}
	return text
}

func (d *Driver) explainRouter(id string) ([]cloud.Fact, error) {
	name := d.nsName(kindRouter, id)
	rt, err := open(name)
	if err != nil {
		return nil, err
	}
	defer rt.close()
	facts := []cloud.Fact{{Topic: "namespace", Value: name}, {Topic: "nat", Value: "nft table ip " + tableNAT}}
	links, err := rt.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if named(link.Attrs().Name, prefixInner, prefixGateway) {
			facts = append(facts, cloud.Fact{Topic: "interface", Value: rt.describe(link.Attrs().Name)})
		}
	}
	counts, err := meterFacts(rt)
	return append(facts, counts...), err
}
