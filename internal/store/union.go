package store

import (
	"slices"
	"strings"
)

// like declares another table of the same nouns with the same columns.
func like[T any](s *schema[T], table, noun string) schema[T] {
	l := *s
	l.table, l.noun = table, noun
	return l
}

// union declares the rows of two tables with the same columns under one name.
func union[T any](name string, a, b *schema[T]) schema[T] {
	u := like(a, name, a.noun)
	u.of = []string{a.table, b.table}
	return u
}

// source is what rows are read from.
func (s *schema[T]) source() string {
	if s.of == nil {
		return s.table
	}
	parts := make([]string, len(s.of))
	for i, table := range s.of {
		parts[i] = "SELECT id, revision, body, " + strings.Join(s.names, ", ") + " FROM " + table
	}
	return "(" + strings.Join(parts, " UNION ALL ") + ") AS " + s.table
}

// page selects the keys and revisions of a page, by its conditions and its ending. That
// of a union is put together of a page of each table, which their indexes give: SQLite
// would read both tables to the end otherwise, and sort them.
func (s *schema[T]) page(where, ending string, by []Order) string {
	if s.of == nil {
		return "SELECT id, revision FROM " + s.table + where + ending
	}
	names := []string{"id", "revision"}
	for _, o := range by {
		if !slices.Contains(names, o.Column) {
			names = append(names, o.Column)
		}
	}
	parts := make([]string, len(s.of))
	for i, table := range s.of {
		parts[i] = "SELECT * FROM (SELECT " + strings.Join(names, ", ") + " FROM " + table + where + ending + ") AS of_" + table
	}
	return "SELECT id, revision FROM (" + strings.Join(parts, " UNION ALL ") + ") AS " + s.table + ending
}

// Union is the rows of two tables as if they were one, for reading only.
type Union[T any] struct{ table *Table[T] }

// Get gives the row of a key; NotFound.
func (u Union[T]) Get(key string) (T, error) { return u.table.Get(key) }

// Shared gives the rows of a query for reading only; see Table.Shared.
func (u Union[T]) Shared(q Query) ([]*T, error) { return u.table.Shared(q) }
