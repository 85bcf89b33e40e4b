package placement

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// unfit is a body or a query that is not as its schema wants it: what is wrong, and
// the schema's keyword that says so, in the words of Python's jsonschema.
func unfit(keyword, format string, args ...any) error {
	return invalid("JSON does not validate: "+format+"\n\nFailed validating '%s' in schema", append(args, keyword)...)
}

// missing is a member that must be there.
func missing(name string) error { return unfit("required", "'%s' is a required property", name) }

// bytesOf reads a body that must say that it is JSON.
func bytesOf(r *wire.Request) ([]byte, error) {
	header := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(header)
	switch {
	case header == "" && r.ContentLength != 0:
		return nil, invalid("content-type header required")
	case header == "":
		return nil, cloud.E("placement", cloud.MediaType, "The media type None is not supported, use application/json")
	case err != nil || kind != "application/json":
		return nil, cloud.E("placement", cloud.MediaType, "The media type %s is not supported, use application/json", header)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, wire.MaxBody))
	if err != nil {
		return nil, cloud.E("placement", cloud.TooLarge, "the request body is larger than %d bytes", wire.MaxBody)
	}
	if !json.Valid(raw) {
		return nil, invalid("Malformed JSON: the body is not JSON")
	}
	return raw, nil
}

// object reads a body that is an object.
func object(raw []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, unfit("type", "%s is not of type 'object'", brief(raw))
	}
	return members, nil
}

// brief is the beginning of a text.
func brief(raw []byte) string {
	if len(raw) > 100 {
		return string(raw[:100]) + "…"
	}
	return string(raw)
}

// decode reads a body that is an object with no other members than those named.
func decode(r *wire.Request, v any, members ...string) error {
	raw, err := bytesOf(r)
	if err != nil {
		return err
	}
	return decodeObject(raw, v, members...)
}

func decodeObject(raw []byte, v any, members ...string) error {
	in, err := object(raw)
	if err != nil {
		return err
	}
	for name := range in {
		if !slices.Contains(members, name) {
			return unfit("additionalProperties", "Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	return fill(raw, v)
}

// pythonTypes are JSON's types by Go's.
var pythonTypes = map[string]string{"int": "integer", "int64": "integer", "float64": "number", "string": "string", "bool": "boolean"}

// fill puts JSON into v.
func fill(raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		want, ok := pythonTypes[typ.Type.Kind().String()]
		if !ok {
			want = "object"
			if typ.Type.Kind().String() == "slice" {
				want = "array"
			}
		}
		at := int(typ.Offset)
		begin := strings.LastIndexAny(string(raw[:max(0, at-1)]), ":,[{") + 1
		return unfit("type", "%s is not of type '%s'", strings.ReplaceAll(strings.TrimSpace(string(raw[begin:at])), `"`, "'"), want)
	}
	if err != nil {
		return invalid("JSON does not validate: %w", err)
	}
	return nil
}

// within wants a number from least to most.
func within(n, least, most int) error {
	switch {
	case n < least:
		return unfit("minimum", "%d is less than the minimum of %d", n, least)
	case n > most:
		return unfit("maximum", "%d is greater than the maximum of %d", n, most)
	}
	return nil
}

// text wants a text of 1 to most characters.
func text(s string, most int) error {
	switch {
	case s == "":
		return unfit("minLength", "'' is too short")
	case len([]rune(s)) > most:
		return unfit("maxLength", "'%s' is too long", s)
	}
	return nil
}

// uuid wants an id.
func uuid(s string) error {
	if !cloud.IsID(s) {
		return unfit("format", "'%s' is not a 'uuid'", s)
	}
	return nil
}

// accepts tells whether the client takes JSON.
func accepts(r *wire.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return accept == "" || strings.Contains(accept, "application/json") || strings.Contains(accept, "*/*") || strings.Contains(accept, "application/*")
}
