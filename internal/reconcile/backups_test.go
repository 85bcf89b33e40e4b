package reconcile

import (
	"context"
	"io"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// shelf keeps backups as what was read.
type shelf struct {
	held    map[string]string
	removed []string
	fail    error
}

func (s *shelf) Write(_ context.Context, b cloud.Backup, size int64, src io.Reader, progress func(BackupProgress)) (BackupProgress, error) {
	if s.fail != nil {
		return BackupProgress{}, s.fail
	}
	data, err := io.ReadAll(src)
	s.held[b.StoredID] = string(data)
	done := BackupProgress{Read: size, Objects: 3, Stored: int64(len(data))}
	progress(done)
	return done, err
}

func (s *shelf) Remove(_ context.Context, b cloud.Backup) error {
	if s.fail == nil {
		s.removed = append(s.removed, b.StoredID)
	}
	return s.fail
}

func (s *shelf) Size(_ context.Context, b cloud.Backup) (int64, int, error) {
	if _, ok := s.held[b.StoredID]; !ok {
		return 0, 0, cloud.E("shelf", cloud.NotFound, "no such backup")
	}
	return cloud.GiB, 3, s.fail
}

func newBackupWorld(t *testing.T) (*world, *volumeNode, *shelf) {
	w, n, _ := newVolumeWorld(t)
	s := &shelf{held: map[string]string{}}
	w.Backups = s
	w.addVolume(cloud.Volume{ID: "v", SizeGB: 1, Node: "node-1", BackupID: "b"})
	w.chores()
	return w, n, s
}

func (w *world) addBackup(b cloud.Backup) {
	w.t.Helper()
	b.VolumeID, b.ProjectID, b.SizeGB, b.CreatedAt, b.NextAttemptAt = "v", "p", 1, w.clock.Now(), w.clock.Now()
	if b.StoredID == "" {
		b.StoredID = b.ID
	}
	w.write(func(tx *store.Tx) error { return tx.Backups.Insert(b) })
}

func (w *world) backup(id string) (b cloud.Backup) {
	w.t.Helper()
	if err := w.Store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		b, err = tx.Backups.Get(id)
		return unlessGone(err)
	}); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func TestABackupIsMadeAndTakenAway(t *testing.T) {
	w, _, s := newBackupWorld(t)
	w.addBackup(cloud.Backup{ID: "b"})
	if got := w.volume("v"); got.Status(nil) != cloud.VolumeBackingUp {
		t.Errorf("the volume is %s", got.Status(nil))
	}
	w.chores()
	if b := w.backup("b"); b.Status() != cloud.VolumeAvailable || b.Objects != 3 || b.Stored != 5 || s.held["b"] != "bytes" {
		t.Errorf("%+v, %v", b, s.held)
	}
	if got := w.volume("v"); got.Status(nil) != cloud.VolumeAvailable {
		t.Errorf("the volume is %s", got.Status(nil))
	}
	if n := w.chores(); n != 0 {
		t.Errorf("%d chores are left", n)
	}
	w.write(func(tx *store.Tx) error {
		b, _ := tx.Backups.Get("b")
		b.Deleted, b.NextAttemptAt = true, w.clock.Now()
		return tx.Backups.Update(b)
	})
	w.chores()
	if b := w.backup("b"); b.ID != "" || len(s.removed) != 1 {
		t.Errorf("%+v, removed %v", b, s.removed)
	}
}

// TestABackupThatFails is tried again while that may help, and then lets its
// volume go.
func TestABackupThatFails(t *testing.T) {
	w, _, s := newBackupWorld(t)
	w.addBackup(cloud.Backup{ID: "b"})
	s.fail = cloud.E("shelf", cloud.Unavailable, "the store is away")
	for range volumeTries {
		if b := w.backup("b"); b.Status() != cloud.VolumeCreating {
			t.Fatalf("given up too soon: %+v", b)
		}
		w.chores()
		w.clock.Advance(backOff(9))
	}
	if b := w.backup("b"); b.Status() != cloud.VolumeError || b.Fault == "" {
		t.Errorf("%+v", b)
	}
	if got := w.volume("v"); got.Status(nil) != cloud.VolumeAvailable {
		t.Errorf("the volume is %s", got.Status(nil))
	}
}

// TestTwoRecordsOfOneBackup removes what is stored with the last of them.
func TestTwoRecordsOfOneBackup(t *testing.T) {
	w, _, s := newBackupWorld(t)
	w.addBackup(cloud.Backup{ID: "b"})
	w.chores()
	w.addBackup(cloud.Backup{ID: "copy", StoredID: "b", Imported: true})
	w.addBackup(cloud.Backup{ID: "lost", Imported: true})
	w.chores()
	if c, l := w.backup("copy"), w.backup("lost"); c.Status() != cloud.VolumeAvailable || l.Status() != cloud.VolumeError {
		t.Errorf("%+v\n%+v", c, l)
	}
	for i, id := range []string{"copy", "b"} {
		w.write(func(tx *store.Tx) error {
			b, _ := tx.Backups.Get(id)
			b.Deleted, b.NextAttemptAt = true, w.clock.Now()
			return tx.Backups.Update(b)
		})
		w.chores()
		if w.backup(id).ID != "" || len(s.removed) != i {
			t.Errorf("after %s: removed %v", id, s.removed)
		}
	}
}

// TestAVolumeIsRestored gives the backup back when it is done, and when it fails.
func TestAVolumeIsRestored(t *testing.T) {
	for _, fails := range []bool{false, true} {
		w, n, _ := newBackupWorld(t)
		w.addBackup(cloud.Backup{ID: "b"})
		w.chores()
		w.write(func(tx *store.Tx) error {
			v, _ := tx.Volumes.Get("v")
			b, _ := tx.Backups.Get("b")
			v.Refill, v.NextAttemptAt, b.RestoringID = &cloud.VolumeRefill{BackupID: "b", Content: b.Content()}, w.clock.Now(), "v"
			if err := tx.Backups.Update(b); err != nil {
				return err
			}
			return tx.Volumes.Update(v)
		})
		want := cloud.VolumeAvailable
		if fails {
			n.fail, want = cloud.E("node", cloud.Invalid, "the backup is damaged"), cloud.VolumeErrorRestoring
		}
		v, b := w.volume("v"), w.backup("b")
		if v.Status(nil) != cloud.VolumeRestoring || b.Status() != cloud.BackupRestoring {
			t.Errorf("%s, %s", v.Status(nil), b.Status())
		}
		w.chores()
		v, b = w.volume("v"), w.backup("b")
		if v.Status(nil) != want || b.Status() != cloud.VolumeAvailable || v.SizeGB != 1 {
			t.Errorf("fails %v: %s, %s, %+v", fails, v.Status(nil), b.Status(), v)
		}
	}
}

func TestWhatANodeIsAskedFor(t *testing.T) {
	seen := cloud.VolumeSeen{Ready: true}
	for name, c := range map[string]struct {
		v    cloud.Volume
		want func(cloud.VolumeSpec) bool
	}{
		"a revert":   {cloud.Volume{Seen: seen, Refill: &cloud.VolumeRefill{SnapshotID: "s"}}, func(s cloud.VolumeSpec) bool { return s.Replace && s.From == cloud.SnapshotDisk("s") }},
		"a restore":  {cloud.Volume{Refill: &cloud.VolumeRefill{Content: "backup:x"}}, func(s cloud.VolumeSpec) bool { return s.Replace && s.Content == "backup:x" }},
		"a re-image": {cloud.Volume{Seen: seen, Refill: &cloud.VolumeRefill{Image: cloud.ImageRef{ID: "i"}}}, func(s cloud.VolumeSpec) bool { return s.Replace && s.Image.ID == "i" }},
		"a find":     {cloud.Volume{Adopt: "volume-x"}, func(s cloud.VolumeSpec) bool { return !s.Replace && s.Made && s.Adopt == "volume-x" }},
		"as it is":   {cloud.Volume{Seen: seen, SnapshotID: "s"}, func(s cloud.VolumeSpec) bool { return !s.Replace && s.Made && s.From == "" }},
	} {
		if spec := volumeSpec(c.v); !c.want(spec) {
			t.Errorf("%s: %+v", name, spec)
		}
	}
}

// TestAManagedVolumeHasTheSizeOfItsDisk rounds a part of a GB up, and has it
// filled.
func TestAManagedVolumeHasTheSizeOfItsDisk(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	n.disks[cloud.VolumeDisk("m")] = cloud.GiB + 512 // as after the node has given it its name
	w.addVolume(cloud.Volume{ID: "m", Node: "node-1", Adopt: "volume-old"})
	w.chores()
	w.chores()
	if v := w.volume("m"); v.SizeGB != 2 || v.Adopt != "" || v.Status(nil) != cloud.VolumeAvailable || n.disks[cloud.VolumeDisk("m")] != 2*cloud.GiB {
		t.Errorf("%+v, %v", v, n.disks)
	}
}
