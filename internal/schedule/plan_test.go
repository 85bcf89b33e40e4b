package schedule

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"hearth/internal/cloud"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// node makes a live host of a size.
func node(name string, cpus, mem, disk int) cloud.Host {
	return cloud.Host{Name: name, AvailabilityZone: "nova", SeenAt: now,
		Seen: cloud.HostStatus{VCPUs: cpus, MemoryMB: mem, DiskGB: disk}}
}

// on makes a server of a size on a host.
func on(id, host string, cpus, mem, disk int) cloud.Server {
	return cloud.Server{ID: id, Node: host, Flavor: cloud.Flavor{VCPUs: cpus, MemoryMB: mem, RootGB: disk}}
}

func TestPlan(t *testing.T) {
	draining, disabled, silent, other := node("n1", 4, 4096, 100), node("n1", 4, 4096, 100), node("n1", 4, 4096, 100), node("n1", 4, 4096, 100)
	draining.Draining, disabled.Disabled, disabled.DisabledReason, other.AvailabilityZone = true, true, "new disk", "west"
	silent.SeenAt = now.Add(-time.Hour)
	reserved := node("n1", 4, 4096, 100)
	reserved.Seen.ReservedMB = 4000
	two := []cloud.Host{node("n2", 4, 4096, 100), node("n1", 4, 4096, 100)}
	giving := []cloud.Host{node("n2", 4, 4096, 100), node("n1", 4, 4096, 100)}
	giving[0].Seen.Exports, giving[1].Seen.Exports = true, true
	small := Request{Size: Size{VCPUs: 1, MemoryMB: 512, DiskGB: 1}}
	with := func(change func(*Request)) Request { r := small; change(&r); return r }
	for _, c := range []struct {
		name    string
		hosts   []cloud.Host
		servers []cloud.Server
		r       Request
		want    string // the host, or
		refusal string
	}{
		{"no hosts", nil, nil, small, "", "no host fits: there are no hosts; start a node, or see 'hearth doctor'"},
		{"equal hosts: the first by name", two, nil, small, "n1", ""},
		{"spread", two, []cloud.Server{on("a", "n1", 1, 512, 1)}, small, "n2", ""},
		{"spread by share, not by number", []cloud.Host{node("n1", 4, 8192, 100), node("n2", 4, 2048, 100)},
			[]cloud.Server{on("a", "n1", 1, 1024, 1), on("b", "n2", 1, 512, 1)}, small, "n1", ""},
		{"memory and draining", []cloud.Host{node("node-1", 4, 512, 100), func() cloud.Host { h := draining; h.Name = "node-2"; return h }()}, nil,
			Request{Size: Size{VCPUs: 1, MemoryMB: 2048, DiskGB: 1}}, "", "no host fits: node-1 lacks 2048 MB of memory (has 512), node-2 is draining"},
		{"disabled", []cloud.Host{disabled}, nil, small, "", "no host fits: n1 is disabled (new disk)"},
		{"silent", []cloud.Host{silent}, nil, small, "", "no host fits: n1 has not reported for more than a minute"},
		{"zone", []cloud.Host{other, two[0]}, nil, with(func(r *Request) { r.AvailabilityZone = "nova" }), "n2", ""},
		{"no such zone", []cloud.Host{other}, nil, with(func(r *Request) { r.AvailabilityZone = "east" }), "", "no host fits: n1 is in availability zone west, not east"},
		{"forced", two, nil, with(func(r *Request) { r.Host = "n2" }), "n2", ""},
		{"forced on none", two, nil, with(func(r *Request) { r.Host = "n9" }), "", "no host fits: there is no host n9"},
		{"tried", two, nil, with(func(r *Request) { r.Exclude = []string{"n1"} }), "n2", ""},
		{"reserved memory", []cloud.Host{reserved}, nil, small, "", "no host fits: n1 lacks 512 MB of memory (has 96)"},
		{"disk", []cloud.Host{node("n1", 4, 4096, 10)}, []cloud.Server{on("a", "n1", 1, 1, 8)}, with(func(r *Request) { r.DiskGB = 3 }), "", "no host fits: n1 lacks 3 GB of disk (has 2)"},
		{"more CPUs than are real", []cloud.Host{node("n1", 2, 4096, 10)}, nil, with(func(r *Request) { r.VCPUs = 4 }), "", "no host fits: n1 lacks 4 CPUs (has 2)"},
		{"promised CPUs are used up", []cloud.Host{node("n1", 1, 4096, 100)}, []cloud.Server{on("a", "n1", 4, 1, 1)}, small, "", "no host fits: n1 lacks 1 virtual CPUs (has 0)"},
		{"where its volume is", two, nil, with(func(r *Request) { r.VolumesOn = []string{"n2"} }), "n2", ""},
		{"where its volume is, though full of others", giving, []cloud.Server{on("a", "n2", 1, 2048, 1)}, with(func(r *Request) { r.VolumesOn = []string{"n2"} }), "n2", ""},
		{"a volume that is given", giving, nil, with(func(r *Request) { r.VolumesOn, r.Host = []string{"n2"}, "n1" }), "n1", ""},
		{"a volume that is not given", two, nil, with(func(r *Request) { r.VolumesOn, r.Host = []string{"n2"}, "n1" }), "",
			"no host fits: n1 does not have its volume (which is on n2), n2 is not the host asked for"},
		{"a volume of several servers", giving, nil, with(func(r *Request) { r.VolumesOn, r.VolumesStay, r.Host = []string{"n2"}, []string{"n2"}, "n1" }), "",
			"no host fits: n1 does not have its volume (which is on n2), n2 is not the host asked for"},
		{"beside", two, []cloud.Server{on("a", "n2", 1, 512, 1)}, with(func(r *Request) { r.SameHost = []string{"a"} }), "n2", ""},
		{"not beside", two, []cloud.Server{on("a", "n2", 1, 1, 1), on("b", "n1", 1, 2, 1)}, with(func(r *Request) { r.DifferentHost = []string{"a"} }), "n1", ""},
	} {
		got, err := Plan(Snapshot(c.hosts, c.servers, DefaultRatios(), now), c.r)
		switch {
		case c.refusal != "" && (!cloud.Is(err, cloud.NoCapacity) || cloud.Message(err) != c.refusal):
			t.Errorf("%s: %v %v, want %q", c.name, got, err, c.refusal)
		case c.refusal == "" && (err != nil || got.Host != c.want):
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestSizeOfImageRoot(t *testing.T) {
	s := cloud.Server{Flavor: cloud.Flavor{VCPUs: 1, MemoryMB: 64, EphemeralGB: 2, SwapMB: 100}, Image: cloud.ImageRef{VirtualSize: 1<<30 + 1}}
	if got := SizeOf(s); got != (Size{1, 64, 2 + 2 + 1}) {
		t.Errorf("%+v", got)
	}
}

// FuzzPlan fills random fleets until they refuse: no host is ever promised
// beyond its capacity, and the same snapshot gives the same plan.
func FuzzPlan(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint8(seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var hosts []cloud.Host
		for i := range int(n % 8) {
			hosts = append(hosts, node("n"+strconv.Itoa(i), rnd.IntN(16), rnd.IntN(1<<16), rnd.IntN(500)))
		}
		fleet := Snapshot(hosts, nil, DefaultRatios(), now)
		for i := range 200 {
			r := Request{Size: Size{VCPUs: rnd.IntN(8), MemoryMB: rnd.IntN(8192), DiskGB: rnd.IntN(50)}}
			p, err := Plan(fleet, r)
			again, _ := Plan(fleet, r)
			if !reflect.DeepEqual(p, again) {
				t.Fatalf("two plans of one snapshot: %v, %v", p, again)
			}
			if err == nil {
				fleet.Place(strconv.Itoa(i), p.Host, r.Size)
			}
		}
		for _, h := range fleet.Hosts {
			if left := fleet.free(h); left.VCPUs < 0 || left.MemoryMB < 0 || left.DiskGB < 0 {
				t.Fatalf("%s is promised too much: %+v of %+v", h.Name, h.Used, fleet.Capacity(h))
			}
		}
	})
}
