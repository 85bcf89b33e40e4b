package reconcile

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// meters adds the labels that a router counts under: its project's and the shared
// ones.
func (c *composer) meters(spec *cloud.RouterSpec, projectID string) error {
	labels, err := c.tx.MeteringLabels.List(store.Query{})
	if err != nil {
		return err
	}
	for _, l := range labels {
		if l.ProjectID != projectID && !l.Shared {
			continue
		}
		rules, err := c.tx.MeteringRules.List(store.Where(store.Eq("label_id", l.ID)))
		if err != nil {
			return err
		}
		spec.Meters = append(spec.Meters, cloud.MeterSpec{ID: l.ID, Name: l.Name, Rules: rules})
	}
	return nil
}
