package placement

import (
	"encoding/json"
	"slices"

	"hearth/internal/openstack/wire"
)

// decode reads a body that is an object with no other members than those named.
func decode(r *wire.Request, v any, members ...string) error {
	var raw map[string]json.RawMessage
	if err := r.Decode(&raw); err != nil {
		return err
	}
	for name := range raw {
		if !slices.Contains(members, name) {
			return invalid("JSON does not validate: Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return invalid("JSON does not validate: %w", err)
	}
	return nil
}
