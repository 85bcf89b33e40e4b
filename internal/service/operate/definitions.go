package operate

import (
	"context"
	"encoding/json"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/service/compute"
	"hearth/internal/store"
)

// DefinitionVersion is one version of a definition, with who made it when.
type DefinitionVersion struct {
	*osdef.Definition
	ProjectID string `json:"project_id"` // whose servers it is for; "" for all
	UserID    string `json:"user_id"`
	CreatedAt string `json:"created_at"`
}

func versionOf(d cloud.OSDefinition) (DefinitionVersion, error) {
	spec, err := osdef.Decode([]byte(d.Body))
	if err != nil {
		return DefinitionVersion{}, cloud.E("operate.Definition", cloud.Internal, "definition %s cannot be read: %w", d.Ref(), err)
	}
	return DefinitionVersion{Definition: spec, ProjectID: d.ProjectID, UserID: d.UserID, CreatedAt: d.CreatedAt.UTC().Format("2006-01-02T15:04:05Z")}, nil
}

// Definitions lists the newest version of each, by name: those of a project, and
// those of all that it has none of its own in the place of.
func (s *Service) Definitions(ctx context.Context, project string) ([]DefinitionVersion, error) {
	list, err := s.definitions(ctx, store.Query{Where: []store.Cond{store.In("project_id", project, "")},
		Order: []store.Order{{Column: "name"}, {Column: "project_id", Desc: true}, {Column: "version", Desc: true}}})
	return slices.CompactFunc(list, func(a, b DefinitionVersion) bool { return a.Name == b.Name }), err
}

// DefinitionVersions lists all versions of one, the oldest first, as a project sees
// it; NotFound.
func (s *Service) DefinitionVersions(ctx context.Context, project, name string) ([]DefinitionVersion, error) {
	newest, err := s.Definition(ctx, project, name)
	if err != nil {
		return nil, err
	}
	return s.definitions(ctx, store.Query{Where: []store.Cond{store.Eq("project_id", newest.ProjectID), store.Eq("name", newest.Name)}, Order: []store.Order{{Column: "version"}}})
}

func (s *Service) definitions(ctx context.Context, q store.Query) (list []DefinitionVersion, err error) {
	var rows []cloud.OSDefinition
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.OSDefinitions.List(q)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		v, err := versionOf(row)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// Definition gives NAME, its newest version, or NAME@VERSION, of a project, else of
// all; NotFound, with the names that there are.
func (s *Service) Definition(ctx context.Context, project, ref string) (v DefinitionVersion, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		row, err := compute.DefinitionTx(tx, "operate.Definition", project, ref)
		if err == nil {
			v, err = versionOf(row)
		}
		return err
	})
	return v, err
}

// PutDefinition keeps a definition as the next version of its name; the same as the
// newest makes none. It is for the servers of a project, or of all (""). Invalid with
// the reason.
func (s *Service) PutDefinition(ctx context.Context, userID, project string, d *osdef.Definition) (v DefinitionVersion, err error) {
	const op = "operate.PutDefinition"
	if err := d.Check(); err != nil {
		return v, cloud.E(op, cloud.Invalid, "The definition is refused: %w", err)
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		next := *d
		next.Version = 1
		if project != "" {
			if _, err := tx.Projects.Get(project); err != nil {
				return cloud.E(op, cloud.Invalid, "There is no project %s: give its id.", project)
			}
		}
		was, err := compute.DefinitionTx(tx, op, project, d.Name)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		if err == nil && was.ProjectID == project {
			next.Version = was.Version
			if body, err := json.Marshal(next); err == nil && string(body) == was.Body {
				v, err = versionOf(was)
				return err
			}
			next.Version++
		}
		body, err := json.Marshal(next)
		if err != nil {
			return err
		}
		if _, err := osdef.Decode(body); err != nil {
			return cloud.E(op, cloud.Invalid, "The definition is refused: %w", err)
		}
		row := cloud.OSDefinition{ProjectID: project, Name: next.Name, Version: next.Version, Body: string(body), UserID: userID, CreatedAt: s.clock.Now()}
		if err := tx.OSDefinitions.Insert(row); err != nil {
			return err
		}
		v, err = versionOf(row)
		return err
	})
	return v, err
}
