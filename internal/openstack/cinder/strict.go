package cinder

import (
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// member is a member that bodies have from a microversion on.
type member struct {
	name  string
	since int
}

func at(n int, name string) member { return member{name, n} }

// strictObject reads the object of a name from a body, and refuses members that
// are not among the known (with blanks between them) or not of the request's
// microversion, as cinder's schemas do.
func strictObject(r *wire.Request, name string, into any, known string, later ...member) error {
	raw := map[string]json.RawMessage{}
	if err := r.DecodeObject(name, &raw); err != nil {
		return err
	}
	allowed := strings.Fields(known)
	for _, m := range later {
		if r.Version.AtLeast(m.since) {
			allowed = append(allowed, m.name)
		}
	}
	for got := range raw {
		if !slices.Contains(allowed, got) {
			return cloud.E("cinder.body", cloud.Invalid, "Invalid input for field/attribute %s. Additional properties are not allowed ('%s' was unexpected)", name, got)
		}
	}
	body, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return malformed(err)
	}
	return nil
}

// trimmed is a text without blanks around it; "" for none.
func trimmed(s *string) string { return strings.TrimSpace(text(s)) }
