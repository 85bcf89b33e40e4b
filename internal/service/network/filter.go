package network

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Filter narrows a list by what the store has an index of. Empty fields do not
// narrow. Any finer filter is the API's.
type Filter struct {
	IDs        []string
	NetworkIDs []string // of subnets, ports and floating IPs
	DeviceIDs  []string // of ports
	GroupIDs   []string // of rules
	PortIDs    []string // of floating IPs
}

// maxIn bounds the values of an In condition: past it, reading all is cheaper.
const maxIn = 500

func in(where []store.Cond, column string, values []string) []store.Cond {
	if len(values) == 0 || len(values) > maxIn {
		return where
	}
	return append(where, store.In(column, values...))
}

// byAge lists the oldest first, as a database without an order would.
func byAge(where []store.Cond) store.Query {
	return store.Query{Where: where, Order: []store.Order{{Column: "created_at"}}}
}

// keep gives the rows that ok holds for.
func keep[T any](rows []T, err error, ok func(T) bool) ([]T, error) {
	if err != nil {
		return nil, err
	}
	out := rows[:0]
	for _, r := range rows {
		if ok(r) {
			out = append(out, r)
		}
	}
	return out, nil
}

// mine narrows to the caller's project, for nouns that only their owner sees.
func mine(where []store.Cond, c cloud.Caller) []store.Cond {
	if c.IsAdmin() {
		return where
	}
	return append(where, store.Eq("project_id", c.ProjectID))
}

// related reads the rows of a table whose column is one of the keys, grouped by
// that column.
func related[T any](t *store.Table[T], column string, keys []string, of func(T) string) (map[string][]T, error) {
	groups := map[string][]T{}
	if len(keys) == 0 {
		return groups, nil
	}
	rows, err := t.List(byAge(in(nil, column, keys)))
	for _, r := range rows {
		groups[of(r)] = append(groups[of(r)], r)
	}
	return groups, err
}
