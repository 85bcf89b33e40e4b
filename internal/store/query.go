package store

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"hearth/internal/cloud"
)

// shape is a schema without its type: what SQL needs of it.
type shape struct {
	table, noun string
	names       []string
	types       string
	unique      [][]string
}

func (s *schema[T]) shape() shape { return shape{s.table, s.noun, s.names, s.types, s.unique} }

// typeOf gives a column's letter. The key is the text column "id".
func (s shape) typeOf(column string) (byte, bool) {
	if column == "id" {
		return 't', true
	}
	for i, n := range s.names {
		if n == column {
			return s.types[i], true
		}
	}
	return 0, false
}

// statement is SQL in the making.
type statement struct {
	strings.Builder
	dialect dialect
	args    []any
}

// arg adds an argument and gives its mark.
func (st *statement) arg(v any) string {
	st.args = append(st.args, v)
	return st.dialect.mark(len(st.args))
}

// where adds the conditions, of which all must hold.
func (st *statement) where(s shape, conds []Cond, more ...string) error {
	parts := make([]string, 0, len(conds)+len(more))
	for _, c := range conds {
		part, err := st.cond(s, c)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	parts = append(parts, more...)
	if len(parts) > 0 {
		st.WriteString(" WHERE " + strings.Join(parts, " AND "))
	}
	return nil
}

func (st *statement) cond(s shape, c Cond) (string, error) {
	const op = "store.Query"
	typ, ok := s.typeOf(c.Column)
	if !ok {
		return "", cloud.E(op, cloud.Internal, "table %s has no indexed column %q", s.table, c.Column)
	}
	if c.Op == OpIn {
		list, ok := c.Value.([]string)
		if !ok || typ != 't' {
			return "", cloud.E(op, cloud.Internal, "column %s of %s: In needs a text column and a []string", c.Column, s.table)
		}
		return st.in(c.Column, list), nil
	}
	v, err := columnValue(typ, c.Value)
	if err != nil {
		return "", cloud.E(op, cloud.KindOf(err), "column %s of %s: %s", c.Column, s.table, cloud.Message(err))
	}
	switch c.Op {
	case OpEq, OpLt, OpLe, OpGt, OpGe:
		if v == nil && c.Op == OpEq {
			return c.Column + " IS NULL", nil
		}
		return c.Column + " " + string(c.Op) + " " + st.arg(v), nil
	case OpNe:
		if v == nil {
			return c.Column + " IS NOT NULL", nil
		}
		if typ == 'm' { // never is another moment too
			return "(" + c.Column + " <> " + st.arg(v) + " OR " + c.Column + " IS NULL)", nil
		}
		return c.Column + " <> " + st.arg(v), nil
	case OpPrefix:
		text, ok := v.(string)
		if !ok {
			return "", cloud.E(op, cloud.Internal, "column %s of %s: a prefix is of text", c.Column, s.table)
		}
		return fmt.Sprintf("(%s >= %s AND substr(%s, 1, %d) = %s)", c.Column, st.arg(text), c.Column, utf8.RuneCountInString(text), st.arg(text)), nil
	}
	return "", cloud.E(op, cloud.Internal, "no operator %q", c.Op)
}

func (st *statement) in(column string, list []string) string {
	st.args = append(st.args, st.dialect.list(list))
	return st.dialect.inList(column, len(st.args))
}

// columnValue turns a Go value into what the column keeps: moments are
// microseconds since 1970, the zero time is null.
func columnValue(typ byte, v any) (any, error) {
	const op = "store.Query"
	if v == nil {
		return nil, cloud.E(op, cloud.Internal, "a nil value")
	}
	rv := reflect.ValueOf(v)
	switch {
	case typ == 't' && rv.Kind() == reflect.String:
		text := rv.String()
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return nil, cloud.E(op, cloud.Invalid, "%q is not text: NUL and broken UTF-8 are not kept", text)
		}
		return text, nil
	case typ == 'b' && rv.Kind() == reflect.Bool:
		return rv.Bool(), nil
	case typ == 'i' && rv.CanInt():
		return rv.Int(), nil
	case typ == 'm':
		if at, ok := v.(time.Time); ok {
			if at.IsZero() {
				return nil, nil
			}
			return at.UnixMicro(), nil
		}
	}
	return nil, cloud.E(op, cloud.Internal, "a %T does not fit the column's type %q", v, typ)
}

// order adds ORDER BY. The key comes last, so that the order is total.
func (st *statement) order(s shape, by []Order) error {
	st.WriteString(" ORDER BY ")
	for _, o := range by {
		typ, ok := s.typeOf(o.Column)
		if !ok {
			return cloud.E("store.Query", cloud.Internal, "table %s has no indexed column %q to sort by", s.table, o.Column)
		}
		st.WriteString(o.Column)
		switch {
		case o.Desc && st.dialect.nulls && typ == 'm':
			st.WriteString(" DESC NULLS LAST, ")
		case o.Desc:
			st.WriteString(" DESC, ")
		case st.dialect.nulls && typ == 'm':
			st.WriteString(" ASC NULLS FIRST, ")
		default:
			st.WriteString(", ")
		}
	}
	st.WriteString("id")
	return nil
}

// past gives the condition that a row comes after the marker, whose sort columns
// are at, in the order by; nulls are below every value.
func (st *statement) past(by []Order, at []any, key string) string {
	var cases []string
	var same []string
	for i, o := range by {
		if beyond := st.beyond(o, at[i]); beyond != "" {
			cases = append(cases, strings.Join(append(same[:len(same):len(same)], beyond), " AND "))
		}
		if at[i] == nil {
			same = append(same, o.Column+" IS NULL")
		} else {
			same = append(same, o.Column+" = "+st.arg(at[i]))
		}
	}
	cases = append(cases, strings.Join(append(same[:len(same):len(same)], "id > "+st.arg(key)), " AND "))
	return "((" + strings.Join(cases, ") OR (") + "))"
}

func (st *statement) beyond(o Order, at any) string {
	switch {
	case o.Desc && at == nil:
		return ""
	case o.Desc:
		return "(" + o.Column + " < " + st.arg(at) + " OR " + o.Column + " IS NULL)"
	case at == nil:
		return o.Column + " IS NOT NULL"
	}
	return o.Column + " > " + st.arg(at)
}
