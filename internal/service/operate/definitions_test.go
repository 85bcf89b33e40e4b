package operate

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/store"
)

func TestDefinitions(t *testing.T) {
	s := operator(t, func(tx *store.Tx) error { return tx.Projects.Insert(cloud.Project{ID: "p1", Name: "p1"}) })
	put := func(name, swap string) int {
		t.Helper()
		v, err := s.PutDefinition(t.Context(), "ann", "", &osdef.Definition{Name: name, Settings: map[string]string{"SWAP": swap}})
		if err != nil {
			t.Fatal(err)
		}
		return v.Version
	}
	if a, b, c := put("web", "yes"), put("web", "yes"), put("web", "no"); a != 1 || b != 1 || c != 2 || put("db", "no") != 1 {
		t.Errorf("versions %d, %d, %d", a, b, c)
	}
	all, err := s.Definitions(t.Context(), "")
	if err != nil || len(all) != 2 || all[0].Name != "db" || all[1].Version != 2 || all[1].UserID != "ann" {
		t.Errorf("%+v, %v", all, err)
	}
	history, err := s.DefinitionVersions(t.Context(), "", "web")
	if err != nil || len(history) != 2 || history[0].Settings["SWAP"] != "yes" || history[1].CreatedAt != "2026-01-02T03:04:05Z" {
		t.Errorf("%+v, %v", history, err)
	}
	if v, err := s.Definition(t.Context(), "", "web@1"); err != nil || v.Settings["SWAP"] != "yes" {
		t.Errorf("%+v, %v", v, err)
	}
	for _, ref := range []string{"none", "web@3", "web@", ""} {
		if v, err := s.Definition(t.Context(), "", ref); !cloud.Is(err, cloud.NotFound) {
			t.Errorf("%q: %+v, %v", ref, v, err)
		}
	}
	if _, err := s.PutDefinition(t.Context(), "ann", "", &osdef.Definition{Name: "x", Settings: map[string]string{"SWAP": "perhaps"}}); !cloud.Is(err, cloud.Invalid) {
		t.Error(err)
	}
	own := &osdef.Definition{Name: "web", Settings: map[string]string{"SWAP": "yes"}, Hooks: map[string]string{"10-site": "#!/bin/sh\n"}}
	if v, err := s.PutDefinition(t.Context(), "ann", "p1", own); err != nil || v.Version != 1 || v.ProjectID != "p1" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := s.PutDefinition(t.Context(), "ann", "p9", own); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a project that is not there: %v", err)
	}
	for project, hooks := range map[string]int{"p1": 1, "p2": 0, "": 0} {
		v, err := s.Definition(t.Context(), project, "web")
		if err != nil || len(v.Hooks) != hooks {
			t.Errorf("%q sees %+v, %v", project, v, err)
		}
		if all, err := s.Definitions(t.Context(), project); err != nil || len(all) != 2 || len(all[1].Hooks) != hooks {
			t.Errorf("%q lists %+v, %v", project, all, err)
		}
		if all, err := s.DefinitionVersions(t.Context(), project, "web"); err != nil || len(all) != 2-hooks {
			t.Errorf("%q has the history %+v, %v", project, all, err)
		}
	}
}
