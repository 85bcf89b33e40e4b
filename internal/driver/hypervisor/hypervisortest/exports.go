package hypervisortest

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Exports is an exporter under test.
type Exports struct {
	// Exporter makes a new one on the same host: what a restart of the agent does.
	Exporter func() hypervisor.Exporter
	// Identity is that of the host "node-1".
	Identity hypervisor.Identity
	// Crash kills the process of an export.
	Crash func(t *testing.T, h hypervisor.Handle)
	// InMemory says that there are no files: none can be missing.
	InMemory bool
}

// RunExports runs the suite of hypervisor.Exporter.
func RunExports(t *testing.T, s Exports) {
	for name, test := range map[string]func(*testing.T, Exports){
		"an export lives": exportLives, "it is found again": exportFound, "it comes back where it was": exportBack, "it stands still": exportStill,
		"what cannot be given": exportRefused,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// export is one of a disk of a megabyte.
func (s Exports) export(t *testing.T) hypervisor.Export {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "disk")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, 1<<20))
	return hypervisor.Export{ID: "export-" + cloud.NewID()[:8], Dir: filepath.Join(dir, "run"), Disk: hypervisor.Disk{ID: "export", Path: path, Format: hypervisor.FormatRaw},
		Name: "volume-1@gold", Address: netip.MustParseAddrPort("127.0.0.1:0"), Peers: []string{"node-2", "node-3"}, Identity: s.Identity}
}

func (s Exports) start(t *testing.T, by hypervisor.Exporter, e hypervisor.Export) hypervisor.Exported {
	t.Helper()
	out, err := by.Export(limit(t), e)
	must(t, err)
	t.Cleanup(func() {
		if err := by.Destroy(context.Background(), out.Handle); err != nil {
			t.Error(err)
		}
	})
	return out
}

func exportLives(t *testing.T, s Exports) {
	by, e := s.Exporter(), s.export(t)
	out := s.start(t, by, e)
	if out.Address.Addr() != e.Address.Addr() || out.Address.Port() == 0 || out.Handle.ID != e.ID {
		t.Errorf("%+v", out)
	}
	_, err := by.Export(limit(t), e)
	wantKind(t, "a second in the same directory", err, cloud.Conflict)
	other := s.export(t)
	if two := s.start(t, by, other); two.Address == out.Address {
		t.Errorf("two at %s", two.Address)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if by.Await(soon, out.Handle) == nil {
		t.Error("it has ended, is said")
	}
	must(t, by.Destroy(limit(t), out.Handle))
	must(t, by.Destroy(limit(t), out.Handle))
	must(t, by.Await(limit(t), out.Handle))
	if left, err := by.List(limit(t), e.Dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// exportFound is what an agent meets that comes after another.
func exportFound(t *testing.T, s Exports) {
	e := s.export(t)
	out := s.start(t, s.Exporter(), e)
	by := s.Exporter()
	found, err := by.List(limit(t), filepath.Dir(e.Dir))
	if err != nil || len(found) != 1 || found[0] != out.Handle {
		t.Fatalf("%+v, %v; not %+v", found, err, out.Handle)
	}
	ended := make(chan error, 1)
	go func() { ended <- by.Await(limit(t), out.Handle) }()
	s.Crash(t, out.Handle)
	must(t, <-ended)
	wantKind(t, "freeze what is gone", by.Freeze(limit(t), out.Handle, true), cloud.NotFound)
}

// exportBack starts one anew at its address: those who have it open connect there again.
func exportBack(t *testing.T, s Exports) {
	by, e := s.Exporter(), s.export(t)
	first := s.start(t, by, e)
	taken := s.export(t)
	taken.Address = first.Address
	_, err := by.Export(limit(t), taken)
	wantKind(t, "another's address", err, cloud.Unavailable)
	s.Crash(t, first.Handle)
	must(t, by.Await(limit(t), first.Handle))
	e.Address = first.Address
	if again := s.start(t, by, e); again.Address != first.Address || again.Handle.PID == first.Handle.PID {
		t.Errorf("%+v, then %+v", first, again)
	}
}

func exportStill(t *testing.T, s Exports) {
	by := s.Exporter()
	out := s.start(t, by, s.export(t))
	for _, still := range []bool{true, true, false, false, true} {
		must(t, by.Freeze(limit(t), out.Handle, still))
	}
	must(t, by.Destroy(limit(t), out.Handle)) // which stands still
	must(t, by.Await(limit(t), out.Handle))
}

func exportRefused(t *testing.T, s Exports) {
	for what, c := range map[string]struct {
		kind   cloud.Kind
		change func(*hypervisor.Export)
	}{
		"no disk":         {cloud.NotFound, func(e *hypervisor.Export) { e.Disk.Path += "-not" }},
		"a cluster's":     {cloud.Invalid, func(e *hypervisor.Export) { e.Disk.Path = "rbd:volumes/d:id=hearth:conf=/c:keyring=/k" }},
		"a wrong path":    {cloud.Invalid, func(e *hypervisor.Export) { e.Disk.Path = "disk" }},
		"no directory":    {cloud.Invalid, func(e *hypervisor.Export) { e.Dir = "run" }},
		"nobody":          {cloud.Invalid, func(e *hypervisor.Export) { e.Peers = nil }},
		"everybody":       {cloud.Invalid, func(e *hypervisor.Export) { e.Peers = []string{"*"} }},
		"every address":   {cloud.Invalid, func(e *hypervisor.Export) { e.Address = netip.MustParseAddrPort("0.0.0.0:0") }},
		"no certificate":  {cloud.Invalid, func(e *hypervisor.Export) { e.Identity.Key = "" }},
		"no name":         {cloud.Invalid, func(e *hypervisor.Export) { e.Name = "a b" }},
		"what is another": {cloud.Invalid, func(e *hypervisor.Export) { e.Disk.Path, e.Disk.Remote = "", &hypervisor.Remote{} }},
	} {
		if s.InMemory && c.kind == cloud.NotFound {
			continue
		}
		by, e := s.Exporter(), s.export(t)
		c.change(&e)
		_, err := by.Export(limit(t), e)
		wantKind(t, what, err, c.kind)
		if left, err := by.List(limit(t), e.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", what, left, err)
		}
	}
}
