package store

import (
	"fmt"
	"strings"

	"hearth/internal/cloud"
)

// row gives a value's key, columns and body as they are kept.
func (t *Table[T]) row(verb string, v T) (key string, values columns, body string, err error) {
	v = t.shelf.trimmed(v)
	key = t.schema.key(v)
	if key == "" {
		return "", nil, "", cloud.E(t.op(verb), cloud.Internal, "a %s without a key", t.schema.noun)
	}
	if _, err := columnValue('t', key); err != nil {
		return "", nil, "", cloud.E(t.op(verb), cloud.KindOf(err), "the key of the %s: %s", t.schema.noun, cloud.Message(err))
	}
	raw := t.schema.values(v)
	values = make(columns, len(raw))
	for i := range raw {
		if values[i], err = columnValue(t.schema.types[i], raw[i]); err != nil {
			return "", nil, "", cloud.E(t.op(verb), cloud.KindOf(err), "the %s of the %s: %s", t.schema.names[i], t.schema.noun, cloud.Message(err))
		}
	}
	if body, err = t.shelf.encode(v); err != nil {
		return "", nil, "", cloud.E(t.op(verb), cloud.Internal, "the %s cannot be written down: %w", t.schema.noun, err)
	}
	return key, values, body, nil
}

// Insert adds a row; Conflict when the key, or a set of unique columns, is taken.
func (t *Table[T]) Insert(v T) error {
	key, values, body, err := t.row("Insert", v)
	if err != nil {
		return err
	}
	st := t.insert(key, values, body)
	st.WriteString(" ON CONFLICT DO NOTHING") // which leaves the transaction usable on both engines
	n, err := t.run.exec(t.op("Insert"), t.schema.table, st.String(), st.args, false)
	if err == nil && n == 0 {
		err = t.taken("Insert", key, values, true)
	}
	return err
}

func (t *Table[T]) insert(key string, values columns, body string) *statement {
	st := t.statement()
	names := append([]string{"id", "revision", "body"}, t.schema.names...)
	args := append([]any{key, newRevision(), body}, values...)
	marks := make([]string, len(args))
	for i, a := range args {
		marks[i] = st.arg(a)
	}
	fmt.Fprintf(st, "INSERT INTO %s (%s) VALUES (%s)", t.schema.table, strings.Join(names, ", "), strings.Join(marks, ", "))
	return st
}

// Update replaces the row of v's key; NotFound, Conflict.
func (t *Table[T]) Update(v T) error {
	key, values, body, err := t.row("Update", v)
	if err != nil {
		return err
	}
	st := t.statement()
	st.WriteString("UPDATE " + t.schema.table + " SET revision = " + st.arg(newRevision()) + ", body = " + st.arg(body))
	for i, name := range t.schema.names {
		st.WriteString(", " + name + " = " + st.arg(values[i]))
	}
	st.WriteString(" WHERE id = " + st.arg(key))
	n, err := t.run.exec(t.op("Update"), t.schema.table, st.String(), st.args, len(t.schema.unique) > 0)
	switch {
	case isDuplicate(err):
		return t.taken("Update", key, values, false)
	case err == nil && n == 0:
		return t.missing("Update", key)
	}
	return err
}

// Put inserts or replaces the row of v's key; Conflict.
func (t *Table[T]) Put(v T) error {
	key, values, body, err := t.row("Put", v)
	if err != nil {
		return err
	}
	st := t.insert(key, values, body)
	st.WriteString(" ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, body = excluded.body")
	for _, name := range t.schema.names {
		st.WriteString(", " + name + " = excluded." + name)
	}
	_, err = t.run.exec(t.op("Put"), t.schema.table, st.String(), st.args, len(t.schema.unique) > 0)
	if isDuplicate(err) {
		return t.taken("Put", key, values, false)
	}
	return err
}

// Delete removes the row of a key; NotFound.
func (t *Table[T]) Delete(key string) error {
	if _, err := columnValue('t', key); err != nil {
		return t.missing("Delete", key)
	}
	st := t.statement()
	st.WriteString("DELETE FROM " + t.schema.table + " WHERE id = " + st.arg(key))
	n, err := t.run.exec(t.op("Delete"), t.schema.table, st.String(), st.args, false)
	if err == nil && n == 0 {
		return t.missing("Delete", key)
	}
	t.shelf.drop(key)
	return err
}

// DeleteWhere removes the rows that the conditions hold for, and counts them.
// No condition is an error, not everything.
func (t *Table[T]) DeleteWhere(conds ...Cond) (int, error) {
	if len(conds) == 0 {
		return 0, cloud.E(t.op("DeleteWhere"), cloud.Internal, "no condition: this would delete every %s", t.schema.noun)
	}
	st := t.statement()
	st.WriteString("DELETE FROM " + t.schema.table)
	if err := st.where(t.schema.shape(), conds); err != nil {
		return 0, err
	}
	n, err := t.run.exec(t.op("DeleteWhere"), t.schema.table, st.String(), st.args, false)
	return int(n), err
}

// taken says what another row already has: the key, or a set of columns.
func (t *Table[T]) taken(verb, key string, values columns, keyToo bool) error {
	if keyToo {
		if n, err := t.Count(Eq("id", key)); err != nil || n > 0 {
			return errOr(err, cloud.E(t.op(verb), cloud.Conflict, "%s %s already exists.", capital(t.schema.noun), key))
		}
	}
	for _, set := range t.schema.unique {
		conds := make([]Cond, 0, len(set)+1)
		for _, name := range set {
			for i := range t.schema.names {
				if t.schema.names[i] == name {
					conds = append(conds, Eq(name, values[i]))
				}
			}
		}
		if n, err := t.Count(append(conds, Ne("id", key))...); err != nil || n > 0 {
			return errOr(err, cloud.E(t.op(verb), cloud.Conflict, "Another %s exists with %s.", t.schema.noun, describe(conds)))
		}
	}
	return cloud.E(t.op(verb), cloud.Conflict, "%s %s already exists.", capital(t.schema.noun), key)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// quoted says a value for a person.
func quoted(v any) string {
	if s, ok := v.(string); ok {
		return "'" + s + "'"
	}
	return fmt.Sprint(v)
}
