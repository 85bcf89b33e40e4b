package schedule

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// query keeps the hosts that a condition holds for: the hint "query", a JSON
// text such as '[">=", "$free_ram_mb", 1024]' (nova's JsonFilter).
func query(f Fleet, h Host, r Request) string {
	if r.Query == "" {
		return ""
	}
	ok, err := f.holds(h, r.Query)
	switch {
	case err != nil:
		return "cannot be asked the query: " + err.Error()
	case !ok:
		return "does not fulfil the query " + r.Query
	}
	return ""
}

// CheckQuery tells whether a query can be asked.
func CheckQuery(text string) error {
	_, err := Fleet{}.holds(Host{}, text)
	return err
}

func (f Fleet) holds(h Host, text string) (bool, error) {
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return false, fmt.Errorf("it is no JSON: %w", err)
	}
	v, err := f.eval(h, tree)
	if err != nil {
		return false, err
	}
	ok, is := v.(bool)
	return ok && is, nil
}

// eval gives the value of a node of the query.
func (f Fleet) eval(h Host, node any) (any, error) {
	if name, ok := node.(string); ok && strings.HasPrefix(name, "$") {
		return f.variable(h, name)
	}
	list, ok := node.([]any)
	if !ok {
		return node, nil
	}
	if len(list) == 0 {
		return true, nil
	}
	op, ok := list[0].(string)
	if !ok {
		return nil, fmt.Errorf("%v is no operator", list[0])
	}
	args := make([]any, 0, len(list))
	for _, e := range list[1:] {
		v, err := f.eval(h, e)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	return apply(op, args)
}

// variable is what a host has by nova's name of it.
func (f Fleet) variable(h Host, name string) (any, error) {
	free := f.free(h)
	v, ok := map[string]any{
		"$free_ram_mb": float64(free.MemoryMB), "$free_disk_mb": float64(free.DiskGB) * 1024, "$total_usable_ram_mb": float64(h.Seen.MemoryMB),
		"$total_usable_disk_gb": float64(h.Seen.DiskGB), "$disk_mb_used": float64(h.Used.DiskGB) * 1024, "$vcpus_total": float64(h.Seen.VCPUs),
		"$vcpus_used": float64(h.Used.VCPUs), "$num_instances": float64(h.Used.Servers), "$host": h.Name, "$nodename": h.Name,
		"$hypervisor_hostname": h.Name, "$hypervisor_type": h.Seen.Hypervisor, "$hypervisor_version": float64(h.Seen.HypervisorVersion),
		"$host_ip": h.Seen.HostIP, "$uuid": h.ID,
	}[name]
	if !ok {
		return nil, fmt.Errorf("there is no %s", name)
	}
	return v, nil
}

// apply does one operator: comparisons are of the first with all others.
func apply(op string, args []any) (any, error) {
	switch op {
	case "and", "or", "not":
		return logic(op, args), nil
	case "in":
		return len(args) > 1 && contains(args[1:], args[0]), nil
	case "=", "<", ">", "<=", ">=":
	default:
		return nil, fmt.Errorf("%q is no operator", op)
	}
	if len(args) < 2 {
		return false, nil
	}
	for _, a := range args[1:] {
		if !compare(op, args[0], a) {
			return false, nil
		}
	}
	return true, nil
}

func logic(op string, args []any) any {
	if op == "not" {
		out := make([]any, len(args))
		for i, a := range args {
			out[i] = a != true
		}
		if len(out) == 1 {
			return out[0]
		}
		return out
	}
	for _, a := range args {
		if (a == true) == (op == "or") {
			return op == "or"
		}
	}
	return op == "and"
}

func contains(list []any, v any) bool {
	for _, e := range list {
		if reflect.DeepEqual(e, v) {
			return true
		}
	}
	return false
}

func compare(op string, a, b any) bool {
	x, isX := a.(float64)
	y, isY := b.(float64)
	if !isX || !isY {
		return op == "=" && reflect.DeepEqual(a, b)
	}
	switch op {
	case "<":
		return x < y
	case ">":
		return x > y
	case "<=":
		return x <= y
	case ">=":
		return x >= y
	}
	return x == y
}
