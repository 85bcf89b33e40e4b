package reconcile

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// finishActions writes into a server's history that what was asked for last has
// been carried out, or has failed.
func (k *Housekeeper) finishActions(tx *store.Tx, server cloud.Server) error {
	why := ""
	if server.Fault != nil {
		why = server.Fault.Message
	}
	return k.endActions(tx, server, why)
}

// endActions writes that what was asked for last is over, and why it failed, if it
// did; "" for not. The server itself may be none the worse for a failure.
func (k *Housekeeper) endActions(tx *store.Tx, server cloud.Server, why string) error {
	const few = 4 // actions follow one another: only the last ones can be open
	last, err := tx.Actions.List(store.Query{
		Where: []store.Cond{store.Eq("server_id", server.ID)}, Order: []store.Order{{Column: "started_at", Desc: true}}, Limit: few,
	})
	if err != nil {
		return err
	}
	now := k.Clock.Now()
	for _, a := range last {
		if a.FinishedAt != nil {
			return nil
		}
		a.FinishedAt, a.UpdatedAt, a.Node = &now, now, server.Node
		if why != "" {
			a.Error, a.Message = why, "Error"
		}
		if err := tx.Actions.Update(a); err != nil {
			return err
		}
	}
	return nil
}
