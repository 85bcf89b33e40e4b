package store

import (
	"bytes"
	"encoding/json"
	"reflect"
	"sync"
)

// shelfBytes bounds each table's shelf, in bytes of JSON.
const shelfBytes = 16 << 20

// shelf keeps decoded rows of one table by key and revision, so that a list need
// not parse its rows' JSON each time. A table gives copies of them, so that nobody
// shares maps or slices with the shelf, unless it is asked for shared ones.
type shelf[T any] struct {
	copy, trim cloner

	mu   sync.RWMutex
	rows map[string]shelved[T]
	size int
}

type shelved[T any] struct {
	revision int64
	size     int
	value    *T // never changed
}

func newShelf[T any]() *shelf[T] {
	t := reflect.TypeFor[T]()
	return &shelf[T]{copy: newCloner(t, false), trim: newCloner(t, true), rows: map[string]shelved[T]{}}
}

// encode gives the JSON of a value.
func (s *shelf[T]) encode(v T) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return b.String()[:b.Len()-1], nil // without the newline
}

// trimmed is the value as it is kept: times in UTC and whole microseconds.
func (s *shelf[T]) trimmed(v T) T {
	if s.trim != nil {
		s.trim(reflect.ValueOf(&v).Elem())
	}
	return v
}

// mark is one version of a row.
type mark struct {
	key      string
	revision int64
}

// look puts the shelved rows into their places, those that are there in that
// revision. They are the shelf's own.
func (s *shelf[T]) look(marks []mark, into []*T) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, m := range marks {
		if row, ok := s.rows[m.key]; ok && row.revision == m.revision {
			into[i] = row.value
		}
	}
}

// decode parses a row's JSON and shelves it. What it gives is the shelf's own.
func (s *shelf[T]) decode(m mark, body string) (*T, error) {
	v := new(T)
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return nil, err
	}
	s.put(m.key, shelved[T]{m.revision, len(body) + len(m.key) + 64, v})
	return v, nil
}

func (s *shelf[T]) put(key string, row shelved[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += row.size - s.rows[key].size
	s.rows[key] = row
	for k, old := range s.rows { // any other: maps are ranged over in random order
		if s.size <= shelfBytes {
			return
		}
		if k != key {
			delete(s.rows, k)
			s.size -= old.size
		}
	}
}

// drop forgets a row that is being deleted.
func (s *shelf[T]) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size -= s.rows[key].size
	delete(s.rows, key)
}

// unshare replaces what a value that was assigned shares with its original.
func (s *shelf[T]) unshare(v *T) {
	if s.copy != nil {
		s.copy(reflect.ValueOf(v).Elem())
	}
}
