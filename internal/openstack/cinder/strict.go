package cinder

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
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
	if err := onlyObject(r, name, &raw); err != nil {
		return err
	}
	allowed := strings.Fields(known)
	for _, m := range later {
		if r.Version.AtLeast(m.since) {
			allowed = append(allowed, m.name)
		}
	}
	if got := unexpected(raw, allowed); got != "" {
		return cloud.E("cinder.body", cloud.Invalid, "Invalid input for field/attribute %s. Additional properties are not allowed ('%s' was unexpected)", name, got)
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

// besideVolumes is the one member that may stand beside the object of a request.
const besideVolumes = "OS-SCH-HNT:scheduler_hints"

// onlyObject reads the object of a name from a body that has nothing beside it.
func onlyObject(r *wire.Request, name string, into any) error {
	var top map[string]json.RawMessage
	if err := r.Decode(&top); err != nil {
		return err
	}
	allowed := []string{name}
	if name == "volume" {
		allowed = append(allowed, besideVolumes)
	}
	if got := unexpected(top, allowed); got != "" {
		return cloud.E("cinder.body", cloud.Invalid, "Additional properties are not allowed ('%s' was unexpected)", got)
	}
	raw, ok := top[name]
	if !ok || string(raw) == "null" && name != "restore" { // a restore has nothing that it must be told
		return cloud.E("cinder.body", cloud.Invalid, "'%s' is a required property", name)
	}
	inner := &wire.Request{Request: &http.Request{Body: io.NopCloser(bytes.NewReader(raw))}}
	return inner.Decode(into)
}

// unexpected is the first member, in the order of the alphabet, that is not
// allowed; "" for none.
func unexpected(members map[string]json.RawMessage, allowed []string) string {
	for _, got := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(allowed, got) {
			return got
		}
	}
	return ""
}

// actionMembers are what the parameters of an action may be; "!" marks one that
// must be there. What is not listed, the action judges itself
// (cinder/api/schemas/volume_actions.py, volume_image_metadata.py, admin_actions.py).
var actionMembers = map[string]string{
	"os-attach": "instance_uuid mountpoint! host_name mode", "os-detach": "attachment_id", "os-force_detach": "connector attachment_id",
	"os-extend": "new_size!", "os-set_bootable": "bootable!", "os-update_readonly_flag": "readonly!", "os-retype": "new_type! migration_policy",
	"os-initialize_connection": "connector!", "os-terminate_connection": "connector!",
	"os-set_image_metadata": "metadata!", "os-unset_image_metadata": "key!",
	"os-migrate_volume_completion": "new_volume! error",
}

// checkAction holds the parameters of an action against its members. That of
// os-detach may be null.
func checkAction(name string, raw json.RawMessage) error {
	known, ok := actionMembers[name]
	if !ok || name == "os-detach" && string(raw) == "null" {
		return nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(raw, &in); err != nil || in == nil {
		return cloud.E("cinder.action", cloud.Invalid, "Invalid input for field/attribute %s. Value: %.64s. It is not of type 'object'", name, raw)
	}
	var allowed []string
	for member := range strings.FieldsSeq(known) {
		member, must := strings.CutSuffix(member, "!")
		allowed = append(allowed, member)
		if _, there := in[member]; must && !there {
			return cloud.E("cinder.action", cloud.Invalid, "Invalid input for field/attribute %s. '%s' is a required property", name, member)
		}
	}
	if got := unexpected(in, allowed); got != "" {
		return cloud.E("cinder.action", cloud.Invalid, "Invalid input for field/attribute %s. Additional properties are not allowed ('%s' was unexpected)", name, got)
	}
	return nil
}

// trimmed is a text without blanks around it; "" for none.
func trimmed(s *string) string { return strings.TrimSpace(text(s)) }
