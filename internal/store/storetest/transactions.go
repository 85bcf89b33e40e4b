package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func setting(t *testing.T, st *store.Store, name string) (value string) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		s, err := tx.Settings.Get(name)
		value = s.Value
		if cloud.Is(err, cloud.NotFound) {
			value, err = "none", nil
		}
		return err
	})
	return value
}

func put(name, value string) func(tx *store.Tx) error {
	return func(tx *store.Tx) error { return tx.Settings.Put(store.Setting{Name: name, Value: value}) }
}

func rollback(t *testing.T, st *store.Store) {
	mine := errors.New("mine")
	err := st.Update(context.Background(), func(tx *store.Tx) error {
		return errors.Join(put("a", "1")(tx), mine)
	})
	if !errors.Is(err, mine) || setting(t, st, "a") != "none" {
		t.Errorf("got %v, %q", err, setting(t, st, "a"))
	}
	update(t, st, put("a", "2"))
}

func rollbackOnPanic(t *testing.T, st *store.Store) {
	func() {
		defer func() {
			if recover() != "bang" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = st.Update(context.Background(), func(tx *store.Tx) error {
			_ = put("a", "1")(tx)
			panic("bang")
		})
	}()
	if got := setting(t, st, "a"); got != "none" {
		t.Errorf("kept %q", got)
	}
	update(t, st, put("a", "2")) // the connection is free again
}

func viewDoesNotWrite(t *testing.T, st *store.Store) {
	view(t, st, func(tx *store.Tx) error {
		wantKind(t, put("a", "1")(tx), cloud.Internal, "a view cannot write: use Update")
		return nil
	})
}

func outside(t *testing.T, st *store.Store) {
	var kept *store.Tx
	update(t, st, func(tx *store.Tx) error { kept = tx; return nil })
	_, err := kept.Settings.Get("a")
	wantKind(t, errors.Join(err), cloud.Internal, "")
	wantKind(t, put("a", "1")(kept), cloud.Internal, "")
}

func readYourWrites(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		for i := range 3 {
			want := strconv.Itoa(i)
			if err := put("a", want)(tx); err != nil {
				return err
			}
			if s, err := tx.Settings.Get("a"); err != nil || s.Value != want {
				t.Errorf("got %v, %v; want %s", s, err, want)
			}
		}
		return tx.Settings.Delete("a")
	})
	if got := setting(t, st, "a"); got != "none" {
		t.Errorf("kept %q", got)
	}
	// A rolled back version of a row must not come back from a shelf.
	update(t, st, put("a", "first"))
	_ = st.Update(context.Background(), func(tx *store.Tx) error {
		_ = put("a", "undone")(tx)
		_, _ = tx.Settings.Get("a")
		return errors.New("no")
	})
	if got := setting(t, st, "a"); got != "first" {
		t.Errorf("got %q", got)
	}
}

// counter lets many add to one row; none of their additions is lost.
func counter(t *testing.T, st *store.Store) {
	const workers, each = 6, 10
	update(t, st, put("n", "0"))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := st.Update(context.Background(), func(tx *store.Tx) error {
					s, err := tx.Settings.Get("n")
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(s.Value)
					return put("n", strconv.Itoa(n+1))(tx)
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := setting(t, st, "n"); got != fmt.Sprint(workers*each) {
		t.Errorf("counted %s, want %d", got, workers*each)
	}
}

// writeSkew is the anomaly that snapshots alone allow: each counts the rows, and
// adds one while there are fewer than the limit, as a quota does.
func writeSkew(t *testing.T, st *store.Store) {
	const limit = 5
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			err := st.Update(context.Background(), func(tx *store.Tx) error {
				n, err := tx.Servers.Count(store.Eq("project_id", "p"))
				if err != nil || n >= limit {
					return err
				}
				return tx.Servers.Insert(cloud.Server{ID: fmt.Sprint(i), ProjectID: "p"})
			})
			if err != nil {
				t.Errorf("update: %v", err)
			}
		})
	}
	wg.Wait()
	view(t, st, func(tx *store.Tx) error {
		n, err := tx.Servers.Count()
		if n != limit {
			t.Errorf("%d servers, want %d", n, limit)
		}
		return err
	})
}

// snapshot wants a view to see one moment, whole, whatever is written meanwhile.
func snapshot(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error { return errors.Join(put("a", "0")(tx), put("b", "0")(tx)) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			v := strconv.Itoa(i)
			if err := st.Update(context.Background(), func(tx *store.Tx) error { return errors.Join(put("a", v)(tx), put("b", v)(tx)) }); err != nil {
				t.Errorf("update: %v", err)
			}
		}
	}()
	for running := true; running; {
		view(t, st, func(tx *store.Tx) error {
			a, err := tx.Settings.Get("a")
			b, err2 := tx.Settings.Get("b")
			if a.Value != b.Value {
				t.Errorf("a is %s, b is %s", a.Value, b.Value)
			}
			return errors.Join(err, err2)
		})
		select {
		case <-done:
			running = false
		default:
		}
	}
}

func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func watch(t *testing.T, st *store.Store) {
	all, stopAll := st.Watch()
	servers, stopServers := st.Watch("servers", "ports")
	defer stopServers()
	update(t, st, put("a", "1"))
	update(t, st, put("a", "2"))
	if !signalled(all) || signalled(all) || signalled(servers) {
		t.Error("two commits to settings: want one merged signal for all, none for servers")
	}
	update(t, st, func(tx *store.Tx) error {
		if signalled(servers) {
			t.Error("a signal before the commit")
		}
		return tx.Servers.Insert(cloud.Server{ID: "1"})
	})
	if !signalled(all) || !signalled(servers) {
		t.Error("no signal for servers")
	}
	stopAll()
	update(t, st, put("a", "3"))
	if signalled(all) {
		t.Error("a signal after stop")
	}
}

func noSignal(t *testing.T, st *store.Store) {
	all, stop := st.Watch()
	defer stop()
	_ = st.Update(context.Background(), func(tx *store.Tx) error { return errors.Join(put("a", "1")(tx), errors.New("no")) })
	update(t, st, func(tx *store.Tx) error { return nil })
	view(t, st, func(tx *store.Tx) error { return nil })
	if signalled(all) {
		t.Error("a signal without a committed change")
	}
}

func cancelled(t *testing.T, st *store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	err := st.Update(ctx, func(tx *store.Tx) error {
		if err := put("a", "1")(tx); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || setting(t, st, "a") != "none" {
		t.Errorf("got %v, %q; want a cancelled transaction to be undone", err, setting(t, st, "a"))
	}
	if err := st.View(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v", err)
	}
}
