package store

import (
	"reflect"
	"testing"

	"hearth/internal/cloud"
)

// TestClonerKnowsEveryNoun fails for a noun with a field that a cloner cannot
// copy: an unexported one that holds references.
func TestClonerKnowsEveryNoun(t *testing.T) {
	for _, v := range []any{
		cloud.Server{}, cloud.Image{}, cloud.Port{}, cloud.Network{}, cloud.Subnet{}, cloud.Router{}, cloud.FloatingIP{}, cloud.SecurityGroup{},
		cloud.SecurityRule{}, cloud.User{}, cloud.Project{}, cloud.Host{}, cloud.Flavor{}, cloud.Quota{}, cloud.ApplicationCredential{},
	} {
		copyable(t, reflect.TypeOf(v).String(), reflect.TypeOf(v))
	}
}

func copyable(t *testing.T, path string, typ reflect.Type) {
	switch typ {
	case timeType, addrType, prefixType:
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				t.Errorf("%s.%s is unexported: neither JSON nor the shelf keeps it", path, f.Name)
				continue
			}
			copyable(t, path+"."+f.Name, f.Type)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		copyable(t, path+"[]", typ.Elem())
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		t.Errorf("%s: a %s cannot be kept", path, typ)
	}
}

// TestShelfIsBounded puts in more than fits.
func TestShelfIsBounded(t *testing.T) {
	s := newShelf[Setting]()
	for i := range 100 {
		key := string(rune('a' + i))
		s.put(key, shelved[Setting]{1, shelfBytes / 10, &Setting{Name: key}})
		if !shelfHas(s, mark{key, 1}) {
			t.Fatalf("%s is not there after it was put in", key)
		}
	}
	if s.size > shelfBytes || len(s.rows) > 10 {
		t.Errorf("%d bytes in %d rows", s.size, len(s.rows))
	}
	if shelfHas(s, mark{string(rune('a' + 99)), 2}) {
		t.Error("another revision was given")
	}
	s.drop(string(rune('a' + 99)))
	if s.size != shelfBytes/10*len(s.rows) {
		t.Errorf("%d bytes in %d rows", s.size, len(s.rows))
	}
}

func shelfHas[T any](s *shelf[T], m mark) bool {
	found := []*T{nil}
	s.look([]mark{m}, found)
	return found[0] != nil
}
