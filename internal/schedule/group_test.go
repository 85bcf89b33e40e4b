package schedule

import (
	"testing"

	"hearth/internal/cloud"
)

// TestPolicies plans with groups, aggregates and hints.
func TestPolicies(t *testing.T) {
	two := []cloud.Host{node("n1", 4, 4096, 100), node("n2", 4, 4096, 100)}
	two[0].Seen.HostIP, two[1].Seen.HostIP = "10.0.1.1", "10.0.2.1"
	in := func(group string, s cloud.Server) cloud.Server {
		s.SchedulerHints = map[string][]string{"group": {group}}
		return s
	}
	ask := func(change func(*cloud.Server)) cloud.Server {
		s := on("new", "", 1, 512, 1)
		change(&s)
		return s
	}
	hint := func(name, value string) cloud.Server {
		return ask(func(s *cloud.Server) { s.SchedulerHints = map[string][]string{name: {value}} })
	}
	spec := func(name, value string) cloud.Server {
		return ask(func(s *cloud.Server) { s.Flavor.ExtraSpecs = map[string]string{name: value} })
	}
	groups := []cloud.ServerGroup{
		{ID: "anti", Name: "anti", Policy: cloud.PolicyAntiAffinity}, {ID: "anti2", Name: "anti2", Policy: cloud.PolicyAntiAffinity, MaxPerHost: 2},
		{ID: "aff", Name: "aff", Policy: cloud.PolicyAffinity}, {ID: "softaff", Policy: cloud.PolicySoftAffinity}, {ID: "softanti", Policy: cloud.PolicySoftAntiAffinity},
	}
	aggregates := []cloud.Aggregate{
		{Number: 1, Hosts: []string{"n2"}, Metadata: map[string]string{"availability_zone": "west", "ssd": "true", "filter_tenant_id": "p1, p2"}},
	}
	crowd := func(group string) []cloud.Server {
		return []cloud.Server{in(group, on("a", "n1", 1, 1, 1)), in(group, on("b", "n2", 1, 1, 1))}
	}
	p1 := func(s cloud.Server) cloud.Server { s.ProjectID = "p1"; return s }
	for _, c := range []struct {
		name       string
		servers    []cloud.Server
		aggregates []cloud.Aggregate
		ask        cloud.Server
		want       string
		refusal    string
	}{
		{"anti-affinity", crowd("anti")[:1], nil, hint("group", "anti"), "n2", ""},
		{"anti-affinity is full", crowd("anti"), nil, hint("group", "anti"), "",
			"no host fits: n1 has 1 of the server group anti already, which allows 1 to a host, n2 has 1 of the server group anti already, which allows 1 to a host"},
		{"two to a host", crowd("anti2"), nil, hint("group", "anti2"), "n1", ""},
		{"affinity, the first", nil, nil, hint("group", "aff"), "n1", ""},
		{"affinity", crowd("aff")[1:], nil, hint("group", "aff"), "n2", ""},
		{"affinity with itself alone", []cloud.Server{in("aff", on("new", "n1", 1, 1, 1))}, nil, ask(func(s *cloud.Server) {
			s.SchedulerHints, s.ForcedHost = map[string][]string{"group": {"aff"}}, "n2"
		}), "n2", ""},
		{"soft affinity", []cloud.Server{in("softaff", on("a", "n1", 1, 2048, 1))}, nil, hint("group", "softaff"), "n1", ""},
		{"soft anti-affinity", []cloud.Server{in("softanti", on("a", "n1", 1, 1, 1)), on("b", "n2", 1, 2048, 1)}, nil, hint("group", "softanti"), "n2", ""},
		{"a group that is gone", crowd("was"), nil, hint("group", "was"), "n1", ""},
		{"zone of an aggregate", nil, aggregates, p1(ask(func(s *cloud.Server) { s.AvailabilityZone = "west" })), "n2", ""},
		{"out of the zone", nil, aggregates, ask(func(s *cloud.Server) { s.AvailabilityZone = "nova" }), "n1", ""},
		{"for other projects", nil, aggregates, ask(func(s *cloud.Server) { s.ProjectID, s.ForcedHost = "p3", "n2" }), "", "no host fits: n1 is not the host asked for, n2 is in an aggregate that is for other projects"},
		{"aggregate's metadata", nil, aggregates, p1(spec("aggregate_instance_extra_specs:ssd", "true")), "n2", ""},
		{"no such metadata", nil, aggregates, p1(spec("ssd", "<or> false <or> no")), "",
			"no host fits: n1 is in no aggregate with ssd <or> false <or> no, n2 is in no aggregate with ssd <or> false <or> no"},
		{"other scopes", nil, nil, spec("hw:cpu_policy", "dedicated"), "n1", ""},
		{"capabilities", nil, nil, spec("capabilities:vcpus_total", ">= 8"), "", "no host fits: n1 has not the capability vcpus_total >= 8, n2 has not the capability vcpus_total >= 8"},
		{"near", nil, nil, hint("build_near_host_ip", "10.0.2.77"), "n2", ""},
		{"query", []cloud.Server{on("a", "n1", 1, 4000, 1)}, nil, hint("query", `["and", [">=", "$free_ram_mb", 1024], ["not", ["=", "$host", "n9"]]]`), "n2", ""},
		{"query that nothing fulfils", nil, nil, hint("query", `["in", "$host", "a", "b"]`), "", `no host fits: n1 does not fulfil the query ["in", "$host", "a", "b"], n2 does not fulfil the query ["in", "$host", "a", "b"]`},
	} {
		f := Snapshot(two, c.servers, DefaultRatios(), now)
		f.Know(World{Aggregates: c.aggregates, Groups: groups, Servers: c.servers})
		got, err := Plan(f, RequestOf(c.ask))
		switch {
		case c.refusal != "" && (!cloud.Is(err, cloud.NoCapacity) || cloud.Message(err) != c.refusal):
			t.Errorf("%s: %v %v, want %q", c.name, got, err, c.refusal)
		case c.refusal == "" && (err != nil || got.Host != c.want):
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestFulfils(t *testing.T) {
	for _, c := range []struct {
		have, want string
		ok         bool
	}{
		{"4", "= 4", true}, {"5", "= 4", true}, {"3", "= 4", false}, {"4", "== 4.0", true}, {"x", ">= 1", false}, {"abc", "<in> b", true},
		{"aes mmx", "<all-in> aes mmx", true}, {"aes", "<all-in> aes mmx", false}, {"true", "<is> True", true}, {"b", "<or> a <or> b", true},
		{"False", "<is> True", false}, {"yes", "<is> 1", true}, {"False", "<is> false", true}, {"file", "<is> true", false}, {"b", "<or> a", false},
		{"b", "s> a", true}, {"b", "s== b", true}, {"b", "s!= b", false}, {"b", "b", true}, {"4", "!= 4", false}, {"4", "< 5", true},
	} {
		if Fulfils(c.have, c.want) != c.ok {
			t.Errorf("%q %q", c.have, c.want)
		}
	}
}

func TestCheckQuery(t *testing.T) {
	for text, ok := range map[string]bool{`["=", "$host", "a"]`: true, `[]`: true, `["<", 1]`: true, `x`: false, `["~", 1, 2]`: false, `["=", "$none", 1]`: false, `[1]`: false} {
		if err := CheckQuery(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestResources plans with extra specs that ask for resources and traits, and with
// what clients of placement claimed.
func TestResources(t *testing.T) {
	hosts := []cloud.Host{node("n1", 4, 4096, 100), node("n2", 4, 4096, 100)}
	hosts[0].ID, hosts[1].ID = "h1", "h2"
	gpu := cloud.Inventory{Total: 1, MinUnit: 1, MaxUnit: 1, StepSize: 1, Ratio: 1}
	providers := []cloud.ResourceProvider{
		{ID: "h1", Traits: []string{"HW_CPU_X86_AVX2"}},
		{ID: "h2", Inventories: map[string]cloud.Inventory{cloud.ClassVCPU: {Total: 99, MinUnit: 1, MaxUnit: 99, StepSize: 1, Ratio: 1}}},
		{ID: "card", Name: "card", ParentID: "h2", Inventories: map[string]cloud.Inventory{"CUSTOM_GPU": gpu}},
	}
	with := func(specs ...string) cloud.Server {
		s := on("new", "", 1, 64, 1)
		s.Flavor.ExtraSpecs = map[string]string{}
		for i := 0; i < len(specs); i += 2 {
			s.Flavor.ExtraSpecs[specs[i]] = specs[i+1]
		}
		return s
	}
	for _, c := range []struct {
		name      string
		consumers []cloud.Consumer
		ask       cloud.Server
		want      string // host, and the claims
		refusal   string
	}{
		{"a resource of a child", nil, with("resources:CUSTOM_GPU", "1"), "n2 card CUSTOM_GPU", ""},
		{"it is taken", []cloud.Consumer{{Claims: []cloud.Claim{{ProviderID: "card", Class: "CUSTOM_GPU", Amount: 1}}}}, with("resources1:CUSTOM_GPU", "1"), "",
			"no host fits: n1 does not have 1 CUSTOM_GPU, n2 does not have 1 CUSTOM_GPU"},
		{"trait", nil, with("trait:HW_CPU_X86_AVX2", "required"), "n1", ""},
		{"no trait", nil, with("trait:HW_CPU_X86_AVX2", "forbidden"), "n2", ""},
		{"claimed by a client", []cloud.Consumer{{Claims: []cloud.Claim{{ProviderID: "h1", Class: cloud.ClassMemory, Amount: 4090}}}}, with(), "n2", ""},
		{"what there is stays what there is", []cloud.Consumer{{Claims: []cloud.Claim{{ProviderID: "h1", Class: cloud.ClassVCPU, Amount: 16}, {ProviderID: "h2", Class: cloud.ClassVCPU, Amount: 4}}}}, with(), "",
			"no host fits: n1 lacks 1 virtual CPUs (has 0), n2 lacks 1 virtual CPUs (has 0)"},
		{"the flavor takes no processor", []cloud.Consumer{{Claims: []cloud.Claim{{ProviderID: "h1", Class: cloud.ClassVCPU, Amount: 16}}}}, with("resources:VCPU", "0"), "n1", ""},
		{"nonsense", nil, with("trait:X", "maybe"), "", "no host fits: n1 cannot be asked for the flavor's resources: trait:X is maybe; it is required or forbidden, n2 cannot be asked for the flavor's resources: trait:X is maybe; it is required or forbidden"},
	} {
		f := Snapshot(hosts, nil, DefaultRatios(), now)
		f.Know(World{Providers: providers, Consumers: c.consumers})
		p, err := Plan(f, RequestOf(c.ask))
		got := p.Host
		for _, claim := range p.Claims {
			got += " " + claim.ProviderID + " " + claim.Class
		}
		switch {
		case c.refusal != "" && (!cloud.Is(err, cloud.NoCapacity) || cloud.Message(err) != c.refusal):
			t.Errorf("%s: %v %v, want %q", c.name, got, err, c.refusal)
		case c.refusal == "" && (err != nil || got != c.want):
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
}
