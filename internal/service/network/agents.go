package network

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// agentTypes are the parts that every node has.
var agentTypes = []struct{ binary, typ, topic string }{
	{cloud.AgentL2, "Linux bridge agent", "N/A"},
	{cloud.AgentDHCP, "DHCP agent", "dhcp_agent"},
	{cloud.AgentL3, "L3 agent", "l3_agent"},
	{cloud.AgentMetadata, "Metadata agent", "N/A"},
}

// Agent is a part of a node's data plane with what it does now.
type Agent struct {
	ID, Binary, Type, Topic string
	Host, Zone              string
	Alive, AdminStateUp     bool
	Description             string
	CreatedAt, SeenAt       time.Time
	Counts                  map[string]int // networks, routers, devices: what it serves now
}

// AgentUpdate changes what is not nil.
type AgentUpdate struct {
	AdminStateUp *bool
	Description  *string
}

// agentID is the same UUID each time for an agent of a host.
func agentID(host cloud.Host, binary string) string {
	sum := sha256.Sum256([]byte(host.ID + "/" + binary))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // RFC 9562, version 8
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// ListAgents lists every host's agents; to an admin only, to others none.
func (s *Service) ListAgents(ctx context.Context, c cloud.Caller) ([]Agent, error) {
	return view(ctx, s, func(tx *store.Tx) ([]Agent, error) {
		if !c.IsAdmin() {
			return nil, nil
		}
		return s.agents(tx)
	})
}

func (s *Service) agents(tx *store.Tx) ([]Agent, error) {
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return nil, err
	}
	said, err := tx.NetworkAgents.List(store.Query{})
	if err != nil {
		return nil, err
	}
	notes := indexed(said, func(a cloud.NetworkAgent) string { return a.ID })
	var out []Agent
	for _, h := range hosts {
		counts, err := served(tx, h.Name)
		if err != nil {
			return nil, err
		}
		for _, t := range agentTypes {
			id := agentID(h, t.binary)
			out = append(out, Agent{
				ID: id, Binary: t.binary, Type: t.typ, Topic: t.topic, Host: h.Name, Zone: h.AvailabilityZone, Alive: h.Alive(s.clock.Now()),
				AdminStateUp: !notes[id].Off, Description: notes[id].Description, CreatedAt: h.CreatedAt, SeenAt: h.SeenAt, Counts: counts[t.binary],
			})
		}
	}
	return out, nil
}

// served counts what the agents of a host do.
func served(tx *store.Tx, host string) (map[string]map[string]int, error) {
	ports, err := tx.Ports.List(store.Where(store.Eq("host", host)))
	if err != nil {
		return nil, err
	}
	networks := map[string]bool{}
	for _, p := range ports {
		networks[p.NetworkID] = true
	}
	routers, err := tx.Routers.List(store.Where(store.Eq("node", host)))
	if err != nil {
		return nil, err
	}
	gateways := 0
	for _, r := range routers {
		if r.GatewayPortID != "" {
			gateways++
		}
	}
	return map[string]map[string]int{
		cloud.AgentL2: {"devices": len(ports)}, cloud.AgentDHCP: {"networks": len(networks), "ports": len(ports)},
		cloud.AgentL3: {"routers": len(routers), "ex_gw_ports": gateways}, cloud.AgentMetadata: {},
	}, nil
}

// GetAgent gives an agent; to an admin only.
func (s *Service) GetAgent(ctx context.Context, c cloud.Caller, id string) (Agent, error) {
	return view(ctx, s, func(tx *store.Tx) (Agent, error) { return s.agent(tx, c, id) })
}

// RefuseAgent is why an agent cannot be deleted: one that is there is a part of its
// node's daemon, and comes and goes with it. NotFound when it is not.
func (s *Service) RefuseAgent(ctx context.Context, c cloud.Caller, id string) error {
	a, err := s.GetAgent(ctx, c, id)
	if err == nil {
		err = conflict("AgentInUse", "Agent %s is a part of node %s and goes with it: remove the node, or take the agent's admin_state_up away.", id, a.Host)
	}
	return err
}

func (s *Service) agent(tx *store.Tx, c cloud.Caller, id string) (Agent, error) {
	all, err := s.agents(tx)
	if err != nil {
		return Agent{}, err
	}
	for _, a := range all {
		if a.ID == id && c.IsAdmin() {
			return a, nil
		}
	}
	return Agent{}, refuse(cloud.NotFound, "AgentNotFound", "Agent %s could not be found.", id)
}

// UpdateAgent takes an agent out of service or back. A node with its L3 agent
// down is given no further routers; the housekeeper reads the row. The other
// parts serve whatever is on their node and cannot be down while it is up.
func (s *Service) UpdateAgent(ctx context.Context, c cloud.Caller, id string, r AgentUpdate) (Agent, error) {
	return update(ctx, s, func(tx *store.Tx) (Agent, error) {
		a, err := s.agent(tx, c, id)
		if err != nil {
			return a, err
		}
		if r.AdminStateUp != nil && !*r.AdminStateUp && a.Binary != cloud.AgentL3 {
			return a, badRequest("agent", "the %s of a node serves every instance on it and cannot be taken down by itself: disable the compute service of host %s instead", a.Type, a.Host)
		}
		set(&a.AdminStateUp, r.AdminStateUp)
		set(&a.Description, r.Description)
		return a, tx.NetworkAgents.Put(cloud.NetworkAgent{ID: id, Host: a.Host, Binary: a.Binary, Off: !a.AdminStateUp, Description: a.Description})
	})
}

// Zone is an availability zone of a kind of resource.
type Zone struct {
	Name, Resource string // Resource is network or router
	Available      bool
}

// ListZones lists the zones that hosts are in: available while one of a zone's
// hosts reports.
func (s *Service) ListZones(ctx context.Context) ([]Zone, error) {
	return view(ctx, s, func(tx *store.Tx) ([]Zone, error) {
		hosts, err := tx.Hosts.List(store.Query{})
		if err != nil {
			return nil, err
		}
		available := map[string]bool{}
		var names []string
		for _, h := range hosts {
			if _, known := available[h.AvailabilityZone]; !known {
				names = append(names, h.AvailabilityZone)
			}
			available[h.AvailabilityZone] = available[h.AvailabilityZone] || h.Alive(s.clock.Now())
		}
		var out []Zone
		for _, name := range names {
			out = append(out, Zone{name, "network", available[name]}, Zone{name, "router", available[name]})
		}
		return out, nil
	})
}

// checkZones refuses hints at zones that no host is in.
func checkZones(tx *store.Tx, hints []string) error {
	for _, zone := range hints {
		n, err := tx.Hosts.Count(store.Eq("availability_zone", zone))
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(cloud.NotFound, "AvailabilityZoneNotFound", "AvailabilityZone %s could not be found.", zone)
		}
	}
	return nil
}
