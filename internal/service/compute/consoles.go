package compute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ConsoleLife is how long a token waits to be used.
const ConsoleLife = 10 * time.Minute

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// AskConsole makes a token that opens a console of a server once. Conflict when
// its guest does not run.
func (s *Service) AskConsole(ctx context.Context, c cloud.Caller, id string, kind cloud.ConsoleKind, typ string) (token string, err error) {
	const op = "compute.AskConsole"
	token = cloud.NewID()
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		v, err := serverTx(tx, op, c, id)
		if err != nil {
			return err
		}
		if v.Node == "" || v.Seen.State != cloud.InstanceRunning && v.Seen.State != cloud.InstancePaused {
			return cloud.E(op, cloud.Conflict, "Instance %s is not ready", id)
		}
		if kind == cloud.ConsoleVNC && v.ImageProperties["hw_video_model"] == "none" {
			return cloud.E(op, cloud.Invalid, "Unavailable console type %s.", typ) // nova's ConsoleTypeUnavailable: it has no screen
		}
		now := s.clock.Now()
		if _, err := tx.ConsoleTokens.DeleteWhere(store.Le("expires_at", now)); err != nil {
			return err
		}
		return tx.ConsoleTokens.Insert(cloud.ConsoleToken{Hash: hashOf(token), ServerID: id, Node: v.Node, Kind: kind, Type: typ, ExpiresAt: now.Add(ConsoleLife)})
	})
	return token, err
}

// ConsoleToken tells what a token is for, while it is good; NotFound.
func (s *Service) ConsoleToken(ctx context.Context, token string) (t cloud.ConsoleToken, err error) {
	const op = "compute.ConsoleToken"
	err = s.store.View(ctx, func(tx *store.Tx) error {
		t, err = tx.ConsoleTokens.Get(hashOf(token))
		if cloud.Is(err, cloud.NotFound) || err == nil && !t.ExpiresAt.After(s.clock.Now()) {
			return cloud.E(op, cloud.NotFound, "Token not found")
		}
		return err
	})
	return t, err
}

// OpenConsole opens what a token is for, and uses it up. Forbidden for one that
// is unknown, too old, or was used.
func (s *Service) OpenConsole(ctx context.Context, token string) (io.ReadWriteCloser, error) {
	const op = "compute.OpenConsole"
	var t cloud.ConsoleToken
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		now := s.clock.Now()
		t, err = tx.ConsoleTokens.Get(hashOf(token))
		if cloud.Is(err, cloud.NotFound) || err == nil && (t.UsedAt != nil || !t.ExpiresAt.After(now)) {
			return cloud.E(op, cloud.Forbidden, "The token is not valid: each opens one console once, within %s. Ask for another.", ConsoleLife)
		}
		if err != nil {
			return err
		}
		t.UsedAt = &now
		return tx.ConsoleTokens.Update(t)
	})
	if err != nil {
		return nil, err
	}
	return s.consoles.OpenConsole(ctx, t.Node, t.ServerID, t.Kind)
}

// Diagnostics measures a server's guest. Conflict when none runs.
func (s *Service) Diagnostics(ctx context.Context, c cloud.Caller, id string) (d Detail, stats cloud.InstanceStats, err error) {
	const op = "compute.Diagnostics"
	if d, err = s.Server(ctx, c, id); err != nil {
		return d, stats, err
	}
	if err := d.Check(op, "get_diagnostics", cloud.VMActive, cloud.VMPaused, cloud.VMRescued, cloud.VMResized); err != nil {
		return d, stats, err
	}
	stats, err = s.consoles.InstanceStats(ctx, d.Node, id)
	if cloud.Is(err, cloud.NotFound) {
		err = cloud.E(op, cloud.Conflict, "Instance %s is not running: it has no diagnostics", id)
	}
	return d, stats, err
}
