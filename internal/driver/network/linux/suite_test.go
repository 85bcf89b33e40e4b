package linux

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
	"hearth/internal/driver/network/networktest"
)

func TestE2ESuite(t *testing.T) {
	networktest.Run(t, func(t *testing.T) network.Driver { return newLab(t, nil).d })
}

// TestE2EHalfMade applies over what a crash may leave: a name without a
// namespace, a switch without its filters, a cable to nowhere.
func TestE2EHalfMade(t *testing.T) {
	l := newLab(t, nil)
	ctx := context.Background()
	p := newPlan("10.0.0.0/24")
	a := p.port(11)
	for _, kind := range []string{kindSwitch, kindService} {
		if err := os.WriteFile(filepath.Join(runNetns, l.d.nsName(kind, p.ID)), nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := l.d.Inventory(ctx); err != nil || len(found.Networks) != 1 {
		t.Fatalf("a half-made network is not found: %+v %v", found, err)
	}
	l.apply(p)
	r := newRouter(nil, "", p)
	l.applyRouter(r)
	// The router's namespace went, and the service's name, while cables stayed.
	for _, name := range []string{l.d.nsName(kindRouter, r.ID), l.d.nsName(kindService, p.ID)} {
		if err := dropNamespace(name); err != nil {
			t.Fatal(err)
		}
	}
	l.apply(p)
	l.applyRouter(r)
	tap, err := l.d.Plug(ctx, p.ID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	_ = tap.Close()
}

func TestNew(t *testing.T) {
	for name, config := range map[string]Config{
		"no name":       {},
		"odd name":      {Node: "a/b"},
		"unknown kind":  {Node: "a", Physical: map[string]Uplink{"p": {Kind: "tunnel"}}},
		"no interface":  {Node: "a", Physical: map[string]Uplink{"p": {Kind: UplinkHost}}},
		"too long name": {Node: "a", Physical: map[string]Uplink{"p": {Kind: UplinkHost, HostIfName: "sixteen-letters0"}}},
	} {
		if _, err := New(config); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
