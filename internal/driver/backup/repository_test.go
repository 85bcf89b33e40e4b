package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"hearth/internal/cloud"
)

// memory is objects in memory, which fail when told.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    int
	failAt  int // the put, counted from 1, from which on all fail; 0 for never
}

func (m *memory) Put(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.puts++; m.failAt > 0 && m.puts >= m.failAt {
		return cloud.E("backup.Put", cloud.Unavailable, "the store is away")
	}
	m.objects[name] = bytes.Clone(data)
	return nil
}

func (m *memory) Get(_ context.Context, name string, _ int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if data, ok := m.objects[name]; ok {
		return data, nil
	}
	return nil, cloud.E("backup.Get", cloud.NotFound, "no %s", name)
}

func (m *memory) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

func (m *memory) List(_ context.Context, prefix string, each func(string) error) error {
	m.mu.Lock()
	names := maps.Clone(m.objects)
	m.mu.Unlock()
	for name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := each(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (*memory) Service() string { return "memory" }
func (*memory) Where() string   { return "memory:" }

const chunk = 4 << 10

func bench(t *testing.T) (*Repository, *memory) {
	t.Helper()
	m := &memory{objects: map[string][]byte{}}
	r, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	r.chunk = chunk
	return r, m
}

// disk is n chunks of noise with a hole in the middle, and a bit more.
func disk(seed uint64, n int) []byte {
	b := make([]byte, n*chunk+100)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	clear(b[chunk : 2*chunk])
	return b
}

func place(chain, id string) Place {
	pad := func(s string) string { return strings.Repeat(s, 8) + "-0000-4000-8000-000000000000" }
	return Place{Chain: pad(chain), ID: pad(id)}
}

func (r *Repository) want(t *testing.T, p Place, data []byte) {
	t.Helper()
	in, err := r.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%s: %d bytes, %v; want %d", p.ID, len(got), err, len(data))
	}
}

func (r *Repository) write(t *testing.T, p Place, data []byte) Progress {
	t.Helper()
	last := Progress{}
	done, err := r.Write(t.Context(), p, int64(len(data)), bytes.NewReader(data), func(p Progress) {
		if p.Read <= last.Read {
			t.Errorf("no progress: %+v after %+v", p, last)
		}
		last = p
	})
	if err != nil || done != last || done.Read != int64(len(data)) {
		t.Fatalf("%+v, %v; told %+v", done, err, last)
	}
	return done
}

func TestAnIncrementStoresWhatChanged(t *testing.T) {
	r, m := bench(t)
	data := disk(1, 20)
	full := r.write(t, place("a", "a"), data)
	if full.Objects != 20 || len(m.objects) != 21 {
		t.Errorf("%+v, %d objects: 21 stretches, of which one is empty, and a manifest", full, len(m.objects))
	}
	was := bytes.Clone(data)
	data[7*chunk+5]++
	inc := r.write(t, place("a", "b"), data)
	if inc.Objects != 20 || inc.Stored > 2*chunk || inc.Stored == 0 {
		t.Errorf("%+v: one stretch has changed", inc)
	}
	r.want(t, place("a", "a"), was)
	r.want(t, place("a", "b"), data)
	if size, n, err := r.Size(t.Context(), place("a", "b")); size != int64(len(data)) || n != 20 || err != nil {
		t.Errorf("%d bytes, %d objects, %v", size, n, err)
	}
	p := place("a", "a")
	p.Container = "elsewhere"
	r.write(t, p, data) // what is in another container is another
	r.want(t, p, data)
	r.want(t, place("a", "a"), was)
	other := r.write(t, place("c", "c"), data) // another chain has all of its own
	if other.Stored < 15*chunk {
		t.Errorf("%+v", other)
	}
}

func TestRemovingLeavesWhatOthersNeed(t *testing.T) {
	r, m := bench(t)
	one, two := disk(1, 5), disk(1, 5)
	two[3*chunk]++
	r.write(t, place("a", "a"), one)
	r.write(t, place("a", "b"), two)
	for range 2 {
		if err := r.Remove(t.Context(), place("a", "b")); err != nil {
			t.Fatal(err)
		}
		r.want(t, place("a", "a"), one)
	}
	if len(m.objects) != 6 {
		t.Errorf("%d objects are left, want 5 chunks and a manifest", len(m.objects))
	}
	if err := r.Remove(t.Context(), place("a", "a")); err != nil || len(m.objects) != 0 {
		t.Errorf("%d objects are left, %v", len(m.objects), err)
	}
	if _, err := r.Open(t.Context(), place("a", "a")); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("got %v", err)
	}
}

// TestAWriteThatBrokeOffGoesOn breaks the store at every put in turn.
func TestAWriteThatBrokeOffGoesOn(t *testing.T) {
	data := disk(2, 6)
	for at := 1; at <= 7; at++ {
		r, m := bench(t)
		m.failAt = at
		if _, err := r.Write(t.Context(), place("a", "a"), int64(len(data)), bytes.NewReader(data), nil); !cloud.Is(err, cloud.Unavailable) {
			t.Fatalf("at %d: %v", at, err)
		}
		if _, err := r.Open(t.Context(), place("a", "a")); !cloud.Is(err, cloud.NotFound) {
			t.Fatalf("at %d half a backup is there: %v", at, err)
		}
		before := len(m.objects)
		m.failAt, m.puts = 0, 0
		r.write(t, place("a", "a"), data)
		if m.puts != 7-before {
			t.Errorf("at %d: %d objects were there, and %d put again", at, before, m.puts)
		}
		r.want(t, place("a", "a"), data)
	}
}

func TestAVolumeThatEndsTooSoon(t *testing.T) {
	r, _ := bench(t)
	data := disk(3, 2)
	_, err := r.Write(t.Context(), place("a", "a"), int64(len(data))+1, bytes.NewReader(data), nil)
	if !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("the line is cut")
	_, err = r.Write(t.Context(), place("a", "a"), 1<<20, io.MultiReader(bytes.NewReader(data), failing{broken}), nil)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// TestDamageIsToldNotRead changes, swaps and drops chunks behind its back.
func TestDamageIsToldNotRead(t *testing.T) {
	data := disk(4, 4)
	for name, damage := range map[string]func(m *memory, names []string){
		"a changed byte":    func(m *memory, names []string) { m.objects[names[0]][20]++ },
		"another chunk":     func(m *memory, names []string) { m.objects[names[0]] = m.objects[names[1]] },
		"a chunk that went": func(m *memory, names []string) { delete(m.objects, names[0]) },
	} {
		r, m := bench(t)
		r.write(t, place("a", "a"), data)
		var names []string
		for name := range m.objects {
			if !strings.HasSuffix(name, manifestEnd) {
				names = append(names, name)
			}
		}
		damage(m, names)
		in, err := r.Open(t.Context(), place("a", "a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, in); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
		in.Close()
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	r, _ := bench(t)
	for _, p := range []Place{{}, {"", "..", ".."}, {"", place("a", "a").Chain, "../x"}, {"", "x/y", place("a", "a").ID}, {"..", place("a", "a").Chain, place("a", "a").ID}} {
		_, err := r.Open(t.Context(), p)
		_, werr := r.Write(t.Context(), p, 0, nil, nil)
		for _, err := range []error{err, werr, r.Remove(t.Context(), p)} {
			if !cloud.Is(err, cloud.Invalid) {
				t.Errorf("%+v: %v", p, err)
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	m := &memory{objects: map[string][]byte{}}
	r, err := New(m)
	if err != nil {
		f.Fatal(err)
	}
	for _, good := range []manifest{{Format: format, Size: 5000, Chunk: 4096, Chunks: []string{"", strings.Repeat("ab", 32)}}, {Format: format, Chunk: 4096}, {}} {
		packed, err := r.pack(good)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		m, err := unpack(packed)
		if err == nil && (m.stretch(0) > maxChunk || len(m.Chunks) > 0 && m.stretch(len(m.Chunks)-1) <= 0) {
			t.Errorf("accepted %+v", m)
		}
	})
}
