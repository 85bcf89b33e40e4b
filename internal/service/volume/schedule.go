package volume

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// SnapshotSchedule is the metadata of a volume, or of a server for all its volumes,
// that asks for snapshots: "daily keep=7". ScheduledFor is the metadata of such a
// snapshot: the hour, day or week that it is of, as its first moment (RFC 3339, UTC).
const (
	SnapshotSchedule = "hearth:snapshot_schedule"
	ScheduledFor     = "hearth:scheduled_for"
)

// Schedule is when snapshots are made, and how many are kept.
type Schedule struct {
	Every time.Duration // an hour, a day or a week
	Keep  int
}

// everies are the words for how often. Weeks begin on Monday.
var everies = map[string]time.Duration{"hourly": time.Hour, "daily": 24 * time.Hour, "weekly": 7 * 24 * time.Hour}

// Bounds of a schedule.
const (
	keepUsually = 7
	keepMost    = 100
)

// ParseSchedule reads a schedule; the zero one for "". Invalid.
func ParseSchedule(text string) (s Schedule, err error) {
	bad := cloud.E("volume.Schedule", cloud.Invalid, "%s is %q: write hourly, daily or weekly, and how many to keep (1 to %d), such as \"daily keep=7\"", SnapshotSchedule, text, keepMost)
	words := strings.Fields(text)
	if text == "" {
		return s, nil
	}
	if len(words) == 0 || len(words) > 2 || everies[words[0]] == 0 {
		return s, bad
	}
	s = Schedule{Every: everies[words[0]], Keep: keepUsually}
	if len(words) == 2 {
		number, ok := strings.CutPrefix(words[1], "keep=")
		if s.Keep, err = strconv.Atoi(number); !ok || err != nil || s.Keep < 1 || s.Keep > keepMost {
			return Schedule{}, bad
		}
	}
	return s, nil
}

// Slot is the hour, day or week of a moment, as ScheduledFor has it.
func (s Schedule) Slot(now time.Time) string { return now.UTC().Truncate(s.Every).Format(time.RFC3339) }

// TakeScheduled makes the snapshots that are due, and gives up those beyond what is
// to be kept. One that is there for the present hour, day or week is not made again,
// whoever died in between: all is by what the store has. Of a time when nobody looked
// none is made.
func (s *Service) TakeScheduled(ctx context.Context) error {
	plans := map[string]Schedule{} // by volume
	err := s.store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Volumes.List(store.Query{})
		if err != nil {
			return err
		}
		ofServers, err := serverSchedules(tx)
		if err != nil {
			return err
		}
		for _, v := range list {
			plan := ofServers[v.ID]
			if text := v.Metadata[SnapshotSchedule]; text != "" { // its own goes first; one that cannot be read means none
				plan, _ = ParseSchedule(text)
			}
			if plan.Keep > 0 && !v.Deleted && v.Seen.Ready {
				plans[v.ID] = plan
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, plan := range plans {
		err := s.store.Update(ctx, func(tx *store.Tx) error { return s.takeTx(tx, id, plan) })
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			s.log.Warn("a scheduled snapshot is not made; it is tried again", "volume", id, "error", err)
		}
	}
	return ctx.Err()
}

// serverSchedules are the schedules of servers, by the volumes that they have plugged:
// two queries for all, none of them for each volume. Metadata of servers is not checked
// when it is set: what cannot be read means none.
func serverSchedules(tx *store.Tx) (map[string]Schedule, error) {
	servers, err := tx.Servers.List(store.Query{})
	if err != nil {
		return nil, err
	}
	plans := map[string]Schedule{} // by server
	for _, v := range servers {
		if plan, err := ParseSchedule(v.Metadata[SnapshotSchedule]); err == nil && plan.Keep > 0 {
			plans[v.ID] = plan
		}
	}
	if len(plans) == 0 {
		return nil, nil
	}
	attachments, err := tx.VolumeAttachments.List(store.Query{})
	if err != nil {
		return nil, err
	}
	out := map[string]Schedule{}
	for _, a := range attachments {
		plan, ok := plans[a.ServerID]
		if _, taken := out[a.VolumeID]; ok && a.Plug && !a.CDROM && !taken {
			out[a.VolumeID] = plan
		}
	}
	return out, nil
}

func (s *Service) takeTx(tx *store.Tx, id string, plan Schedule) error {
	list, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", id)))
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(snap cloud.Snapshot) bool { return snap.Metadata[ScheduledFor] == "" || snap.Deleted })
	slices.SortFunc(list, func(a, b cloud.Snapshot) int {
		return strings.Compare(b.Metadata[ScheduledFor], a.Metadata[ScheduledFor])
	})
	if err := s.retainTx(tx, list, plan.Keep); err != nil {
		return err
	}
	slot := plan.Slot(s.clock.Now())
	if slices.ContainsFunc(list, func(snap cloud.Snapshot) bool { return snap.Metadata[ScheduledFor] == slot }) {
		return nil
	}
	v, err := tx.Volumes.Get(id)
	if err != nil {
		return err
	}
	owner := cloud.Caller{ProjectID: v.ProjectID, UserID: v.UserID} // whose quota it counts in
	_, err = s.CreateSnapshotTx(tx, owner, NewSnapshot{VolumeID: id, Name: "scheduled " + slot, Metadata: map[string]string{ScheduledFor: slot}})
	if cloud.Is(err, cloud.Invalid) { // it is being restored, moved, …: soon
		return nil
	}
	return err
}

// retainTx gives up scheduled snapshots, newest first, beyond those to be kept. Only
// those that are whole count, and failed ones go when a newer one is whole.
func (s *Service) retainTx(tx *store.Tx, list []cloud.Snapshot, keep int) error {
	whole := 0
	for _, snap := range list {
		ready := snap.Status() == cloud.VolumeAvailable
		if ready {
			whole++
		}
		failed := snap.Status() == cloud.VolumeError && whole > 0
		if !failed && (!ready || whole <= keep) || idleSnapshot(tx, "volume.TakeScheduled", snap) != nil {
			continue
		}
		snap.Deleted, snap.NextAttemptAt, snap.Attempt, snap.UpdatedAt = true, s.clock.Now(), 0, s.clock.Now()
		if err := tx.Snapshots.Update(snap); err != nil {
			return err
		}
	}
	return nil
}
