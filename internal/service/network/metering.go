package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// LabelCreate asks for a metering label.
type LabelCreate struct {
	ProjectID, Name, Description string
	Shared                       bool
}

// MeterRuleCreate asks for a rule of a metering label. The zero prefix is any
// address.
type MeterRuleCreate struct {
	LabelID, Direction          string
	Excluded                    bool
	Remote, Source, Destination netip.Prefix
}

func noLabel(id string) error {
	return refuse(cloud.NotFound, "MeteringLabelNotFound", "Metering label '%s' does not exist.", id)
}

func noMeterRule(id string) error {
	return refuse(cloud.NotFound, "MeteringLabelRuleNotFound", "Metering label rule '%s' does not exist.", id)
}

// seeLabel gives a metering label of the caller's project.
func seeLabel(tx *store.Tx, c cloud.Caller, id string) (cloud.MeteringLabel, error) {
	v, err := tx.MeteringLabels.Get(id)
	if err == nil && !c.Owns(v.ProjectID) {
		err = noLabel(id)
	}
	return got(v, err, noLabel(id))
}

// CreateLabels makes metering labels, all or none.
func (s *Service) CreateLabels(ctx context.Context, c cloud.Caller, reqs ...LabelCreate) ([]cloud.MeteringLabel, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r LabelCreate) (cloud.MeteringLabel, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return cloud.MeteringLabel{}, err
		}
		v := cloud.MeteringLabel{ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description, Shared: r.Shared, CreatedAt: s.clock.Now()}
		return v, tx.MeteringLabels.Insert(v)
	})
}

// GetLabel gives a metering label that the caller may see.
func (s *Service) GetLabel(ctx context.Context, c cloud.Caller, id string) (cloud.MeteringLabel, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.MeteringLabel, error) { return seeLabel(tx, c, id) })
}

// ListLabels lists the metering labels that the caller may see.
func (s *Service) ListLabels(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.MeteringLabel, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.MeteringLabel, error) {
		return tx.MeteringLabels.List(byAge(mine(in(nil, "id", f.IDs), c)))
	})
}

// DeleteLabel removes a metering label with its rules; what was counted goes too.
func (s *Service) DeleteLabel(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := seeLabel(tx, c, id); err != nil {
			return err
		}
		if _, err := tx.MeteringRules.DeleteWhere(store.Eq("label_id", id)); err != nil {
			return err
		}
		return tx.MeteringLabels.Delete(id)
	})
}

// CreateMeterRules makes rules of metering labels, all or none.
func (s *Service) CreateMeterRules(ctx context.Context, c cloud.Caller, reqs ...MeterRuleCreate) ([]cloud.MeteringRule, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r MeterRuleCreate) (cloud.MeteringRule, error) {
		v := cloud.MeteringRule{
			ID: cloud.NewID(), LabelID: r.LabelID, Direction: r.Direction, Excluded: r.Excluded, Remote: r.Remote,
			Source: r.Source, Destination: r.Destination, CreatedAt: s.clock.Now(),
		}
		if _, err := seeLabel(tx, c, r.LabelID); err != nil {
			return v, err
		}
		if err := checkMeterRule(tx, v); err != nil {
			return v, err
		}
		return v, tx.MeteringRules.Insert(v)
	})
}

// checkMeterRule refuses a rule that says nothing, or that counts again what another
// one does.
func checkMeterRule(tx *store.Tx, v cloud.MeteringRule) error {
	pair := v.Source.IsValid() || v.Destination.IsValid()
	switch {
	case v.Remote.IsValid() && pair:
		return refuse(cloud.Invalid, "Invalid", "Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.")
	case !v.Remote.IsValid() && !pair:
		return refuse(cloud.Invalid, "Invalid", "You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' or 'destination_ip_prefix'.")
	case v.Source.IsValid() && v.Destination.IsValid() && v.Source.Addr().Is4() != v.Destination.Addr().Is4():
		return invalid("source_ip_prefix %s and destination_ip_prefix %s are of two IP versions", v.Source, v.Destination)
	}
	others, err := tx.MeteringRules.List(store.Where(store.Eq("label_id", v.LabelID)))
	if err != nil {
		return err
	}
	for _, o := range others {
		same := o.Direction == v.Direction && o.Excluded == v.Excluded
		if same && o.Remote.IsValid() && v.Remote.IsValid() && o.Remote.Overlaps(v.Remote) {
			return conflict("MeteringLabelRuleOverlaps", "Metering label rule with remote_ip_prefix '%s' overlaps another.", v.Remote)
		}
	}
	return nil
}

func seeMeterRule(tx *store.Tx, c cloud.Caller, id string) (cloud.MeteringRule, error) {
	v, err := tx.MeteringRules.Get(id)
	if err == nil {
		_, err = seeLabel(tx, c, v.LabelID)
	}
	return got(v, err, noMeterRule(id))
}

// GetMeterRule gives a rule of a metering label that the caller may see.
func (s *Service) GetMeterRule(ctx context.Context, c cloud.Caller, id string) (cloud.MeteringRule, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.MeteringRule, error) { return seeMeterRule(tx, c, id) })
}

// ListMeterRules lists the rules of the metering labels that the caller may see.
func (s *Service) ListMeterRules(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.MeteringRule, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.MeteringRule, error) {
		labels, err := tx.MeteringLabels.List(byAge(mine(nil, c)))
		if err != nil {
			return nil, err
		}
		own := indexed(labels, func(l cloud.MeteringLabel) string { return l.ID })
		rows, err := tx.MeteringRules.List(byAge(in(nil, "id", f.IDs)))
		return keep(rows, err, func(r cloud.MeteringRule) bool { _, ok := own[r.LabelID]; return ok })
	})
}

// DeleteMeterRule removes a rule of a metering label.
func (s *Service) DeleteMeterRule(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := seeMeterRule(tx, c, id); err != nil {
			return err
		}
		return tx.MeteringRules.Delete(id)
	})
}
