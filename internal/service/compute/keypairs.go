package compute

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// KeypairRequest is a keypair to import (with PublicKey) or to generate.
type KeypairRequest struct {
	Name, Type, PublicKey string
	UserID                string // "" for the caller's own; another's is an admin's to give
}

// keyOwner is whose keypairs are meant: the caller's own, or for an admin those
// of the user named.
func keyOwner(op string, c cloud.Caller, userID string) (string, error) {
	if userID == "" || userID == c.UserID {
		return c.UserID, nil
	}
	if !c.IsAdmin() {
		return "", cloud.E(op, cloud.Forbidden, "Policy doesn't allow keypairs of another user to be managed.")
	}
	return userID, nil
}

// CreateKeypair imports or generates a keypair. The private key is returned
// only for a generated one, and kept nowhere.
func (s *Service) CreateKeypair(ctx context.Context, c cloud.Caller, r KeypairRequest) (cloud.Keypair, string, error) {
	const op = "compute.CreateKeypair"
	owner, err := keyOwner(op, c, r.UserID)
	if err != nil {
		return cloud.Keypair{}, "", err
	}
	k := cloud.Keypair{UserID: owner, Name: strings.TrimSpace(r.Name), Type: r.Type, PublicKey: r.PublicKey}
	if k.Type == "" {
		k.Type = "ssh"
	}
	private := ""
	if k.PublicKey == "" {
		k.PublicKey, private, err = generateKey(op, k.Type, owner, s.clock.Now())
	}
	if err == nil {
		k.Fingerprint, err = fingerprint(op, k.Type, k.PublicKey)
	}
	if err != nil {
		return cloud.Keypair{}, "", err
	}
	k.CreatedAt = s.clock.Now()
	return k, private, s.store.Update(ctx, func(tx *store.Tx) error { return insertKeypair(tx, op, c, k) })
}

// insertKeypair adds a keypair within the quota.
func insertKeypair(tx *store.Tx, op string, c cloud.Caller, k cloud.Keypair) error {
	limits, err := quotas.LimitsTx(tx, c.ProjectID, k.UserID)
	if err != nil {
		return err
	}
	n, err := tx.Keypairs.Count(store.Eq("user_id", k.UserID))
	if err != nil {
		return err
	}
	if _, err := tx.Keypairs.Get(k.Key()); !cloud.Is(err, cloud.NotFound) {
		return orConflict(err, op, "Key pair '%s' already exists.", k.Name)
	}
	if max := limits["key_pairs"]; max >= 0 && n >= max {
		return cloud.E(op, cloud.QuotaExceeded, "Quota exceeded, too many key pairs.")
	}
	return tx.Keypairs.Insert(k)
}

// noKeypair is nova's way to say that a keypair is not there.
func noKeypair(op, owner, name string) error {
	return cloud.E(op, cloud.NotFound, "Keypair %s not found for user %s", name, owner)
}

// Keypair gives a keypair by name.
func (s *Service) Keypair(ctx context.Context, c cloud.Caller, userID, name string) (k cloud.Keypair, err error) {
	const op = "compute.Keypair"
	owner, err := keyOwner(op, c, userID)
	if err != nil {
		return k, err
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		k, err = tx.Keypairs.Get(cloud.Keypair{UserID: owner, Name: name}.Key())
		return err
	})
	if cloud.Is(err, cloud.NotFound) {
		err = noKeypair(op, owner, name)
	}
	return k, err
}

// Keypairs lists a user's keypairs by name, after the marker (a name), limit of
// them (0: all).
func (s *Service) Keypairs(ctx context.Context, c cloud.Caller, userID, marker string, limit int) (list []cloud.Keypair, err error) {
	const op = "compute.Keypairs"
	owner, err := keyOwner(op, c, userID)
	if err != nil {
		return nil, err
	}
	q := store.Query{Where: []store.Cond{store.Eq("user_id", owner)}, Order: []store.Order{{Column: "name"}}, Limit: limit}
	if marker != "" {
		q.After = cloud.Keypair{UserID: owner, Name: marker}.Key()
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.Keypairs.List(q)
		return err
	})
	if marker != "" && cloud.Is(err, cloud.NotFound) {
		err = cloud.E(op, cloud.Invalid, "marker [%s] not found", marker)
	}
	return list, err
}

// DeleteKeypair removes a keypair. Servers keep the key they were made with.
func (s *Service) DeleteKeypair(ctx context.Context, c cloud.Caller, userID, name string) error {
	const op = "compute.DeleteKeypair"
	owner, err := keyOwner(op, c, userID)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		err := tx.Keypairs.Delete(cloud.Keypair{UserID: owner, Name: name}.Key())
		if cloud.Is(err, cloud.NotFound) {
			return noKeypair(op, owner, name)
		}
		return err
	})
}
