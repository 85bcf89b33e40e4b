package operate

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// noBlobs is an image service that keeps nothing.
type noBlobs struct{}

func (noBlobs) Digests(context.Context) ([]string, error) { return nil, nil }
func (noBlobs) Path(digest string) (string, error) {
	return "", cloud.E("blobs.Path", cloud.NotFound, "no %s", digest)
}

type fixed struct{ cloud.SystemClock }

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (fixed) Now() time.Time { return now }

// operator is a service over a store that was filled by a function.
func operator(t *testing.T, fill func(tx *store.Tx) error) *Service {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := st.Update(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	return New(st, fixed{}, node.NewFleet(), noBlobs{}, schedule.Ratios{CPU: 1, Memory: 1, Disk: 1}, slog.New(slog.DiscardHandler))
}

func TestFits(t *testing.T) {
	s := operator(t, func(tx *store.Tx) error {
		for _, f := range cloud.ClassicFlavors() {
			if err := tx.Flavors.Insert(f); err != nil {
				return err
			}
		}
		return tx.Hosts.Insert(cloud.Host{Name: "n1", AvailabilityZone: "nova", SeenAt: now, Seen: cloud.HostStatus{VCPUs: 3, MemoryMB: 4096, DiskGB: 100}})
	})
	fits, err := s.Fits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range fits {
		got[f.Flavor.Name] = f.Count
	}
	for name, want := range map[string]int{"m1.nano": 3, "m1.tiny": 3, "m1.small": 2, "m1.medium": 1, "m1.large": 0} {
		if got[name] != want {
			t.Errorf("%s fits %d times, want %d", name, got[name], want)
		}
	}
	if page := explained(t, s, "flavor", "m1.small"); !strings.Contains(page, "2 more servers") || !strings.Contains(page, "n1 lacks 2048 MB of memory (has 0)") {
		t.Errorf("the page of a flavor:\n%s", page)
	}
}

// explained is a page as text.
func explained(t *testing.T, s *Service, kind, name string) string {
	t.Helper()
	e, err := s.Explain(t.Context(), kind, name)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{e.Title}
	for _, f := range e.Facts {
		lines = append(lines, f.Topic+": "+f.Value)
	}
	return strings.Join(lines, "\n")
}

func TestVolumesExplained(t *testing.T) {
	s := operator(t, func(tx *store.Tx) error {
		flavor := cloud.Flavor{ID: "1", Name: "m1.tiny", RootGB: 1}
		return cmp.Or(
			tx.Servers.Insert(cloud.Server{ID: "s1", Name: "from-volume", Flavor: flavor, Node: "n1", VolumeBoot: true}),
			tx.Servers.Insert(cloud.Server{ID: "s2", Name: "from-image", Flavor: flavor, Node: "n1", ImageID: "i1"}),
			tx.Volumes.Insert(cloud.Volume{ID: "v1", Name: "root", SizeGB: 10, Image: &cloud.ImageRef{ID: "i1"}, Seen: cloud.VolumeSeen{Ready: true, SizeBytes: 10 * cloud.GiB}}),
			tx.Snapshots.Insert(cloud.Snapshot{ID: "p1", Name: "before", VolumeID: "v1", SizeGB: 10, Seen: cloud.VolumeSeen{Ready: true}}),
			tx.VolumeAttachments.Insert(cloud.VolumeAttachment{ID: "a1", VolumeID: "v1", ServerID: "s1", State: cloud.AttachmentAttached, Device: "/dev/vda", Plug: true, Boot: true}),
		)
	})
	for _, c := range []struct{ kind, name, want string }{
		{"server", "from-volume", "root disk: persistent: volume v1, 10 GiB; it outlives the server"},
		{"server", "from-image", "root disk: ephemeral, 1 GiB of flavor m1.tiny, filled from image i1; it is deleted with the server"},
		{"volume", "root", "status: in-use, 10 GiB wanted, 10.0 GiB seen"},
		{"volume", "v1", "made from: image i1"},
		{"volume", "v1", "attached to: server s1 as /dev/vda, attached; it outlives the server"},
		{"volume", "v1", "snapshot: before (p1), available"},
		{"snapshot", "p1", "of volume: v1"},
	} {
		if page := explained(t, s, c.kind, c.name); !strings.Contains(page, c.want) {
			t.Errorf("the page of %s %s lacks %q:\n%s", c.kind, c.name, c.want, page)
		}
	}
	if found, err := s.Findings(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("findings of a cloud at rest: %q, %v", found, err)
	}
	if _, err := s.Explain(t.Context(), "cloud", "x"); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a kind that is none: %v", err)
	}
}

func TestFindingsOfVolumes(t *testing.T) {
	s := operator(t, func(tx *store.Tx) error {
		return cmp.Or(
			tx.Volumes.Insert(cloud.Volume{ID: "v1", SizeGB: 1}),
			tx.VolumeAttachments.Insert(cloud.VolumeAttachment{ID: "a1", VolumeID: "v1", ServerID: "gone", Plug: true}),
			tx.VolumeAttachments.Insert(cloud.VolumeAttachment{ID: "a2", VolumeID: "v9", ServerID: "gone"}),
		)
	})
	found, err := s.Findings(t.Context())
	want := []string{"attachment a1 is to server gone, which does not exist", "attachment a2 is of volume v9, which does not exist", "volume v1 wants something done and nothing is due"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v, want %q", found, err, want)
	}
}
