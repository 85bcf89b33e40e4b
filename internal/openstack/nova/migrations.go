package nova

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) migrationRoutes() []wire.Route {
	one := "/servers/{id}/migrations"
	return []wire.Route{
		route("GET", "/os-migrations", wire.Admin, "os-migrations:index", a.listMigrations),
		since(23, route("GET", one, wire.Admin, "servers:migrations:index", a.listServerMigrations)),
		since(23, route("GET", one+"/{migration}", wire.Admin, "servers:migrations:show", a.noServerMigration)),
		since(22, route("POST", one+"/{migration}/action", wire.Admin, "servers:migrations:force_complete", a.forceComplete)),
		since(24, route("DELETE", one+"/{migration}", wire.Admin, "servers:migrations:delete", a.noServerMigration)),
	}
}

// migrationView is a migration in a microversion
// (nova/api/openstack/compute/migrations.py).
func migrationView(r *wire.Request, m compute.MigrationDetail) wire.M {
	v := wire.M{
		"id": m.Number, "instance_uuid": m.ServerID, "status": m.Status, "created_at": stampMicro(m.CreatedAt), "updated_at": stampMicro(m.UpdatedAt),
		"source_compute": m.SourceHost, "source_node": m.SourceHost, "dest_compute": m.DestHost, "dest_node": m.DestHost, "dest_host": nil,
		"old_instance_type_id": flavorNumber(m.OldFlavor), "new_instance_type_id": flavorNumber(m.NewFlavor),
	}
	if r.Version.AtLeast(23) {
		v["migration_type"] = m.Kind
	}
	if r.Version.AtLeast(59) {
		v["uuid"] = m.ID
	}
	if r.Version.AtLeast(80) {
		v["user_id"], v["project_id"] = m.UserID, m.ProjectID
	}
	return v
}

// flavorNumber is a flavor's id as a number, which nova's database has.
func flavorNumber(id string) any {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		return n
	}
	return number32(id)
}

func (a *api) listMigrations(r *wire.Request) (*wire.Response, error) {
	f, err := migrationFilter(r)
	if err != nil {
		return nil, err
	}
	found, more, err := a.svc.Migrations(r.Context(), f)
	if err != nil {
		return nil, err
	}
	views := []wire.M{}
	for _, m := range found {
		views = append(views, migrationView(r, m))
	}
	body := wire.M{"migrations": views}
	if more && len(found) > 0 && r.Version.AtLeast(59) {
		body["migrations_links"] = nextLinks(r, found[len(found)-1].ID)
	}
	return wire.JSON(body), nil
}

func migrationFilter(r *wire.Request) (f compute.MigrationFilter, err error) {
	q := r.URL.Query()
	known := []string{"hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"}
	f = compute.MigrationFilter{ServerID: q.Get("instance_uuid"), Host: q.Get("host"), SourceHost: q.Get("source_compute"), Status: q.Get("status"), Kind: q.Get("migration_type")}
	if r.Version.AtLeast(59) {
		known = append(known, "limit", "marker", "changes-since")
		if f.Limit, f.Marker, err = page(r); err != nil {
			return f, err
		}
		if f.Since, err = timeOf(q, "changes-since"); err != nil {
			return f, err
		}
	}
	if r.Version.AtLeast(66) {
		known = append(known, "changes-before")
		if f.Before, err = timeOf(q, "changes-before"); err != nil {
			return f, err
		}
		if !f.Before.IsZero() && f.Before.Before(f.Since) {
			return f, cloud.E("nova.migrations", cloud.Invalid, "The value of changes-since must be less than or equal to changes-before.")
		}
	}
	if r.Version.AtLeast(80) {
		known = append(known, "user_id", "project_id")
		f.UserID, f.ProjectID = q.Get("user_id"), q.Get("project_id")
	}
	if r.Version.AtLeast(59) {
		err = onlyKnown(q, known)
	}
	return f, err
}

// onlyKnown refuses other query parameters.
func onlyKnown(q url.Values, known []string) error {
	for name := range q {
		if !slices.Contains(known, name) {
			return cloud.E("nova.query", cloud.Invalid, "Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	return nil
}

// listServerMigrations lists the live migrations under way: servers stay on
// their hosts.
func (a *api) listServerMigrations(r *wire.Request) (*wire.Response, error) {
	if _, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"migrations": []wire.M{}}), nil
}

func (a *api) noServerMigration(r *wire.Request) (*wire.Response, error) {
	id, migration := r.PathValue("id"), r.PathValue("migration")
	if _, err := a.svc.Server(r.Context(), r.Caller, id); err != nil {
		return nil, err
	}
	return nil, cloud.E("nova.migrations", cloud.NotFound, "In-progress live migration %s is not found for server %s.", migration, id)
}

// forceComplete judges the body first, as nova does.
func (a *api) forceComplete(r *wire.Request) (*wire.Response, error) {
	var in map[string]any
	if err := a.schemas.decode(r, "verbs.json#/force_complete", &in); err != nil {
		return nil, err
	}
	return a.noServerMigration(r)
}

// timeOf reads a moment of the query; zero when there is none.
func timeOf(q url.Values, name string) (time.Time, error) {
	if !q.Has(name) {
		return time.Time{}, nil
	}
	return parseTime(name, q.Get(name))
}
