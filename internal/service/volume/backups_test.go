package volume

import (
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// shelf is a store of backups by its name.
type shelf struct{}

func (shelf) Service() string { return "cinder.backup.drivers.hearth.test" }
func (shelf) Where() string   { return "memory:" }

func newBackupBench(t *testing.T) *bench {
	b := newBench(t)
	b.backups = shelf{}
	return b
}

// backedUp says, as the housekeeper would, that a backup is there.
func (b *bench) backedUp(id string) {
	b.t.Helper()
	b.must(b.store.Update(b.t.Context(), func(tx *store.Tx) error {
		row, err := tx.Backups.Get(id)
		if err != nil {
			return err
		}
		row.Ready, row.NextAttemptAt = true, time.Time{}
		v, err := tx.Volumes.Get(row.VolumeID)
		if err != nil {
			return err
		}
		v.BackupID = ""
		if err := tx.Volumes.Update(v); err != nil {
			return err
		}
		return tx.Backups.Update(row)
	}))
}

func (b *bench) backup(in NewBackup) cloud.Backup {
	b.t.Helper()
	b.clock.Advance(time.Second)
	row, err := b.CreateBackup(b.t.Context(), member("p"), in)
	b.must(err)
	b.backedUp(row.ID)
	return row
}

func (b *bench) backupStatus(id, want string) Backup {
	b.t.Helper()
	row, err := b.Backup(b.t.Context(), member("p"), id)
	b.must(err)
	if row.Status() != want {
		b.t.Errorf("the backup is %s, want %s", row.Status(), want)
	}
	return row
}

func TestIncrementsHangOnTheLatest(t *testing.T) {
	b := newBackupBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 2})
	_, err := b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID, Incremental: true})
	b.want(err, cloud.Invalid)
	full := b.backup(NewBackup{VolumeID: d.ID, Container: "yard"})
	one := b.backup(NewBackup{VolumeID: d.ID, Incremental: true})
	two := b.backup(NewBackup{VolumeID: d.ID, Incremental: true, Container: "elsewhere"})
	if one.ParentID != full.ID || two.ParentID != one.ID || two.Chain != full.ID || two.Container != "yard" {
		t.Errorf("%+v\n%+v", one, two)
	}
	if !b.backupStatus(full.ID, cloud.VolumeAvailable).Dependent || b.backupStatus(two.ID, cloud.VolumeAvailable).Dependent {
		t.Error("who hangs on whom is not told")
	}
	b.want(b.DeleteBackup(ctx, p, full.ID, false), cloud.Invalid)
	b.want(b.DeleteBackup(ctx, admin, one.ID, true), cloud.Invalid)
	b.must(b.DeleteBackup(ctx, p, two.ID, false))
	b.backupStatus(two.ID, cloud.VolumeDeleting)
	if again := b.backup(NewBackup{VolumeID: d.ID, Incremental: true}); again.ParentID != one.ID {
		t.Errorf("an increment hangs on one that is being deleted: %+v", again)
	}
	_, err = b.Backup(ctx, member("q"), full.ID)
	b.want(err, cloud.NotFound)
}

func TestWhatMayBeBackedUp(t *testing.T) {
	b := newBackupBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 1})
	row, err := b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.must(err)
	b.status(d.ID, cloud.VolumeBackingUp)
	b.backupStatus(row.ID, cloud.VolumeCreating)
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.want(err, cloud.Invalid)
	b.want(b.Delete(ctx, p, d.ID, false, false), cloud.Invalid)
	b.backedUp(row.ID)
	b.status(d.ID, cloud.VolumeAvailable)
	b.must(b.Attach(ctx, p, d.ID, cloud.NewID(), "", "/dev/vdb", false))
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.want(err, cloud.Invalid)
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID, Container: "../x"})
	b.want(err, cloud.Invalid)
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID, SnapshotID: cloud.NewID()})
	b.want(err, cloud.NotFound)
	b.backup(NewBackup{VolumeID: d.ID, Force: true})
	b.backups = nil
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID, Force: true})
	b.want(err, cloud.Unsupported)
}

func TestQuotasOfBackups(t *testing.T) {
	b := newBackupBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{SizeGB: 3})
	_, err := b.SetQuota(ctx, "p", map[string]int{"backups": 2, "backup_gigabytes": 5})
	b.must(err)
	first := b.backup(NewBackup{VolumeID: d.ID})
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.want(err, cloud.QuotaExceeded)
	_, err = b.SetQuota(ctx, "p", map[string]int{"backup_gigabytes": -1})
	b.must(err)
	b.backup(NewBackup{VolumeID: d.ID})
	_, err = b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.want(err, cloud.QuotaExceeded)
	_, used, err := b.Quota(ctx, p, "p")
	if err != nil || used["backups"] != 2 || used["backup_gigabytes"] != 6 {
		t.Errorf("%v, %v", used, err)
	}
	b.must(b.DeleteBackup(ctx, p, first.ID, false))
}

func TestRestores(t *testing.T) {
	b := newBackupBench(t)
	ctx, p := t.Context(), member("p")
	d := b.ready(Wanted{ImageID: "image", SizeGB: 3, Metadata: map[string]string{"a": "b"}})
	row := b.backup(NewBackup{VolumeID: d.ID})
	made, err := b.Restore(ctx, p, row.ID, "", "")
	b.must(err)
	if made.SizeGB != 3 || made.Name != "restore_backup_"+row.ID || !made.Bootable || made.ImageMetadata["os"] != "x" || made.Metadata["a"] != "b" || made.Status != cloud.VolumeRestoring {
		t.Errorf("%+v", made)
	}
	b.backupStatus(row.ID, cloud.BackupRestoring)
	b.want(b.DeleteBackup(ctx, p, row.ID, false), cloud.Invalid)
	_, err = b.Restore(ctx, p, row.ID, "", "")
	b.want(err, cloud.Invalid)
	b.must(b.ResetBackup(ctx, admin, row.ID, "available"))
	small, large := b.ready(Wanted{SizeGB: 1}), b.ready(Wanted{SizeGB: 4})
	_, err = b.Restore(ctx, p, row.ID, small.ID, "")
	b.want(err, cloud.Invalid)
	onto, err := b.Restore(ctx, p, row.ID, large.ID, "")
	b.must(err)
	if onto.ID != large.ID || onto.Refill == nil || onto.Refill.Content != "backup::"+row.ID+":"+row.ID {
		t.Errorf("%+v", onto)
	}
	b.status(large.ID, cloud.VolumeRestoring)
	b.must(b.ResetBackup(ctx, admin, row.ID, "available"))
	_, err = b.Create(ctx, p, Wanted{BackupID: row.ID, SizeGB: 2})
	b.want(err, cloud.Invalid)
	if d, err := b.Create(ctx, p, Wanted{BackupID: row.ID}); err != nil || d.SizeGB != 3 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestRecordsOfBackups(t *testing.T) {
	b := newBackupBench(t)
	ctx := t.Context()
	d := b.ready(Wanted{SizeGB: 1})
	row := b.backup(NewBackup{VolumeID: d.ID, Name: "old"})
	record, service, err := b.ExportBackup(ctx, admin, row.ID)
	b.must(err)
	_, err = b.ImportBackup(ctx, admin, service, record) // it is there
	b.want(err, cloud.Invalid)
	_, err = b.ImportBackup(ctx, admin, "another kind", record)
	b.want(err, cloud.Invalid)
	for _, spoil := range []func(*BackupRecord){
		func(r *BackupRecord) { r.Version = 9 }, func(r *BackupRecord) { r.Chain = "../x" }, func(r *BackupRecord) { r.StoredID = "" },
		func(r *BackupRecord) { r.SizeGB = 0 }, func(r *BackupRecord) { r.Container = "a/b" },
	} {
		bad := record
		bad.ID = cloud.NewID()
		spoil(&bad)
		_, err = b.ImportBackup(ctx, admin, service, bad)
		b.want(err, cloud.Invalid)
	}
	record.ID = cloud.NewID()
	in, err := b.ImportBackup(ctx, admin, service, record)
	b.must(err)
	if in.ID != record.ID || in.StoredID != row.ID || in.ProjectID != admin.ProjectID || in.Name != "old" || in.Status() != cloud.VolumeCreating {
		t.Errorf("%+v", in)
	}
}
