package placement

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// TypeInstance is the type of consumers that are servers; TypeUnknown that of those
// nobody gave one.
const (
	TypeInstance = "INSTANCE"
	TypeUnknown  = "unknown"
)

// consumerClaim is a claim with whose it is.
type consumerClaim struct {
	Consumer string
	cloud.Claim
}

// claims are all there are: counted from the servers, and written by clients.
func (w world) claims() (out []consumerClaim) {
	for _, c := range w.all() {
		for _, claim := range c.Claims {
			out = append(out, consumerClaim{c.ID, claim})
		}
	}
	return out
}

// all are the consumers: every placed server, and those that clients wrote.
func (w world) all() (out []cloud.Consumer) {
	ids := map[string]string{}
	for _, p := range w.fleet.Providers {
		if p.Host != "" {
			ids[p.Host] = p.ID
		}
	}
	written := map[string]cloud.Consumer{}
	for _, c := range w.consumers {
		written[c.ID] = c
	}
	for _, s := range w.servers {
		said := written[s.ID]
		delete(written, s.ID)
		out = append(out, cloud.Consumer{
			ID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Type: TypeInstance, Generation: s.Intent.Generation + said.Generation,
			Claims: append(schedule.ClaimsOf(s, ids[s.Node]), said.Claims...), CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		})
	}
	for _, c := range w.consumers {
		if _, ok := written[c.ID]; ok {
			if c.Type == "" {
				c.Type = TypeUnknown
			}
			out = append(out, c)
		}
	}
	return out
}

// consumer finds a consumer; ok is false where nobody claims under the id.
func (w world) consumer(id string) (cloud.Consumer, bool) {
	all := w.all()
	i := slices.IndexFunc(all, func(c cloud.Consumer) bool { return c.ID == id })
	if i < 0 {
		return cloud.Consumer{}, false
	}
	return all[i], true
}

// Consumer gives what a consumer claims, and the generations of the providers; an
// empty one where there is none.
func (s *Service) Consumer(ctx context.Context, id string) (c cloud.Consumer, generations map[string]int64, err error) {
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		c, _ = w.consumer(id)
		generations = map[string]int64{}
		for _, claim := range c.Claims {
			p, _ := w.provider(claim.ProviderID)
			generations[claim.ProviderID] = p.Generation
		}
		return nil
	})
	return c, generations, err
}

// ConsumersOf lists who claims from a provider, each with those claims alone;
// NotFound.
func (s *Service) ConsumersOf(ctx context.Context, id string) (p schedule.Provider, list []cloud.Consumer, err error) {
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		var ok bool
		if p, ok = w.provider(id); !ok {
			return cloud.E("placement.ConsumersOf", cloud.NotFound, "Resource provider '%s' not found: No resource provider with uuid %s found", id, id)
		}
		for _, c := range w.all() {
			c.Claims = slices.DeleteFunc(c.Claims, func(claim cloud.Claim) bool { return claim.ProviderID != id })
			if len(c.Claims) > 0 {
				list = append(list, c)
			}
		}
		return nil
	})
	return p, list, err
}

// Consumers lists the consumers of a project, or of a user in it. Forbidden.
func (s *Service) Consumers(ctx context.Context, c cloud.Caller, project, user string) (list []cloud.Consumer, err error) {
	if !c.Owns(project) {
		return nil, cloud.E("placement.Consumers", cloud.Forbidden, "placement:usages: Policy does not allow this request to be performed.")
	}
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		list = slices.DeleteFunc(w.all(), func(c cloud.Consumer) bool { return c.ProjectID != project || user != "" && c.UserID != user })
		return nil
	})
	return list, err
}

// Change is what a client writes of a consumer: all of its claims, none to end it.
type Change struct {
	cloud.Consumer
	Checked bool   // from microversion 1.28 on: Known is to be the consumer's generation
	Known   *int64 // nil for one that is not there yet
}

// SetClaims writes what consumers claim, of all or of none. Conflict when there is
// no room, or the world has moved on; Invalid.
func (s *Service) SetClaims(ctx context.Context, changes ...Change) error {
	return s.update(ctx, func(tx *store.Tx, w world) error { return s.setClaims(tx, w, "placement.SetClaims", changes) })
}

func (s *Service) setClaims(tx *store.Tx, w world, op string, changes []Change) error {
	var touched []string
	for _, ch := range changes {
		now, there := w.consumer(ch.ID)
		if err := ch.check(op, now, there); err != nil {
			return err
		}
		for _, claim := range slices.Concat(now.Claims, ch.Claims) {
			if !slices.Contains(touched, claim.ProviderID) {
				touched = append(touched, claim.ProviderID)
			}
		}
		if err := s.write(tx, w, op, ch); err != nil {
			return err
		}
	}
	after, err := s.worldTx(tx)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if err := after.fits(op, w, ch); err != nil {
			return err
		}
	}
	for _, id := range touched {
		err := s.changeTx(tx, after, op, id, nil, func(world, schedule.Provider, *cloud.ResourceProvider) error { return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// check holds the generation that the client knows against the consumer's.
func (ch Change) check(op string, now cloud.Consumer, there bool) error {
	conflict := func(format string, args ...any) error {
		return cloud.E(op, cloud.Conflict, "%w", &Problem{Code: CodeConcurrent, Text: cloud.Message(cloud.E(op, cloud.Conflict, format, args...))})
	}
	switch {
	case !ch.Checked:
	case there && (ch.Known == nil || *ch.Known != now.Generation):
		got := "None"
		if ch.Known != nil {
			return conflict("consumer generation conflict - expected %d but got %d", now.Generation, *ch.Known)
		}
		return conflict("consumer generation conflict - expected %d but got %s", now.Generation, got)
	case !there && ch.Known != nil:
		return conflict("consumer generation conflict - expected null but got %d", *ch.Known)
	}
	return nil
}

// write puts the row of a consumer. What a server takes is not written: it is
// counted, and can be neither more nor less.
func (s *Service) write(tx *store.Tx, w world, op string, ch Change) error {
	claims := ch.Claims
	for _, v := range w.servers {
		if v.ID != ch.ID {
			continue
		}
		h, _ := w.fleet.HostOf(v.Node)
		for _, own := range schedule.ClaimsOf(v, h.ID) {
			i := slices.Index(claims, own)
			if i < 0 {
				return cloud.E(op, cloud.Conflict, "Unable to allocate inventory: the consumer %s is a server, and %d %s of resource provider %s is what it takes: resize or delete it instead", ch.ID, own.Amount, own.Class, own.ProviderID)
			}
			claims = slices.Delete(slices.Clone(claims), i, i+1)
		}
	}
	row, err := tx.Consumers.Get(ch.ID)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if len(claims) == 0 {
		if err == nil {
			return tx.Consumers.Delete(ch.ID)
		}
		return nil
	}
	if err != nil {
		row = cloud.Consumer{ID: ch.ID, CreatedAt: s.clock.Now()}
	}
	row.ProjectID, row.UserID, row.Claims, row.UpdatedAt = ch.ProjectID, ch.UserID, claims, s.clock.Now()
	if ch.Type != "" {
		row.Type = ch.Type
	}
	row.Generation++
	return tx.Consumers.Put(row)
}

// fits refuses claims that there is no room for. What a consumer had before and
// has no more of is never refused.
func (w world) fits(op string, before world, ch Change) error {
	was, _ := before.consumer(ch.ID)
	for _, claim := range ch.Claims {
		if slices.Contains(was.Claims, claim) {
			continue
		}
		p, ok := w.provider(claim.ProviderID)
		inv, has := p.Inventories[claim.Class]
		switch {
		case !ok:
			return cloud.E(op, cloud.Invalid, "Allocation for resource provider '%s' that does not exist.", claim.ProviderID)
		case !slices.Contains(w.names.classes, claim.Class):
			return cloud.E(op, cloud.Invalid, "Unable to allocate inventory for consumer %s: No such resource class %s.", ch.ID, claim.Class)
		case !has:
			return cloud.E(op, cloud.Conflict, "Unable to allocate inventory: Inventory for '%s' on resource provider '%s' invalid.", claim.Class, claim.ProviderID)
		case claim.Amount < inv.MinUnit || claim.Amount > inv.MaxUnit || inv.StepSize > 0 && claim.Amount%inv.StepSize != 0:
			return cloud.E(op, cloud.Conflict, "Unable to allocate inventory: Unable to create allocation for '%s' on resource provider '%s'. The requested amount would violate inventory constraints.", claim.Class, claim.ProviderID)
		case p.Room(claim.Class) < 0:
			return cloud.E(op, cloud.Conflict, "Unable to allocate inventory: Unable to create allocation for '%s' on resource provider '%s'. The requested amount would exceed the capacity.", claim.Class, claim.ProviderID)
		}
	}
	return nil
}

// DeleteConsumer ends a consumer; NotFound, Conflict for a server.
func (s *Service) DeleteConsumer(ctx context.Context, id string) error {
	const op = "placement.DeleteConsumer"
	return s.update(ctx, func(tx *store.Tx, w world) error {
		if _, there := w.consumer(id); !there {
			return cloud.E(op, cloud.NotFound, "No allocations for consumer '%s'", id)
		}
		return s.write(tx, w, op, Change{Consumer: cloud.Consumer{ID: id}})
	})
}

// Reshape changes inventories of providers and claims of consumers at once, all or
// nothing: claims move with what they are of.
func (s *Service) Reshape(ctx context.Context, inventories map[string]Reshaped, changes []Change) error {
	const op = "placement.Reshape"
	return s.update(ctx, func(tx *store.Tx, w world) error {
		for id, r := range inventories {
			if _, ok := w.provider(id); !ok {
				return problem(op, cloud.Invalid, CodeNoProvider, "Resource provider "+id+" in inventories not found: No resource provider with uuid "+id+" found")
			}
			widen := func(w world, p schedule.Provider, row *cloud.ResourceProvider) error {
				p.Used = nil // what is claimed is looked at when the claims have moved
				return w.setInventories(op, p, row, r.Inventories, true)
			}
			if err := s.changeTx(tx, w, op, id, &r.Generation, widen); err != nil {
				return err
			}
		}
		wide, err := s.worldTx(tx)
		if err != nil {
			return err
		}
		if err := s.setClaims(tx, wide, op, changes); err != nil {
			return err
		}
		after, err := s.worldTx(tx)
		if err != nil {
			return err
		}
		for _, ch := range changes { // also what they had before: it may be in the way of what the providers have now
			if err := after.fits(op, world{}, ch); err != nil {
				return err
			}
		}
		for id := range inventories { // what a provider has was changed before and after its claims, as placement counts
			err := s.changeTx(tx, after, op, id, nil, func(world, schedule.Provider, *cloud.ResourceProvider) error { return nil })
			if err != nil {
				return err
			}
		}
		for _, claim := range after.claims() {
			p, _ := after.provider(claim.ProviderID)
			if _, has := p.Inventories[claim.Class]; !has {
				return problem(op, cloud.Conflict, CodeInventoryUse, "update conflict: Inventory for '"+claim.Class+"' on resource provider '"+claim.ProviderID+"' in use.")
			}
		}
		return nil
	})
}

// Reshaped is what a provider is to have, by the generation that the client knows.
type Reshaped struct {
	Generation  int64
	Inventories map[string]cloud.Inventory
}
