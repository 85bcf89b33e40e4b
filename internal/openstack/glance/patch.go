package glance

import (
	"encoding/json"
	"mime"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

// The patch formats: 2.1 is that of RFC 6902 with the three operations that
// glance has, 2.0 an older one ({"replace": "/name", "value": "x"}).
const (
	patch20 = "application/openstack-images-v2.0-json-patch"
	patch21 = "application/openstack-images-v2.1-json-patch"
)

// patchFormat tells whether a patch is in the old format; MediaType for neither.
func patchFormat(contentType string) (old bool, err error) {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case patch20:
		return true, nil
	case patch21:
		return false, nil
	}
	return false, cloud.E("glance.patch", cloud.MediaType, "The media type %q is not one of a patch: use %s, %s", contentType, patch20, patch21)
}

func badPatch(format string, args ...any) error {
	return cloud.E("glance.patch", cloud.Invalid, format, args...)
}

// parsePatch reads the operations of a patch.
func parsePatch(ops []map[string]json.RawMessage, old bool) ([]image.Change, error) {
	changes := make([]image.Change, len(ops))
	for i, raw := range ops {
		op, path, err := operation(raw, old)
		if err != nil {
			return nil, err
		}
		c := image.Change{Op: op, New: old}
		if c.Name, err = attribute(path); err != nil {
			return nil, err
		}
		value, ok := raw["value"]
		if !ok && op != image.OpRemove {
			return nil, badPatch("Operation \"%s\" requires a member named \"value\".", op)
		}
		if ok {
			if err := json.Unmarshal(value, &c.Value); err != nil {
				return nil, badPatch("the value of %s is not JSON: %w", path, err)
			}
		}
		changes[i] = c
	}
	return changes, nil
}

// operation is what a step does, and where.
func operation(raw map[string]json.RawMessage, old bool) (op image.Op, path string, err error) {
	text := func(member string) (s string) {
		_ = json.Unmarshal(raw[member], &s) // what is no text is ""
		return s
	}
	known := []image.Op{image.OpAdd, image.OpReplace, image.OpRemove}
	if old {
		var found []image.Op
		for _, o := range known {
			if _, ok := raw[string(o)]; ok {
				found = append(found, o)
			}
		}
		if len(found) != 1 {
			return "", "", badPatch("Operation objects must contain only one member named \"add\", \"remove\", or \"replace\".")
		}
		return found[0], text(string(found[0])), nil
	}
	if _, ok := raw["op"]; !ok {
		return "", "", badPatch("Unable to find 'op' in JSON Schema change")
	}
	if _, ok := raw["path"]; !ok {
		return "", "", badPatch("Unable to find 'path' in JSON Schema change")
	}
	for _, o := range known {
		if text("op") == string(o) {
			return o, text("path"), nil
		}
	}
	return "", "", badPatch("Invalid operation: `%s`. It must be one of the following: add, remove, replace.", text("op"))
}

// attribute is the name that a JSON pointer (RFC 6901) points at. An image is
// flat: there is nothing deeper, except in locations.
func attribute(pointer string) (string, error) {
	name, ok := strings.CutPrefix(pointer, "/")
	switch {
	case !ok:
		return "", badPatch("Pointer `%s` does not start with \"/\".", pointer)
	case name == "" || strings.HasSuffix(name, "/"):
		return "", badPatch("Pointer `%s` does not contain a valid token or ends with \"/\".", pointer)
	}
	if root, _, deep := strings.Cut(name, "/"); deep && root == "locations" {
		return root, nil
	} else if deep {
		return "", badPatch("Invalid JSON pointer for this resource: '%s'", pointer)
	}
	plain := strings.NewReplacer("~0", "", "~1", "").Replace(name)
	if strings.Contains(plain, "~") {
		return "", badPatch("Pointer `%s` contains \"~\" not part of a recognized escape sequence.", pointer)
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name), nil
}
