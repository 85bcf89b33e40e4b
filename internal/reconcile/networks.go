package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// netSync remembers what was pushed to the nodes, so that only differences are
// pushed. It is a cache: an empty one means that everything is pushed again,
// which every node takes.
type netSync struct {
	mu    sync.Mutex
	nodes map[string]*nodeSync
}

// nodeSync is the part of one node: a node that hangs delays no other.
type nodeSync struct {
	asked atomic.Int64 // counts the wishes to sync

	mu     sync.Mutex
	done   int64     // the wishes that a finished run covers
	err    error     // of the last run
	node   node.Node // what was pushed was pushed to; another of the same name is asked what it has
	pushed map[string]pushed
	memo   planeMemo
}

func (s *netSync) of(name string) *nodeSync {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[name] == nil {
		s.nodes[name] = &nodeSync{}
	}
	return s.nodes[name]
}

// pushed is what a node was given under a key such as "network:ID".
type pushed struct{ hash [sha256.Size]byte }

// runNetworks keeps the data plane of every node as the store has it.
func (k *Housekeeper) runNetworks(ctx context.Context) {
	changed, stop := k.Store.Watch("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "security_group_rules",
		"subnet_pools", "qos_policies", "port_forwardings", "network_agents", "trunks", "trunk_subports", "metering_labels", "metering_label_rules",
		"address_groups")
	defer stop()
	beat(ctx, merge(ctx, changed, k.Fleet.Changed()), 30*time.Second, func(ctx context.Context) {
		if err := k.SyncNodes(ctx); err != nil && ctx.Err() == nil {
			k.Log.Warn("the networks of a node are behind; they are tried again", "error", err)
		}
	})
}

// SyncNodes makes the data planes of all connected nodes match what the store
// holds now, side by side.
func (k *Housekeeper) SyncNodes(ctx context.Context) error {
	if err := errors.Join(k.placeRouters(ctx), k.followParents(ctx)); err != nil {
		return err
	}
	names := k.Fleet.Names()
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { errs[i] = k.syncNode(ctx, name) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// SyncNode does it for one node; Unavailable when it is not connected.
func (k *Housekeeper) SyncNode(ctx context.Context, name string) error {
	if err := errors.Join(k.placeRouters(ctx), k.followParents(ctx)); err != nil {
		return err
	}
	return k.syncNode(ctx, name)
}

// syncNode pushes a node what differs. Calls that come while a run is under way
// share the next one.
func (k *Housekeeper) syncNode(ctx context.Context, name string) error {
	s := k.nets.of(name)
	wish := s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done >= wish {
		return s.err
	}
	covers := s.asked.Load()
	if s.err = k.push(ctx, name, s); s.err != nil {
		s.err = fmt.Errorf("node %s: %w", name, s.err)
	}
	s.done = covers
	return s.err
}

// plane is all of one node's data plane.
type plane struct {
	networks []cloud.NetworkSpec
	routers  []cloud.RouterSpec
}

// push gives a node what differs from what it was given before: networks first,
// since routers stand on them, and removals the other way round.
func (k *Housekeeper) push(ctx context.Context, name string, s *nodeSync) error {
	n, err := k.Fleet.Node(name)
	if err != nil {
		return err
	}
	var want plane
	var memo planeMemo
	same, heard, now := false, k.Store.Heard(planeTables...), k.Clock.Now()
	err = k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if s.node == n {
			if same, err = s.memo.holds(tx, heard, now); same || err != nil {
				return err
			}
		}
		if want, err = composePlane(tx, name, k.DNSDomain); err != nil {
			return err
		}
		memo, err = remember(tx, want, heard, now)
		return err
	})
	if err != nil || same {
		return err
	}
	s.memo = planeMemo{}
	k.Hook("reconcile.plane.composed")
	if s.node != n {
		if s.pushed, err = k.inherit(ctx, n); err != nil {
			return err
		}
		s.node = n
	}
	have := s.pushed
	keep := map[string]bool{}
	var errs []error
	for _, spec := range want.networks {
		key := "network:" + spec.ID
		keep[key] = true
		errs = append(errs, give(have, key, spec, func() error { return n.ApplyNetwork(ctx, spec) }))
	}
	for _, spec := range want.routers {
		key := "router:" + spec.ID
		keep[key] = true
		errs = append(errs, give(have, key, spec, func() error {
			if err := n.ApplyRouter(ctx, spec); err != nil {
				return err
			}
			return k.markRouterPorts(ctx, spec)
		}))
	}
	if err := errors.Join(append(errs, k.retract(ctx, n, have, keep))...); err != nil {
		return err
	}
	if err := k.markSubPorts(ctx, name); err != nil {
		return err
	}
	s.memo = memo
	return nil
}

// inherit learns what a node serves already, as after a restart of the head.
func (k *Housekeeper) inherit(ctx context.Context, n node.Node) (map[string]pushed, error) {
	status, err := n.Networks(ctx)
	if err != nil {
		return nil, err
	}
	have := map[string]pushed{}
	for id := range status.Networks {
		have["network:"+id] = pushed{}
	}
	for id := range status.Routers {
		have["router:"+id] = pushed{}
	}
	return have, nil
}

// give applies a spec unless the node was given the same before.
func give(have map[string]pushed, key string, spec any, apply func() error) error {
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	if have[key].hash == hash {
		return nil
	}
	if err := apply(); err != nil {
		return err
	}
	have[key] = pushed{hash: hash}
	return nil
}

// retract removes what the node has and nobody wants: routers before networks.
func (k *Housekeeper) retract(ctx context.Context, n node.Node, have map[string]pushed, keep map[string]bool) error {
	var errs []error
	for _, kind := range []string{"router:", "network:"} {
		for key := range have {
			if keep[key] || len(key) <= len(kind) || key[:len(kind)] != kind {
				continue
			}
			remove := n.RemoveNetwork
			if kind == "router:" {
				remove = n.RemoveRouter
			}
			if err := remove(ctx, key[len(kind):]); err != nil {
				errs = append(errs, err)
				continue
			}
			delete(have, key)
		}
	}
	return errors.Join(errs...)
}
