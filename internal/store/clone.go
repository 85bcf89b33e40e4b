package store

import (
	"net/netip"
	"reflect"
	"time"
)

// cloner copies values of one type deeply, so that a caller who changes a map or
// a slice of a row that he was given does not change the cache. It knows, by the
// type, where references are, and touches nothing else: a copy costs about a
// tenth of decoding the row's JSON again.
type cloner func(dst reflect.Value)

var (
	timeType   = reflect.TypeFor[time.Time]()
	addrType   = reflect.TypeFor[netip.Addr]()
	prefixType = reflect.TypeFor[netip.Prefix]()
)

// newCloner makes the cloner of a type, or nil when assignment is a deep copy.
// It is given a settable value that was assigned from the original, and replaces
// what both share. With trim, times become UTC and are cut to microseconds.
func newCloner(t reflect.Type, trim bool) cloner {
	switch t {
	case timeType:
		if !trim {
			return nil
		}
		return func(v reflect.Value) {
			at := v.Addr().Interface().(*time.Time)
			*at = at.UTC().Truncate(time.Microsecond)
		}
	case addrType, prefixType:
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return structCloner(t, trim)
	case reflect.Pointer:
		return pointerCloner(t, trim)
	case reflect.Slice:
		return sliceCloner(t, trim)
	case reflect.Map:
		return mapCloner(t, trim)
	case reflect.Interface:
		return func(v reflect.Value) {
			if !v.IsNil() {
				v.Set(reflect.ValueOf(cloneAny(v.Interface())))
			}
		}
	}
	return nil
}

func structCloner(t reflect.Type, trim bool) cloner {
	type field struct {
		index int
		clone cloner
	}
	var fields []field
	for i := range t.NumField() {
		if c := newCloner(t.Field(i).Type, trim); c != nil {
			fields = append(fields, field{i, c})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) {
		for _, f := range fields {
			f.clone(v.Field(f.index))
		}
	}
}

func pointerCloner(t reflect.Type, trim bool) cloner {
	elem := newCloner(t.Elem(), trim)
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		p := reflect.New(t.Elem())
		p.Elem().Set(v.Elem())
		if elem != nil {
			elem(p.Elem())
		}
		v.Set(p)
	}
}

func sliceCloner(t reflect.Type, trim bool) cloner {
	elem := newCloner(t.Elem(), trim)
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		s := reflect.MakeSlice(t, v.Len(), v.Len())
		reflect.Copy(s, v)
		if elem != nil {
			for i := range s.Len() {
				elem(s.Index(i))
			}
		}
		v.Set(s)
	}
}

func mapCloner(t reflect.Type, trim bool) cloner {
	elem := newCloner(t.Elem(), trim)
	strings := t == reflect.TypeFor[map[string]string]()
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		if strings { // the common one, without reflection
			p := v.Addr().Interface().(*map[string]string)
			m := make(map[string]string, len(*p))
			for k, s := range *p {
				m[k] = s
			}
			*p = m
			return
		}
		m := reflect.MakeMapWithSize(t, v.Len())
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(t.Elem()).Elem()
			e.Set(it.Value())
			if elem != nil {
				elem(e)
			}
			m.SetMapIndex(it.Key(), e)
		}
		v.Set(m)
	}
}

// cloneAny copies what JSON decodes to.
func cloneAny(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = cloneAny(e)
		}
		return m
	case []any:
		s := make([]any, len(v))
		for i, e := range v {
			s[i] = cloneAny(e)
		}
		return s
	}
	return v
}
