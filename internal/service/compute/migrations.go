package compute

import (
	"context"
	"slices"
	"strconv"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// migrationNumber is the setting with the number of the newest migration.
const migrationNumber = "compute-migration-number"

// migrateTx writes down that a server is on its way to another size.
func (s *Service) migrateTx(tx *store.Tx, a Actor, v cloud.Server, old string) error {
	last, err := tx.Settings.Get(migrationNumber)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	n, _ := strconv.ParseInt(last.Value, 10, 64) // none yet is 0
	n++
	if err := tx.Settings.Put(store.Setting{Name: migrationNumber, Value: strconv.FormatInt(n, 10)}); err != nil {
		return err
	}
	now := s.clock.Now()
	return tx.Migrations.Insert(cloud.Migration{
		ID: cloud.NewID(), ServerID: v.ID, Number: n, ProjectID: a.ProjectID, UserID: a.UserID, Kind: cloud.MigrationResize,
		SourceHost: v.Node, DestHost: v.Node, OldFlavor: old, NewFlavor: v.Flavor.ID, CreatedAt: now, UpdatedAt: now,
	})
}

// migratedTx writes down what came of a server's open migrations.
func (s *Service) migratedTx(tx *store.Tx, server, outcome string) error {
	open, err := tx.Migrations.List(store.Where(store.Eq("server_id", server), store.Eq("outcome", "")))
	if err != nil {
		return err
	}
	for _, m := range open {
		m.Outcome, m.UpdatedAt = outcome, s.clock.Now()
		if err := tx.Migrations.Update(m); err != nil {
			return err
		}
	}
	return nil
}

// MigrationFilter says which migrations a list holds; the zero one is all.
type MigrationFilter struct {
	ServerID, Host, SourceHost, Status, Kind string
	UserID, ProjectID                        string
	Since, Before                            time.Time
	Marker                                   string
	Limit                                    int // 0 for none
}

// MigrationDetail is a migration with how it stands.
type MigrationDetail struct {
	cloud.Migration
	Status string
}

func (f MigrationFilter) holds(m MigrationDetail) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.ServerID, m.ServerID) && is(f.SourceHost, m.SourceHost) && is(f.Status, m.Status) && is(f.Kind, m.Kind) &&
		is(f.UserID, m.UserID) && is(f.ProjectID, m.ProjectID) && (f.Host == "" || f.Host == m.SourceHost || f.Host == m.DestHost) &&
		!m.UpdatedAt.Before(f.Since) && (f.Before.IsZero() || !m.UpdatedAt.After(f.Before))
}

// Migrations lists migrations, newest first, and tells whether there are more.
func (s *Service) Migrations(ctx context.Context, f MigrationFilter) (out []MigrationDetail, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Migrations.List(store.Query{Order: []store.Order{{Column: "created_at", Desc: true}}})
		if err != nil {
			return err
		}
		out = nil
		for _, m := range all {
			d := MigrationDetail{m, m.Outcome}
			if d.Status == "" {
				if d.Status, err = migrationStatus(tx, m); err != nil {
					return err
				}
			}
			if f.holds(d) || m.ID == f.Marker {
				out = append(out, d)
			}
		}
		return nil
	})
	if f.Marker != "" && err == nil {
		i := slices.IndexFunc(out, func(m MigrationDetail) bool { return m.ID == f.Marker })
		if i < 0 {
			return nil, false, cloud.E("compute.Migrations", cloud.Invalid, "Marker %s could not be found.", f.Marker)
		}
		out = out[i+1:]
	}
	if f.Limit > 0 && len(out) > f.Limit {
		out, more = out[:f.Limit], true
	}
	return out, more, err
}

// migrationStatus is how an open migration stands. To delete a resized server is
// to confirm its resize.
func migrationStatus(tx *store.Tx, m cloud.Migration) (string, error) {
	v, err := tx.Servers.Get(m.ServerID)
	if cloud.Is(err, cloud.NotFound) {
		return cloud.MigrationConfirmed, nil
	}
	return v.MigrationStatus(), err
}
