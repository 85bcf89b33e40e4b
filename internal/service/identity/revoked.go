package identity

import (
	"context"
	"slices"
	"time"

	"hearth/internal/store"
)

// RevokeEvent says which tokens do not count any more: one, by its audit id, or all
// those of a user that were issued before.
type RevokeEvent struct {
	AuditID, UserID string
	IssuedBefore    time.Time
	RevokedAt       time.Time
}

// RevokeEvents lists, by age, what revoked tokens that would still be good else, since
// a moment if it is not zero.
func (s *Service) RevokeEvents(ctx context.Context, since time.Time) ([]RevokeEvent, error) {
	return read(ctx, s, func(tx *store.Tx) ([]RevokeEvent, error) {
		now := s.clock.Now()
		var out []RevokeEvent
		tokens, err := tx.Revocations.List(store.Query{})
		if err != nil {
			return nil, err
		}
		for _, r := range tokens {
			if r.ExpiresAt.Add(s.opts.ExpiredGrace).After(now) {
				at := r.RevokedAt
				if at.IsZero() {
					at = r.ExpiresAt.Add(-s.opts.TokenLife) // not later than that
				}
				out = append(out, RevokeEvent{AuditID: r.AuditID, IssuedBefore: at, RevokedAt: at})
			}
		}
		users, err := tx.Users.List(store.Query{})
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			if at := u.TokensValidAfter; at.Add(s.opts.TokenLife + s.opts.ExpiredGrace).After(now) {
				out = append(out, RevokeEvent{UserID: u.ID, IssuedBefore: at, RevokedAt: at})
			}
		}
		out = slices.DeleteFunc(out, func(e RevokeEvent) bool { return e.RevokedAt.Before(since) })
		slices.SortStableFunc(out, func(a, b RevokeEvent) int { return a.RevokedAt.Compare(b.RevokedAt) })
		return out, nil
	})
}
