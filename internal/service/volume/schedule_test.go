package volume

import (
	"slices"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]Schedule{
		"": {}, "daily": {24 * time.Hour, 7}, "hourly keep=24": {time.Hour, 24}, " weekly  keep=1 ": {7 * 24 * time.Hour, 1}, "daily keep=100": {24 * time.Hour, 100},
	} {
		if got, err := ParseSchedule(text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yearly", "daily 7", "daily keep=0", "daily keep=101", "daily keep=x", "daily keep=7 now", " ", "Daily"} {
		if got, err := ParseSchedule(text); !cloud.Is(err, cloud.Invalid) || got != (Schedule{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	weekly := Schedule{Every: everies["weekly"]}
	if got := weekly.Slot(time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)); got != "2026-11-16T00:00:00Z" { // a Monday
		t.Errorf("the week began on %s", got)
	}
}

func asked(text string) map[string]string { return map[string]string{SnapshotSchedule: text} }

// scheduled are the slots of a volume's scheduled snapshots that are not given up,
// newest first; all are whole afterwards.
func (b *bench) scheduled(volume string) (slots []string) {
	b.t.Helper()
	b.must(b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		list, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", volume)))
		for _, snap := range list {
			if snap.Deleted { // as the housekeeper ends it
				if err := tx.Snapshots.Delete(snap.ID); err != nil {
					return err
				}
				continue
			}
			if slot := snap.Metadata[ScheduledFor]; slot != "" {
				slots = append(slots, slot)
			}
			snap.Seen.Ready = true
			if err := tx.Snapshots.Update(snap); err != nil {
				return err
			}
		}
		return err
	}))
	slices.Sort(slots)
	slices.Reverse(slots)
	return slots
}

// TestScheduled turns a fake clock over days: one snapshot a day, however often the
// job runs, and as many as are kept.
func TestScheduled(t *testing.T) {
	b := newBench(t)
	own, none, served := b.ready(Wanted{SizeGB: 1, Metadata: asked("daily keep=2")}), b.ready(Wanted{SizeGB: 1}), b.ready(Wanted{SizeGB: 1})
	b.must(b.store.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Servers.Insert(cloud.Server{ID: "s", ProjectID: "p", Metadata: asked("hourly keep=3")}); err != nil {
			return err
		}
		return tx.VolumeAttachments.Insert(cloud.VolumeAttachment{ID: "a", VolumeID: served.ID, ServerID: "s", ProjectID: "p", Plug: true, State: cloud.AttachmentAttached})
	}))
	start := b.clock.Now()
	for range 4 * 24 {
		b.must(b.TakeScheduled(t.Context()))
		b.must(New(b.store, b.clock, images{}, Options{}).TakeScheduled(t.Context())) // as another head, or this one after a kill
		for _, id := range []string{own.ID, none.ID, served.ID} {
			b.scheduled(id)
		}
		b.clock.Advance(time.Hour)
	}
	b.must(b.TakeScheduled(t.Context()))
	day, hour := Schedule{Every: everies["daily"]}, Schedule{Every: time.Hour}
	now := b.clock.Now()
	slot := func(s Schedule, back int) string { return s.Slot(now.Add(-time.Duration(back) * s.Every)) }
	// The newest is not whole yet, so one more than is kept is there.
	if got, want := b.scheduled(served.ID), []string{slot(hour, 0), slot(hour, 1), slot(hour, 2), slot(hour, 3)}; !slices.Equal(got, want) {
		t.Errorf("hourly since %s: %v, want %v", start, got, want)
	}
	b.scheduled(own.ID)
	b.must(b.TakeScheduled(t.Context()))
	if got, want := b.scheduled(own.ID), []string{slot(day, 0), slot(day, 1)}; !slices.Equal(got, want) {
		t.Errorf("daily since %s: %v, want %v", start, got, want)
	}
	if got := b.scheduled(none.ID); len(got) > 0 {
		t.Errorf("unasked: %v", got)
	}
	_, err := b.SetMetadata(t.Context(), member("p"), none.ID, asked("sometimes"), false)
	b.want(err, cloud.Invalid)
	_, err = b.Create(t.Context(), member("p"), Wanted{SizeGB: 1, Metadata: asked("sometimes")})
	b.want(err, cloud.Invalid)
}

// TestScheduledCounts: they are in the quota, as any snapshot.
func TestScheduledCounts(t *testing.T) {
	b := newBench(t)
	v := b.ready(Wanted{SizeGB: 600, Metadata: asked("hourly")}) // of 1000 GB that a project has
	b.must(b.TakeScheduled(t.Context()))
	if got := b.scheduled(v.ID); len(got) > 0 {
		t.Errorf("beyond the quota of gigabytes: %v", got)
	}
}
