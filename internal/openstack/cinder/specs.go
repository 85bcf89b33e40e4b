package cinder

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// specs are the words of a type, of volumes or of groups, as a collection of its
// own below the type.
type specs struct {
	member string // of the bodies
	noun   string // in sentences: "Volume Type %s has no extra specs"
	added  int    // the status of an answer to what was added
	// shown gives those that the caller sees, all those there are, and the type's id.
	shown func(r *wire.Request) (visible, all map[string]string, id string, err error)
	// change changes those of the type that the path names; the map is never nil.
	change func(r *wire.Request, fn func(id string, m map[string]string) error) error
}

func (s specs) missing(id, key string) error {
	return cloud.E("cinder.specs", cloud.NotFound, s.noun+" with key %s.", id, key)
}

func (s specs) list(r *wire.Request) (*wire.Response, error) {
	visible, _, _, err := s.shown(r)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{s.member: orEmpty(visible)}), nil
}

func (s specs) add(r *wire.Request) (*wire.Response, error) {
	m := map[string]string{}
	if err := r.DecodeObject(s.member, &m); err != nil {
		return nil, err
	}
	if err := checkSpecs(m); err != nil {
		return nil, err
	}
	err := s.change(r, func(_ string, have map[string]string) error { maps.Copy(have, m); return nil })
	return &wire.Response{Status: s.added, Body: wire.M{s.member: m}}, err
}

func (s specs) show(r *wire.Request) (*wire.Response, error) {
	_, all, id, err := s.shown(r)
	if err != nil {
		return nil, err
	}
	key := r.PathValue("key")
	if v, ok := all[key]; ok {
		return wire.JSON(wire.M{key: v}), nil
	}
	return nil, s.missing(id, key)
}

func (s specs) set(r *wire.Request) (*wire.Response, error) {
	m := map[string]string{}
	if err := r.Decode(&m); err != nil {
		return nil, err
	}
	if _, ok := m[r.PathValue("key")]; !ok || len(m) != 1 {
		return nil, cloud.E("cinder.specs", cloud.Invalid, "Request body contains too many items, or not the one of the address.")
	}
	if err := checkSpecs(m); err != nil {
		return nil, err
	}
	err := s.change(r, func(_ string, have map[string]string) error { maps.Copy(have, m); return nil })
	return wire.JSON(m), err
}

func (s specs) drop(r *wire.Request) (*wire.Response, error) {
	key := r.PathValue("key")
	err := s.change(r, func(id string, have map[string]string) error {
		if _, ok := have[key]; !ok {
			return s.missing(id, key)
		}
		delete(have, key)
		return nil
	})
	return wire.Accepted(nil), err
}

// extraSpecs are those of volume types. Users see some of them.
func (a *api) extraSpecs() specs {
	return specs{
		member: "extra_specs", noun: "Volume Type %s has no extra specs", added: http.StatusOK,
		shown: func(r *wire.Request) (map[string]string, map[string]string, string, error) {
			t, err := a.svc.Type(r.Context(), r.Caller, r.PathValue("id"))
			if r.Caller.IsAdmin() {
				return t.ExtraSpecs, t.ExtraSpecs, t.ID, err
			}
			return visibleSpecs(t), visibleSpecs(t), t.ID, err
		},
		change: func(r *wire.Request, fn func(string, map[string]string) error) error {
			_, err := a.svc.ChangeType(r.Context(), r.Caller, r.PathValue("id"), func(t *cloud.VolumeType) error {
				t.ExtraSpecs = orEmpty(t.ExtraSpecs)
				return fn(t.ID, t.ExtraSpecs)
			})
			return err
		},
	}
}

// groupSpecs are those of group types.
func (a *api) groupSpecs() specs {
	return specs{
		member: "group_specs", noun: "Group Type %s has no specs", added: http.StatusAccepted,
		shown: func(r *wire.Request) (map[string]string, map[string]string, string, error) {
			t, err := a.svc.GroupType(r.Context(), r.Caller, r.PathValue("id"))
			return t.Specs, t.Specs, t.ID, err
		},
		change: func(r *wire.Request, fn func(string, map[string]string) error) error {
			_, err := a.changeGroupType(r, func(t *cloud.GroupType) error { return fn(t.ID, t.Specs) })
			return err
		},
	}
}
