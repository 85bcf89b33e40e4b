package glance

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// The JSON schemas of metadata definitions (glance/api/v2/metadef_*.py). Bodies
// are held against the very schemas that clients are given.

var jsonTypes = []any{"array", "boolean", "integer", "number", "object", "string", nil}

func ref(name string) wire.M { return wire.M{"$ref": "#/definitions/" + name} }

func text(most int) wire.M { return wire.M{"type": "string", "maxLength": most} }

// definitions are what the schemas refer to.
func definitions() wire.M {
	return wire.M{
		"positiveInteger":         wire.M{"type": "integer", "minimum": 0},
		"positiveIntegerDefault0": wire.M{"allOf": []any{ref("positiveInteger"), wire.M{"default": 0}}},
		"stringArray":             wire.M{"type": "array", "items": wire.M{"type": "string"}, "uniqueItems": true},
		"property": wire.M{"type": "object", "additionalProperties": wire.M{
			"type": "object", "required": []string{"title", "type"}, "properties": propertyFields(),
		}},
	}
}

// propertyFields is what describes a property.
func propertyFields() wire.M {
	return wire.M{
		"name": text(80), "title": wire.M{"type": "string"}, "description": wire.M{"type": "string"},
		"operators": wire.M{"type": "array", "items": wire.M{"type": "string"}}, "type": wire.M{"type": "string", "enum": jsonTypes},
		"required": ref("stringArray"), "minimum": wire.M{"type": "number"}, "maximum": wire.M{"type": "number"},
		"maxLength": ref("positiveInteger"), "minLength": ref("positiveIntegerDefault0"),
		"pattern": wire.M{"type": "string", "format": "regex"}, "enum": wire.M{"type": "array"},
		"readonly": wire.M{"type": "boolean"}, "default": wire.M{},
		"items":    wire.M{"type": "object", "properties": wire.M{"type": wire.M{"type": "string", "enum": jsonTypes}, "enum": wire.M{"type": "array"}}},
		"maxItems": ref("positiveInteger"), "minItems": ref("positiveIntegerDefault0"),
		"uniqueItems": wire.M{"type": "boolean", "default": false}, "additionalItems": wire.M{"type": "boolean"},
	}
}

// metadefSchema is an object's schema.
func metadefSchema(name string, required []string, fields wire.M) wire.M {
	return wire.M{"name": name, "properties": fields, "required": required, "additionalProperties": false, "definitions": definitions()}
}

// dated adds what the service itself says of an object.
func dated(fields wire.M) wire.M {
	for _, name := range []string{"created_at", "updated_at"} {
		fields[name] = wire.M{"type": "string", "readOnly": true, "format": "date-time"}
	}
	for _, name := range []string{"self", "schema"} {
		fields[name] = wire.M{"type": "string", "readOnly": true}
	}
	return fields
}

func namespaceSchema() wire.M {
	association := wire.M{"name": wire.M{"type": "string"}, "prefix": wire.M{"type": "string"}, "properties_target": wire.M{"type": "string"}}
	object := wire.M{"name": wire.M{"type": "string"}, "description": wire.M{"type": "string"}, "required": ref("stringArray"), "properties": ref("property")}
	list := func(fields wire.M) wire.M {
		return wire.M{"type": "array", "items": wire.M{"type": "object", "required": []string{"name"}, "properties": fields}}
	}
	return metadefSchema("namespace", []string{"namespace"}, dated(wire.M{
		"namespace": wire.M{"type": "string", "minLength": 1, "maxLength": 80}, "display_name": text(80), "description": text(500),
		"visibility": wire.M{"type": "string", "enum": []string{"public", "private"}}, "protected": wire.M{"type": "boolean"}, "owner": text(255),
		"resource_type_associations": list(association), "properties": ref("property"), "objects": list(object), "tags": list(wire.M{"name": wire.M{"type": "string"}}),
	}))
}

func objectSchema() wire.M {
	return metadefSchema("object", []string{"name"}, dated(wire.M{
		"name": text(80), "description": wire.M{"type": "string"}, "required": ref("stringArray"), "properties": ref("property"),
	}))
}

func propertySchema() wire.M {
	return metadefSchema("property", []string{"name", "title", "type"}, propertyFields())
}

func tagSchema() wire.M {
	fields := dated(wire.M{"name": text(80)})
	delete(fields, "self")
	delete(fields, "schema")
	return metadefSchema("tag", []string{"name"}, fields)
}

func resourceTypeSchema() wire.M {
	fields := dated(wire.M{"name": text(80), "prefix": text(80), "properties_target": text(80)})
	delete(fields, "self")
	delete(fields, "schema")
	return metadefSchema("resource_type_association", []string{"name"}, fields)
}

// collection is the schema of a list of objects.
func collection(name string, of func() wire.M) func() wire.M {
	return func() wire.M {
		item := of()
		shared := item["definitions"]
		delete(item, "definitions")
		return wire.M{
			"name": name, "definitions": shared,
			"properties": wire.M{
				name: wire.M{"type": "array", "items": item}, "first": wire.M{"type": "string"}, "next": wire.M{"type": "string"}, "schema": wire.M{"type": "string"},
			},
			"links": []wire.M{{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}},
		}
	}
}

// propertiesSchema is that of a namespace's properties, which are an object.
func propertiesSchema() wire.M {
	m := collection("properties", propertySchema)()
	m["properties"].(wire.M)["properties"] = wire.M{"type": "object", "additionalProperties": wire.M{"type": "object"}}
	return m
}

// shape is a schema that bodies are held against.
type shape struct {
	name     string
	compiled *jsonschema.Schema
}

// newShape prepares a schema of this file; one that is broken is a defect that
// the first test meets.
func newShape(schema wire.M) shape {
	name := schema["name"].(string)
	body, err := json.Marshal(schema)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	if err := c.AddResource(name+".json", doc); err != nil {
		panic(err)
	}
	return shape{name, c.MustCompile(name + ".json")}
}

// decode reads a body that fits the schema and sets nothing that the service
// itself says; Invalid, Forbidden.
func (s shape) decode(r *wire.Request) (map[string]any, error) {
	const op = "glance.metadef"
	var body map[string]any
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	for _, name := range []string{"self", "schema", "created_at", "updated_at"} {
		if _, ok := body[name]; ok {
			return nil, cloud.E(op, cloud.Forbidden, "Attribute '%s' is read-only.", name)
		}
	}
	if err := s.compiled.Validate(body); err != nil {
		_, reasons, _ := strings.Cut(err.Error(), "\n")
		return nil, cloud.E(op, cloud.Invalid, "Provided object does not match schema '%s': %s", s.name, strings.ReplaceAll(strings.TrimPrefix(reasons, "- "), "\n- ", "; "))
	}
	return body, nil
}
