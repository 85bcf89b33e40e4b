// Package quota is what the services' quotas have in common: a project's limits
// are its own over the operator's defaults over those built in, and a user's are
// his own over his project's. What is used is not here: every service counts it
// from its rows.
package quota

import (
	"maps"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Book is the limits of one service.
type Book struct {
	Service string // as in cloud.DefaultQuota
	// More gives resources beyond those built in, with their limits; nil for none.
	More func(tx *store.Tx) (map[string]int, error)
}

// Defaults stands for all projects among the rows of a service.
func (b Book) Defaults() string { return "default:" + b.Service }

// Class stands for a quota class. The class default is that of all projects; what
// is in others applies to nobody.
func (b Book) Class(name string) string {
	if name == "default" {
		return b.Defaults()
	}
	return "class:" + name
}

func (b Book) row(project, user string) cloud.Quota {
	return cloud.Quota{Service: b.Service, ProjectID: project, UserID: user}
}

func (b Book) ownTx(tx *store.Tx, project, user string) (map[string]int, error) {
	q, err := tx.Quotas.Get(b.row(project, user).Key())
	if cloud.Is(err, cloud.NotFound) {
		return nil, nil
	}
	return q.Limits, err
}

// LimitsTx gives the limits of a project, or of a user in it; -1 is no limit. A
// limit of a resource that is no more does not count.
func (b Book) LimitsTx(tx *store.Tx, project, user string) (map[string]int, error) {
	limits := cloud.DefaultQuota(b.Service)
	if b.More != nil {
		more, err := b.More(tx)
		if err != nil {
			return nil, err
		}
		maps.Copy(limits, more)
	}
	keys := [][2]string{{b.Defaults(), ""}, {project, ""}}
	if user != "" {
		keys = append(keys, [2]string{project, user})
	}
	for _, k := range keys {
		own, err := b.ownTx(tx, k[0], k[1])
		if err != nil {
			return nil, err
		}
		for name, limit := range own {
			if _, ok := limits[name]; ok {
				limits[name] = limit
			}
		}
	}
	return limits, nil
}

// SetTx changes limits of a project, or of a user in it; Invalid for a resource
// that there is not. It gives the limits as they are then.
func (b Book) SetTx(tx *store.Tx, op, project, user string, set map[string]int) (map[string]int, error) {
	known, err := b.LimitsTx(tx, project, user)
	if err != nil {
		return nil, err
	}
	var unknown []string
	for name := range set {
		if _, ok := known[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, cloud.E(op, cloud.Invalid, "Bad key(s) in quota set: %s", strings.Join(unknown, ", "))
	}
	own, err := b.ownTx(tx, project, user)
	if err != nil {
		return nil, err
	}
	row := b.row(project, user)
	row.Limits = map[string]int{}
	maps.Copy(row.Limits, own)
	maps.Copy(row.Limits, set)
	if err := tx.Quotas.Put(row); err != nil {
		return nil, err
	}
	return b.LimitsTx(tx, project, user)
}

// DeleteTx takes a user back to his project's limits, or a project, and all of its
// users, to the defaults.
func (b Book) DeleteTx(tx *store.Tx, project, user string) error {
	rows := []cloud.Quota{b.row(project, user)}
	if user == "" {
		all, err := tx.Quotas.List(store.Where(store.Eq("service", b.Service), store.Eq("project_id", project)))
		if err != nil {
			return err
		}
		rows = all
	}
	for _, q := range rows {
		if err := tx.Quotas.Delete(q.Key()); err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
	}
	return nil
}
