package store

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"hearth/internal/cloud"
)

// Table is the rows of one noun inside a transaction. The values it gives are
// the caller's own: they share nothing with other callers' or with the store's.
type Table[T any] struct {
	run    *run
	schema *schema[T]
	shelf  *shelf[T]
}

func table[T any](r *run, s *schema[T]) *Table[T] {
	return &Table[T]{run: r, schema: s, shelf: r.store.shelves[s.table].(*shelf[T])}
}

func (t *Table[T]) op(verb string) string { return "store." + t.schema.table + "." + verb }

func (t *Table[T]) statement() *statement { return &statement{dialect: t.run.store.engine.dialect()} }

// missing is the error for a key without a row.
func (t *Table[T]) missing(verb, key string) error {
	return cloud.E(t.op(verb), cloud.NotFound, "%s %s could not be found.", capital(t.schema.noun), key)
}

func capital(noun string) string {
	r, n := utf8.DecodeRuneInString(noun)
	return string(unicode.ToUpper(r)) + noun[n:]
}

// Get gives the row of a key; NotFound.
func (t *Table[T]) Get(key string) (T, error) {
	var v T
	if _, err := columnValue('t', key); err != nil { // no row has such a key
		return v, t.missing("Get", key)
	}
	st := t.statement()
	st.WriteString("SELECT revision, body FROM " + t.schema.source() + " WHERE id = " + st.arg(key))
	found := false
	err := t.run.query(t.op("Get"), st.String(), st.args, func(scan func(...any) error) (err error) {
		m := mark{key: key}
		var body string
		if err := scan(&m.revision, &body); err != nil {
			return err
		}
		found = true
		v, err = t.value(m, body)
		return err
	})
	if err == nil && !found {
		err = t.missing("Get", key)
	}
	return v, err
}

// value gives a copy of a row, by its body if the shelf does not have it.
func (t *Table[T]) value(m mark, body string) (v T, err error) {
	var row [1]*T
	if t.shelf.look([]mark{m}, row[:]); row[0] == nil {
		if row[0], err = t.shelf.decode(m, body); err != nil {
			return v, err
		}
	}
	v = *row[0]
	t.shelf.unshare(&v)
	return v, nil
}

// Find gives the one row that the conditions hold for; NotFound for none,
// Conflict for several.
func (t *Table[T]) Find(conds ...Cond) (T, error) {
	var none T
	list, err := t.List(Query{Where: conds, Limit: 2})
	switch {
	case err != nil:
		return none, err
	case len(list) == 0:
		return none, t.missing("Find", "with "+describe(conds))
	case len(list) > 1:
		return none, cloud.E(t.op("Find"), cloud.Conflict, "More than one %s exists with %s: use the id.", t.schema.noun, describe(conds))
	}
	return list[0], nil
}

// describe says conditions for a person.
func describe(conds []Cond) string {
	parts := make([]string, len(conds))
	for i, c := range conds {
		parts[i] = c.Column + " " + quoted(c.Value)
	}
	return strings.Join(parts, ", ")
}

// List gives the rows of a query.
func (t *Table[T]) List(q Query) ([]T, error) {
	rows, err := t.Shared(q)
	if err != nil {
		return nil, err
	}
	list := make([]T, len(rows))
	for i, row := range rows {
		list[i] = *row
		t.shelf.unshare(&list[i])
	}
	return list, nil
}

// Shared gives the rows of a query for reading only: they are not copied, and
// whoever changed one, or what it leads to, would change it for everybody. It is
// for the lists that are long and asked for often.
func (t *Table[T]) Shared(q Query) ([]*T, error) {
	st := t.statement()
	var more []string
	if q.After != "" {
		at, err := t.sortValues(q.After, q.Order)
		if err != nil {
			return nil, err
		}
		more = append(more, st.past(q.Order, at, q.After))
	}
	if err := st.where(t.schema.shape(), q.Where, more...); err != nil {
		return nil, err
	}
	order, err := t.ending(q)
	if err != nil {
		return nil, err
	}
	return t.fetch(t.schema.page(st.String(), order, q.Order), st.args)
}

// ending is the order of a query and its limit.
func (t *Table[T]) ending(q Query) (string, error) {
	st := t.statement()
	if err := st.order(t.schema.shape(), q.Order); err != nil {
		return "", err
	}
	if q.Limit > 0 {
		st.WriteString(" LIMIT " + strconv.Itoa(q.Limit))
	}
	return st.String(), nil
}

// sortValues gives the sort columns of the marker.
func (t *Table[T]) sortValues(key string, by []Order) ([]any, error) {
	at := make([]any, len(by))
	columns, into := []string{"id"}, []any{new(string)}
	for i, o := range by {
		if _, ok := t.schema.shape().typeOf(o.Column); !ok {
			return nil, cloud.E(t.op("List"), cloud.Internal, "no indexed column %q to sort by", o.Column)
		}
		columns, into = append(columns, o.Column), append(into, &at[i])
	}
	st := t.statement()
	st.WriteString("SELECT " + strings.Join(columns, ", ") + " FROM " + t.schema.source() + " WHERE id = " + st.arg(key))
	found := false
	err := t.run.query(t.op("List"), st.String(), st.args, func(scan func(...any) error) error {
		found = true
		return scan(into...)
	})
	if err == nil && !found {
		err = t.missing("List", key)
	}
	return at, err
}

// fetch gives the rows whose keys and revisions a statement selects: from the
// shelf those that it has, the others by their bodies.
func (t *Table[T]) fetch(text string, args []any) ([]*T, error) {
	var marks []mark
	err := t.run.query(t.op("List"), text, args, func(scan func(...any) error) error {
		marks = append(marks, mark{})
		m := &marks[len(marks)-1]
		return scan(&m.key, &m.revision)
	})
	if err != nil {
		return nil, err
	}
	list := make([]*T, len(marks))
	t.shelf.look(marks, list)
	var absent []string
	place := map[string]int{}
	for i, v := range list {
		if v == nil {
			absent = append(absent, marks[i].key)
			place[marks[i].key] = i
		}
	}
	return list, t.fill(list, absent, place)
}

// fill reads the bodies of the absent rows into their places.
func (t *Table[T]) fill(list []*T, absent []string, place map[string]int) error {
	const chunk = 2000
	for len(absent) > 0 {
		n := min(chunk, len(absent))
		st := t.statement()
		st.WriteString("SELECT id, revision, body FROM " + t.schema.source() + " WHERE ")
		st.WriteString(st.in("id", absent[:n]))
		err := t.run.query(t.op("List"), st.String(), st.args, func(scan func(...any) error) (err error) {
			var key, body string
			var revision int64
			if err = scan(&key, &revision, &body); err == nil {
				list[place[key]], err = t.shelf.decode(mark{key, revision}, body)
			}
			return err
		})
		if err != nil {
			return err
		}
		absent = absent[n:]
	}
	return nil
}

// Count counts the rows that the conditions hold for.
func (t *Table[T]) Count(conds ...Cond) (int, error) {
	st := t.statement()
	st.WriteString("SELECT count(*) FROM " + t.schema.source())
	if err := st.where(t.schema.shape(), conds); err != nil {
		return 0, err
	}
	var n int
	err := t.run.query(t.op("Count"), st.String(), st.args, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}

// isDuplicate tells whether a unique index refused the statement.
func isDuplicate(err error) bool {
	var dup errDuplicate
	return errors.As(err, &dup)
}
