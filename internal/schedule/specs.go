package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// aggregateScope is the scope of extra specs that an aggregate's metadata is to
// fulfil.
const aggregateScope = "aggregate_instance_extra_specs"

// specs holds a flavor's extra specs against the host: those with the scope
// "capabilities" against what it has, those with the scope
// "aggregate_instance_extra_specs" against the metadata of its aggregates, and
// those without a scope against both. Other scopes are words between the operator
// and something else.
func specs(f Fleet, h Host, r Request) string {
	for _, name := range slices.Sorted(maps.Keys(r.Specs)) {
		want := r.Specs[name]
		scope, key, scoped := strings.Cut(name, ":")
		if !scoped {
			key = name
		}
		capable, known := capability(h, key)
		switch {
		case scoped && scope == "capabilities":
			if !known || !Fulfils(capable, want) {
				return fmt.Sprintf("has not the capability %s %s", key, want)
			}
		case scoped && scope != aggregateScope:
		case !scoped && known:
			if !Fulfils(capable, want) {
				return fmt.Sprintf("has not the capability %s %s", key, want)
			}
		case !inAggregate(h, key, want):
			return fmt.Sprintf("is in no aggregate with %s %s", key, want)
		}
	}
	return ""
}

// capability is what a host has by nova's name of it (the attributes of its
// HostState that are of use).
func capability(h Host, key string) (string, bool) {
	v, ok := map[string]string{
		"hypervisor_type": h.Seen.Hypervisor, "hypervisor_version": strconv.Itoa(h.Seen.HypervisorVersion), "hypervisor_hostname": h.Name,
		"cpu_info:arch": h.Seen.CPUArch, "cpu_info:model": h.Seen.CPUModel, "vcpus_total": strconv.Itoa(h.Seen.VCPUs),
		"total_usable_ram_mb": strconv.Itoa(h.Seen.MemoryMB), "total_usable_disk_gb": strconv.Itoa(h.Seen.DiskGB),
	}[key]
	return v, ok
}

func inAggregate(h Host, key, want string) bool {
	for _, a := range h.Aggregates {
		value, ok := a.Metadata[key]
		if ok && slices.ContainsFunc(strings.Split(value, ","), func(v string) bool { return Fulfils(strings.TrimSpace(v), want) }) {
			return true
		}
	}
	return false
}

// Fulfils compares what there is with an extra spec, by the operators that nova
// and cinder document: =, ==, !=, >=, <= and s==, s!=, s<, s<=, s>, s>=, <in>, <all-in>,
// <is>, <or>; without one it is equality.
func Fulfils(have, want string) bool {
	want = strings.TrimSpace(want)
	op, rest, _ := strings.Cut(want, " ")
	rest = strings.TrimSpace(rest)
	if ok, is := textually(op, have, rest); is {
		return ok
	}
	switch op {
	case "<in>":
		return strings.Contains(have, rest)
	case "<all-in>":
		return !slices.ContainsFunc(strings.Fields(rest), func(w string) bool { return w != "<all-in>" && !strings.Contains(have, w) })
	case "<is>":
		return isTrue(have) == isTrue(rest)
	case "<or>":
		for part := range strings.SplitSeq(rest, "<or>") {
			if strings.TrimSpace(part) == have {
				return true
			}
		}
		return false
	}
	return have == want
}

// isTrue reads a boolean as OpenStack does (oslo.utils, bool_from_string): what is
// no word for yes is no.
func isTrue(s string) bool {
	return slices.Contains([]string{"1", "t", "true", "on", "y", "yes"}, strings.ToLower(strings.TrimSpace(s)))
}

// textually does the operators on numbers and on texts; is tells whether op was
// one of them.
func textually(op, have, want string) (ok, is bool) {
	if test, found := strings.CutPrefix(op, "s"); found && ordered(test) {
		return order(test, strings.Compare(have, want)), true
	}
	if op == "=" {
		op = ">=" // as nova has it
	}
	if !ordered(op) {
		return false, false
	}
	a, errA := strconv.ParseFloat(have, 64)
	b, errB := strconv.ParseFloat(want, 64)
	if errA != nil || errB != nil {
		return false, true
	}
	switch {
	case a < b:
		return order(op, -1), true
	case a > b:
		return order(op, 1), true
	}
	return order(op, 0), true
}

func ordered(op string) bool {
	return slices.Contains([]string{"==", "!=", ">=", "<=", "<", ">"}, op)
}

func order(op string, n int) bool {
	switch op {
	case "==":
		return n == 0
	case "!=":
		return n != 0
	case ">=":
		return n >= 0
	case "<=":
		return n <= 0
	case "<":
		return n < 0
	}
	return n > 0
}
