package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func policyRows(tx *store.Tx) *store.Table[cloud.PolicyBlob] { return tx.PolicyBlobs }

// Policy gives a policy document; NotFound.
func (s *Service) Policy(ctx context.Context, id string) (cloud.PolicyBlob, error) {
	return fetch(ctx, s, policyRows, id)
}

// Policies lists policy documents, of a type if it is not "".
func (s *Service) Policies(ctx context.Context, typ string) ([]cloud.PolicyBlob, error) {
	return list(ctx, s, policyRows, store.Eq("type", typ))
}

// CreatePolicy keeps a policy document.
func (s *Service) CreatePolicy(ctx context.Context, p cloud.PolicyBlob) (cloud.PolicyBlob, error) {
	p.ID = cloud.NewHexID()
	return p, s.update(ctx, func(tx *store.Tx) error { return tx.PolicyBlobs.Insert(p) })
}

// PolicyPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type PolicyPatch struct {
	Type, Blob *string
	Extra      map[string]any
}

// UpdatePolicy changes a policy document; NotFound.
func (s *Service) UpdatePolicy(ctx context.Context, id string, patch PolicyPatch) (cloud.PolicyBlob, error) {
	return amend(ctx, s, policyRows, id, func(_ *store.Tx, p *cloud.PolicyBlob) error {
		set(&p.Type, patch.Type)
		set(&p.Blob, patch.Blob)
		p.Extra = merge(p.Extra, patch.Extra)
		return nil
	})
}

// DeletePolicy removes a policy document; NotFound.
func (s *Service) DeletePolicy(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if _, err := tx.PolicyLinks.DeleteWhere(store.Eq("policy_id", id)); err != nil {
			return err
		}
		return tx.PolicyBlobs.Delete(id)
	})
}
