// Package network is the living room of networks: what a request about
// networks, subnets, ports, routers, floating IPs and security groups means.
//
// Each operation is one transaction of the store: the checks, the rows, the
// addresses and the quota stand or fall together. Nothing here talks to a node:
// the housekeeper reads the rows and makes the nodes match.
//
// The methods without Tx judge the caller as neutron's policies do; those with
// Tx are for other services, which have judged already, and run inside the
// transaction they are given.
package network

import (
	"context"
	"math/rand/v2"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Options are what an operator may set.
type Options struct {
	MTU              int      // of the physical networks, bytes; a tunnel takes TunnelOverhead of it
	DefaultType      string   // of a network whose type nobody asked for: vxlan or local
	PhysicalNetworks []string // the names that a flat network may be on
	VNIMin, VNIMax   int      // the range that tunnel ids are taken from
	DNSDomain        string   // that ports' names end in, with the final dot
}

// TunnelOverhead is what VXLAN over IPv4 adds to a frame: outer Ethernet, IP,
// UDP and VXLAN headers (RFC 7348), bytes.
const TunnelOverhead = 50

// maxVNI is the largest VXLAN network identifier: 24 bits.
const maxVNI = 1<<24 - 1

func (o Options) withDefaults() Options {
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.DefaultType == "" {
		o.DefaultType = cloud.NetworkVXLAN
	}
	if o.PhysicalNetworks == nil {
		o.PhysicalNetworks = []string{"public"}
	}
	if o.VNIMin == 0 {
		o.VNIMin = 1
	}
	if o.VNIMax == 0 {
		o.VNIMax = maxVNI
	}
	if o.DNSDomain == "" {
		o.DNSDomain = "openstacklocal."
	}
	return o
}

// Service answers requests about networks.
type Service struct {
	store *store.Store
	clock cloud.Clock
	opts  Options
	pick  func(n int) int // chooses among n free addresses
}

// New makes the service.
func New(st *store.Store, clock cloud.Clock, opts Options) *Service {
	return &Service{store: st, clock: clock, opts: opts.withDefaults(), pick: rand.IntN}
}

// DNSDomain is what the full names of ports end in.
func (s *Service) DNSDomain() string { return s.opts.DNSDomain }

// update runs fn in a transaction and gives what it made.
func update[T any](ctx context.Context, s *Service, fn func(tx *store.Tx) (T, error)) (T, error) {
	return run(ctx, s.change, fn)
}

// view runs fn in a snapshot and gives what it read.
func view[T any](ctx context.Context, s *Service, fn func(tx *store.Tx) (T, error)) (T, error) {
	return run(ctx, s.store.View, fn)
}

func run[T any](ctx context.Context, in func(context.Context, func(*store.Tx) error) error, fn func(tx *store.Tx) (T, error)) (T, error) {
	var out T
	err := in(ctx, func(tx *store.Tx) error {
		var err error
		out, err = fn(tx)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// each makes one thing of every request, all in one transaction.
func each[R, T any](ctx context.Context, s *Service, reqs []R, fn func(*store.Tx, R) (T, error)) ([]T, error) {
	return update(ctx, s, func(tx *store.Tx) ([]T, error) {
		out := make([]T, 0, len(reqs))
		for _, r := range reqs {
			v, err := fn(tx, r)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	})
}

// set assigns *src to *dst when it was given.
func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

// or is *p, or the default when it was not given.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// indexed maps rows by their key.
func indexed[T any](rows []T, key func(T) string) map[string]T {
	m := make(map[string]T, len(rows))
	for _, r := range rows {
		m[key(r)] = r
	}
	return m
}

// without is the list with no v in it.
func without(list []string, v string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == v })
}
