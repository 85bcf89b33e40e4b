package volume

import (
	"bytes"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
	"hearth/internal/vault"
)

// encrypted makes a type whose volumes are encrypted.
func (b *bench) encrypted(name string, e cloud.VolumeEncryption) {
	b.t.Helper()
	t := cloud.VolumeType{ID: cloud.NewID(), Name: name, Public: true}
	b.must(b.store.Update(b.t.Context(), func(tx *store.Tx) error { return tx.VolumeTypes.Insert(t) }))
	_, err := b.Encrypt(b.t.Context(), admin, t.ID, "create", func(*cloud.VolumeEncryption) (*cloud.VolumeEncryption, error) { return &e, nil })
	b.must(err)
}

// TestEncryptedVolumes: each has a key of its own, which the store has sealed, and what
// is copied from it has the same; what would be in the clear without saying so, or be
// unreadable, is refused.
func TestEncryptedVolumes(t *testing.T) {
	b := newBench(t)
	keys := vault.New()
	b.keys = keys
	ctx, p := t.Context(), member("p")
	b.encrypted("secret", cloud.VolumeEncryption{Provider: "luks", Cipher: cipherXTS, KeySize: 512, ControlLocation: "front-end"})
	b.encrypted("smaller", cloud.VolumeEncryption{Provider: "nova.volume.encryptors.luks.LuksEncryptor", ControlLocation: "front-end"})
	d, other := b.ready(Wanted{SizeGB: 1, Type: "secret"}), b.ready(Wanted{SizeGB: 1, Type: "smaller"})
	if d.Key == nil || d.Key.Bits != 512 || other.Key.Bits != 256 || bytes.Equal(d.Key.Sealed, other.Key.Sealed) {
		t.Fatalf("%+v %+v", d.Key, other.Key)
	}
	one, err := keys.Open(d.Key.Sealed, d.Key.ID)
	b.must(err)
	if two, err := keys.Open(other.Key.Sealed, other.Key.ID); err != nil || two == one || len(one) != 64 {
		t.Errorf("the keys are no keys of their own: %v", err)
	}
	snap, err := b.CreateSnapshot(ctx, p, NewSnapshot{VolumeID: d.ID})
	b.must(err)
	b.must(b.store.Update(ctx, func(tx *store.Tx) error {
		snap.Seen.Ready = true
		return tx.Snapshots.Update(snap)
	}))
	for name, w := range map[string]Wanted{"clone": {SourceID: d.ID}, "of a snapshot": {SnapshotID: snap.ID, Type: "secret"}} {
		if made, err := b.Create(ctx, p, w); err != nil || made.Key == nil || made.Key.ID != d.Key.ID || made.TypeName != "secret" {
			t.Errorf("%s: %+v, %v", name, made.Key, err)
		}
	}
	plain := b.ready(Wanted{SizeGB: 1})
	for name, w := range map[string]Wanted{
		"a clone in the clear": {SourceID: d.ID, Type: DefaultType}, "encrypted by a clone": {SourceID: plain.ID, Type: "secret"},
		"another key's length": {SourceID: d.ID, Type: "smaller"}, "an image of its size": {SizeGB: 2, ImageID: "image", Type: "secret"},
	} {
		if _, err := b.Create(ctx, p, w); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if made, err := b.Create(ctx, p, Wanted{SizeGB: 3, ImageID: "image", Type: "secret"}); err != nil || made.Key == nil {
		t.Errorf("of an image: %v", err)
	}
	b.want(b.Retype(ctx, admin, plain.ID, "secret", true), cloud.Invalid)
	b.want(b.Retype(ctx, admin, d.ID, DefaultType, true), cloud.Invalid)
	b.want(b.Unmanage(ctx, admin, other.ID), cloud.Invalid)
	_, _, err = b.Upload(ctx, p, d.ID, NewImage{Name: "x", DiskFormat: "raw", ContainerFormat: "bare"})
	b.want(err, cloud.Invalid)
}

// TestEncryptionThatIsNotDone: a volume never passes for encrypted that is not.
func TestEncryptionThatIsNotDone(t *testing.T) {
	b := newBench(t)
	b.encrypted("no-keys", cloud.VolumeEncryption{Provider: "luks", ControlLocation: "front-end"})
	_, err := b.Create(t.Context(), member("p"), Wanted{SizeGB: 1, Type: "no-keys"})
	b.want(err, cloud.Invalid)
	b.keys = vault.New()
	for name, e := range map[string]cloud.VolumeEncryption{
		"luks2": {Provider: "luks2", ControlLocation: "front-end"}, "plain": {Provider: "plain", ControlLocation: "front-end"},
		"back": {Provider: "luks", ControlLocation: "back-end"}, "cbc": {Provider: "luks", Cipher: "aes-cbc-essiv", ControlLocation: "front-end"},
		"bits": {Provider: "luks", KeySize: 128, ControlLocation: "front-end"},
	} {
		b.encrypted(name, e)
		_, err := b.Create(t.Context(), member("p"), Wanted{SizeGB: 1, Type: name})
		b.want(err, cloud.Invalid)
	}
}

// TestEncryptedBackups: what is restored from one has its key, whatever became of the
// volume, and no other volume takes it.
func TestEncryptedBackups(t *testing.T) {
	b := newBench(t)
	b.keys, b.backups = vault.New(), someStore{}
	ctx, p := t.Context(), member("p")
	b.encrypted("secret", cloud.VolumeEncryption{Provider: "luks", ControlLocation: "front-end"})
	d, other, plain := b.ready(Wanted{SizeGB: 1, Type: "secret"}), b.ready(Wanted{SizeGB: 1, Type: "secret"}), b.ready(Wanted{SizeGB: 1})
	made, err := b.CreateBackup(ctx, p, NewBackup{VolumeID: d.ID})
	b.must(err)
	done := func() {
		b.must(b.store.Update(ctx, func(tx *store.Tx) error {
			now, err := tx.Backups.Get(made.ID)
			now.Ready, now.RestoringID = true, ""
			return firstError(err, tx.Backups.Update(now))
		}))
	}
	done()
	_, err = b.Restore(ctx, p, made.ID, plain.ID, "")
	b.want(err, cloud.Invalid)
	_, _, err = b.ExportBackup(ctx, admin, made.ID)
	b.want(err, cloud.Invalid)
	for _, onto := range []string{"", other.ID} {
		restored, err := b.Restore(ctx, p, made.ID, onto, "")
		b.must(err)
		if restored.Key == nil || restored.Key.ID != d.Key.ID || restored.TypeName != "secret" {
			t.Errorf("restored to %q: %+v %s", onto, restored.Key, restored.TypeName)
		}
		done()
	}
}

type someStore struct{}

func (someStore) Service() string { return "folder" }
func (someStore) Where() string   { return "here" }
