package export

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	hvfake "hearth/internal/driver/hypervisor/fake"
	"hearth/internal/driver/storage"
	stfake "hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/pools"
)

// site is a host that managers come and go on.
type site struct {
	t       *testing.T
	dir     string
	host    *hvfake.Host
	storage storage.Driver
	tries   chan time.Duration // what is waited for before a try
}

const disk = "volume-1@gold"

func newSite(t *testing.T) *site {
	places := pools.New(stfake.New(), true, pools.Pool{Name: "gold", Open: func(context.Context) (storage.Driver, error) { return stfake.New(), nil }})
	s := &site{t: t, dir: t.TempDir(), host: hvfake.NewHost(nil), storage: places, tries: make(chan time.Duration, 16)}
	_, err := s.storage.BlankDisk(t.Context(), disk, 1<<20, "")
	must(t, err)
	return s
}

func (s *site) manager() *Manager {
	s.t.Helper()
	m, err := New(s.t.Context(), Config{Dir: s.dir, Storage: s.storage, Exporter: hvfake.New(s.host), Address: netip.MustParseAddr("127.0.0.1"),
		Identity: hypervisor.Identity{CA: []byte("ca"), Cert: []byte("cert"), Key: "key"},
		After: func(d time.Duration) <-chan time.Time {
			s.tries <- d
			now := make(chan time.Time, 1)
			now <- time.Time{}
			return now
		}})
	must(s.t, err)
	s.t.Cleanup(func() { _ = m.Close() })
	return m
}

// given asks for the disk, and gives where it is.
func (s *site) given(m *Manager) cloud.ExportStatus {
	s.t.Helper()
	st, err := m.Apply(s.t.Context(), cloud.ExportSpec{Disk: disk, Nodes: []string{"node-2"}})
	must(s.t, err)
	return st
}

// other waits until the disk is given by another process than h.
func (s *site) other(m *Manager, h hypervisor.Handle) hypervisor.Handle {
	s.t.Helper()
	for late := time.Now().Add(2 * time.Minute); time.Now().Before(late); time.Sleep(time.Millisecond) { // what is polled is the thing under test
		if now := m.Handle(disk); now != nil && *now != h {
			return *now
		}
	}
	s.t.Fatal("the disk is not given again")
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestComesBack: a process that died is followed by another at the same address, also
// when that does not succeed at once.
func TestComesBack(t *testing.T) {
	s := newSite(t)
	m := s.manager()
	st, first := s.given(m), *m.Handle(disk)
	s.host.Crash("volume-1")
	second := s.other(m, first)
	for range 3 {
		s.host.FailNextStart(cloud.E("test", cloud.Unavailable, "the port is taken"))
	}
	s.host.Crash("volume-1")
	s.other(m, second)
	if now := m.Statuses(); len(now) != 1 || now[0].Source != st.Source || now[0].Error != "" {
		t.Errorf("%+v, was %+v", now, st)
	}
	var waits []time.Duration
	for len(s.tries) > 0 {
		waits = append(waits, <-s.tries)
	}
	if len(waits) < 2 || waits[len(waits)-1] <= waits[0] {
		t.Errorf("it was waited for %v", waits)
	}
}

// TestFoundAgain: the exports of an agent that is gone are those of the next, which
// makes the missing anew, and ends what nobody has written down.
func TestFoundAgain(t *testing.T) {
	s := newSite(t)
	m := s.manager()
	st, first := s.given(m), *m.Handle(disk)
	must(t, m.Close())
	if m = s.manager(); *m.Handle(disk) != first {
		t.Error("it was replaced")
	}
	must(t, m.Close())
	s.host.Crash("volume-1") // while no agent is there
	m = s.manager()
	second := s.other(m, first)
	must(t, m.Close())
	s.host.RebootHost()
	m = s.manager()
	s.other(m, second)
	if now := s.given(m); now.Source != st.Source || now.Asked != st.Asked+1 {
		t.Errorf("%+v, was %+v", now, st)
	}
	must(t, m.Close())
	must(t, os.Remove(filepath.Join(s.dir, "volume-1.json"))) // as Withdraw does first
	if m = s.manager(); s.host.Running() > 0 || len(m.Statuses()) > 0 {
		t.Errorf("%d processes are left, %+v", s.host.Running(), m.Statuses())
	}
}

// TestHalfRenewed: an agent died while it made a disk larger, or had it stand still.
func TestHalfRenewed(t *testing.T) {
	s := newSite(t)
	m := s.manager()
	s.given(m)
	first := *m.Handle(disk)
	died := errors.New("the agent died here")
	err := m.Renew(t.Context(), disk, func() error {
		if s.host.Running() > 0 {
			t.Error("it is open")
		}
		return died
	})
	if !errors.Is(err, died) {
		t.Error(err)
	}
	second := s.other(m, first)
	err = m.Still(t.Context(), disk, func() error {
		if _, still, there := s.host.Exported("volume-1"); !still || !there {
			t.Errorf("still %t, there %t", still, there)
		}
		return died
	})
	if _, still, _ := s.host.Exported("volume-1"); still || !errors.Is(err, died) {
		t.Errorf("it stands still yet: %v", err)
	}
	must(t, m.Close())
	g := m.all["volume-1"]
	g.rec.Frozen = true
	must(t, m.save(g))
	must(t, m.Exporter.Freeze(t.Context(), second, true))
	m = s.manager()
	if _, still, _ := s.host.Exported("volume-1"); still || *m.Handle(disk) != second {
		t.Error("it stands still since the agent died")
	}
}

// TestTakenBack: nothing is left of what nobody wants, and another volume's name, or
// pool, takes nothing from anybody.
func TestTakenBack(t *testing.T) {
	s := newSite(t)
	m := s.manager()
	st := s.given(m)
	must(t, m.Withdraw(t.Context(), "volume-1", st.Asked)) // of another pool
	must(t, m.Withdraw(t.Context(), "volume-2", 0))
	if err := m.Withdraw(t.Context(), disk, st.Asked+1); !cloud.Is(err, cloud.Conflict) || s.host.Running() != 1 {
		t.Errorf("%v; %d processes", err, s.host.Running())
	}
	stray, err := hvfake.New(s.host).Export(t.Context(), hypervisor.Export{ID: "volume-9", Dir: filepath.Join(s.dir, "volume-9"), Disk: hypervisor.Disk{ID: "export", Path: "/x", Format: "raw"},
		Name: "volume-9", Address: netip.MustParseAddrPort("127.0.0.1:0"), Peers: []string{"node-2"}, Identity: m.Identity})
	must(t, err)
	if found, err := m.Stray(t.Context()); err != nil || len(found) != 1 || found[0] != stray.Handle {
		t.Errorf("%+v, %v", found, err)
	}
	must(t, m.Exporter.Destroy(t.Context(), stray.Handle))
	must(t, m.Withdraw(context.Background(), disk, st.Asked))
	left, err := filepath.Glob(filepath.Join(s.dir, "volume-1*"))
	if err != nil || len(left)+s.host.Running()+len(m.Statuses()) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if again := s.given(m); again.Error != "" || s.host.Running() != 1 {
		t.Errorf("%+v", again)
	}
}
