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
// not parse its rows' JSON each time. Whoever puts in or takes out, gets a copy:
// nobody shares maps or slices with the shelf.
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

// take puts a copy of a shelved row into a place, if it is there in that
// revision.
func (s *shelf[T]) take(key string, revision int64, into *T) bool {
	s.mu.RLock()
	row, ok := s.rows[key]
	s.mu.RUnlock()
	if !ok || row.revision != revision {
		return false
	}
	*into = *row.value
	s.unshare(into)
	return true
}

// decode parses a row's JSON, shelves it, and puts a copy into a place.
func (s *shelf[T]) decode(key string, revision int64, body string, into *T) error {
	v := new(T)
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return err
	}
	s.put(key, shelved[T]{revision, len(body) + len(key) + 64, v})
	*into = *v
	s.unshare(into)
	return nil
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
