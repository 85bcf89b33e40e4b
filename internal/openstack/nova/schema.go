package nova

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// schemas compiles the schema of an operation in a microversion when it is first
// wanted, and keeps it. It is safe for concurrent use.
type schemas struct {
	mu       sync.Mutex
	docs     map[string]any // file name to its JSON
	breaks   []int          // the minor versions at which any schema changes, ascending
	compiled map[int]map[string]*jsonschema.Schema
	compiler map[int]*jsonschema.Compiler
}

// loadSchemas reads the embedded files.
func loadSchemas() (*schemas, error) {
	s := &schemas{docs: map[string]any{}, compiled: map[int]map[string]*jsonschema.Schema{}, compiler: map[int]*jsonschema.Compiler{}}
	files, err := schemaFiles.ReadDir("schemas")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		raw, err := schemaFiles.ReadFile("schemas/" + f.Name())
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, cloud.E("nova.schemas", cloud.Internal, "%s: %w", f.Name(), err)
		}
		s.docs[f.Name()] = doc
		s.note(doc)
	}
	slices.Sort(s.breaks)
	s.breaks = slices.Compact(s.breaks)
	return s, nil
}

// note collects the versions at which a document changes.
func (s *schemas) note(v any) {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := minor(v["x-min"]); ok {
			s.breaks = append(s.breaks, n)
		}
		if n, ok := minor(v["x-max"]); ok {
			s.breaks = append(s.breaks, n+1)
		}
		if required, ok := v["x-required"].(map[string]any); ok {
			for _, from := range required {
				if n, ok := minor(from); ok {
					s.breaks = append(s.breaks, n)
				}
			}
		}
		for _, e := range v {
			s.note(e)
		}
	case []any:
		for _, e := range v {
			s.note(e)
		}
	}
}

func minor(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}

// at gives the schema of an operation, such as "servers.json#/create", as it is
// in a microversion.
func (s *schemas) at(operation string, version int) (*jsonschema.Schema, error) {
	from := 0
	for _, b := range s.breaks {
		if b <= version {
			from = b
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.compiled[from][operation]; ok {
		return c, nil
	}
	compiler, err := s.compilerAt(from)
	if err != nil {
		return nil, err
	}
	c, err := compiler.Compile("nova:///" + operation)
	if err != nil {
		return nil, err
	}
	s.compiled[from][operation] = c
	return c, nil
}

func (s *schemas) compilerAt(version int) (*jsonschema.Compiler, error) {
	if c, ok := s.compiler[version]; ok {
		return c, nil
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, f := range formats {
		c.RegisterFormat(&f)
	}
	for name, doc := range s.docs {
		if err := c.AddResource("nova:///"+name, cut(doc, version)); err != nil {
			return nil, err
		}
	}
	s.compiler[version], s.compiled[version] = c, map[string]*jsonschema.Schema{}
	return c, nil
}

// cut gives a schema as it is in a microversion: members of other versions are
// left out, of alternatives the one that holds is taken.
func cut(v any, version int) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			switch name {
			case "x-min", "x-max":
			case "x-required":
				for member, from := range e.(map[string]any) {
					if n, _ := minor(from); n <= version {
						required, _ := v["required"].([]any)
						out["required"] = append(slices.Clone(required), member)
					}
				}
			case "required":
				if _, ok := out["required"]; !ok {
					out["required"] = e
				}
			case "properties":
				out[name] = cutMembers(e.(map[string]any), version)
			default:
				out[name] = cut(e, version)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cut(e, version)
		}
		return out
	}
	return v
}

func cutMembers(members map[string]any, version int) map[string]any {
	out := map[string]any{}
	for name, e := range members {
		alternatives, ok := e.([]any)
		if !ok {
			alternatives = []any{e}
		}
		for _, a := range alternatives {
			if m, ok := a.(map[string]any); !ok || holds(m, version) {
				out[name] = cut(a, version)
			}
		}
	}
	return out
}

func holds(m map[string]any, version int) bool {
	if n, ok := minor(m["x-min"]); ok && version < n {
		return false
	}
	n, ok := minor(m["x-max"])
	return !ok || version <= n
}

// decode reads a body, checks it against the operation's schema, and puts it
// into v. What the schema does not allow is Invalid, in nova's words.
func (s *schemas) decode(r *wire.Request, operation string, v any) error {
	raw, err := body(r)
	if err != nil {
		return err
	}
	return s.decodeBytes(r, raw, operation, v)
}

func (s *schemas) decodeBytes(r *wire.Request, raw []byte, operation string, v any) error {
	const op = "nova.decode"
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Malformed request body")
	}
	if err := s.check(instance, operation, r.Version.Minor); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return cloud.E(op, cloud.Invalid, "Malformed request body: %w", err)
	}
	return nil
}

// check holds a value against a schema.
func (s *schemas) check(instance any, operation string, version int) error {
	schema, err := s.at(operation, version)
	if err != nil {
		return cloud.E("nova.schemas", cloud.Internal, "%w", err)
	}
	return sentence(schema.Validate(instance))
}

// body reads a request's body, bounded.
func body(r *wire.Request) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, wire.MaxBody))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, cloud.E("nova.body", cloud.TooLarge, "the request body is larger than %d bytes", wire.MaxBody)
	}
	if err != nil {
		return nil, cloud.E("nova.body", cloud.Invalid, "the request body cannot be read: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, cloud.E("nova.body", cloud.Invalid, "the request has no body: send a JSON object")
	}
	return raw, nil
}
