// Package backuptest is the suite that every store of backups passes.
package backuptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/backup"
)

// Run puts a store through the suite; open gives an empty one.
func Run(t *testing.T, open func(t *testing.T) backup.Objects) {
	for name, test := range map[string]func(*testing.T, backup.Objects){
		"what is put is got":               putGet,
		"what is put again is replaced":    replaced,
		"what is not there":                missing,
		"more than is wanted":              tooLarge,
		"removed, twice":                   removed,
		"lists by prefix":                  listed,
		"a long list":                      longList,
		"many at once":                     atOnce,
		"names that lead elsewhere":        badNames,
		"a call with an ended context":     ended,
		"an error of the caller's own":     callersError,
		"says what it is and tells no key": says,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind cloud.Kind) {
	t.Helper()
	if !cloud.Is(err, kind) {
		t.Fatalf("got %v (%v), want an error that is %v", err, cloud.KindOf(err), kind)
	}
}

func putGet(t *testing.T, o backup.Objects) {
	for name, data := range map[string][]byte{"a/b.c": []byte("ember"), "empty": {}, "a/d-e/f": bytes.Repeat([]byte{0, 255, 10}, 1<<20)} {
		must(t, o.Put(t.Context(), name, data))
		got, err := o.Get(t.Context(), name, int64(len(data)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
	}
}

func replaced(t *testing.T, o backup.Objects) {
	must(t, o.Put(t.Context(), "a/x", []byte("a longer one")))
	must(t, o.Put(t.Context(), "a/x", []byte("new")))
	if got, err := o.Get(t.Context(), "a/x", 100); err != nil || string(got) != "new" {
		t.Errorf("%q, %v", got, err)
	}
}

func missing(t *testing.T, o backup.Objects) {
	_, err := o.Get(t.Context(), "not/there", 10)
	wantKind(t, err, cloud.NotFound)
}

func tooLarge(t *testing.T, o backup.Objects) {
	must(t, o.Put(t.Context(), "large", make([]byte, 100)))
	_, err := o.Get(t.Context(), "large", 99)
	wantKind(t, err, cloud.TooLarge)
}

func removed(t *testing.T, o backup.Objects) {
	must(t, o.Put(t.Context(), "a/x", []byte("1")))
	must(t, o.Put(t.Context(), "a/y", []byte("2")))
	for range 2 {
		must(t, o.Remove(t.Context(), "a/x"))
	}
	_, err := o.Get(t.Context(), "a/x", 10)
	wantKind(t, err, cloud.NotFound)
	if got := list(t, o, ""); !slices.Equal(got, []string{"a/y"}) {
		t.Errorf("left: %v", got)
	}
}

func list(t *testing.T, o backup.Objects, prefix string) (names []string) {
	t.Helper()
	must(t, o.List(t.Context(), prefix, func(name string) error {
		names = append(names, name)
		return nil
	}))
	slices.Sort(names)
	return names
}

func listed(t *testing.T, o backup.Objects) {
	for _, name := range []string{"a/b/1", "a/b/2", "a/bc", "d"} {
		must(t, o.Put(t.Context(), name, []byte(name)))
	}
	for prefix, want := range map[string][]string{
		"": {"a/b/1", "a/b/2", "a/bc", "d"}, "a/": {"a/b/1", "a/b/2", "a/bc"}, "a/b/": {"a/b/1", "a/b/2"}, "a/b": {"a/b/1", "a/b/2", "a/bc"}, "x/": nil,
	} {
		if got := list(t, o, prefix); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", prefix, got, want)
		}
	}
}

// longList has more names than one page of any store.
func longList(t *testing.T, o backup.Objects) {
	const n = 1203
	for i := range n {
		must(t, o.Put(t.Context(), fmt.Sprintf("l/%04d", i), []byte{1}))
	}
	if got := list(t, o, "l/"); len(got) != n || len(slices.Compact(got)) != n {
		t.Errorf("%d names, want %d", len(got), n)
	}
}

func atOnce(t *testing.T, o backup.Objects) {
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			name, data := fmt.Sprintf("m/%d", i%4), bytes.Repeat([]byte{byte(i % 4)}, 1<<16)
			if err := o.Put(t.Context(), name, data); err != nil {
				t.Error(err)
			}
			if got, err := o.Get(t.Context(), name, 1<<16); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		})
	}
	group.Wait()
}

func badNames(t *testing.T, o backup.Objects) {
	for _, name := range []string{"", "/x", "../x", "a/../../x", "a//b", ".part/x", "a\x00b", "a/"} {
		wantKind(t, o.Put(t.Context(), name, []byte("x")), cloud.Invalid)
		_, err := o.Get(t.Context(), name, 10)
		wantKind(t, err, cloud.Invalid)
		wantKind(t, o.Remove(t.Context(), name), cloud.Invalid)
	}
}

func ended(t *testing.T, o backup.Objects) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, o.Put(ctx, "late", []byte("x")), cloud.Unavailable)
	_, err := o.Get(t.Context(), "late", 10)
	wantKind(t, err, cloud.NotFound)
}

func callersError(t *testing.T, o backup.Objects) {
	must(t, o.Put(t.Context(), "a/x", []byte("x")))
	own := errors.New("enough")
	if err := o.List(t.Context(), "a/", func(string) error { return own }); !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}

func says(t *testing.T, o backup.Objects) {
	if o.Service() == "" || o.Where() == "" || bytes.Contains([]byte(o.Where()), []byte("secret")) {
		t.Errorf("%q, %q", o.Service(), o.Where())
	}
}
