package reconcile

import (
	"slices"
	"strings"

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

// untaken is what is to be said of an attachment that went well, but whose volume or
// NIC the guest does not use; "" for nothing.
func untaken(tx *store.Tx, server cloud.Server, action string) (string, error) {
	if len(server.Seen.Untaken) == 0 || action != "attach_volume" && action != "attach_interface" {
		return "", nil
	}
	list, err := plugged(tx, server.ID)
	if err != nil {
		return "", err
	}
	var words []string
	for _, a := range list {
		if why := server.Seen.Untaken[a.VolumeID]; why != "" && action == "attach_volume" {
			words = append(words, strings.TrimPrefix(a.Device, "/dev/")+": "+why)
		}
	}
	for _, id := range server.Seen.Ports {
		if why := server.Seen.Untaken[id]; why != "" && action == "attach_interface" {
			words = append(words, "port "+id+": "+why)
		}
	}
	return strings.Join(words, "; "), nil
}

// endActions writes that what was asked for last is over, and why it failed, if it
// did; "" for not. The server itself may be none the worse for a failure.
func (k *Housekeeper) endActions(tx *store.Tx, server cloud.Server, why string) error {
	return k.endEach(tx, server, func(cloud.ActionRecord) string { return why })
}

// endHistory writes that a server's delete has been carried out, and that what else was
// asked for came to nothing by it.
func (k *Housekeeper) endHistory(tx *store.Tx, server cloud.Server) error {
	return k.endEach(tx, server, func(a cloud.ActionRecord) string {
		if a.Action == "delete" {
			return ""
		}
		return "the server was deleted meanwhile"
	})
}

func (k *Housekeeper) endEach(tx *store.Tx, server cloud.Server, why func(a cloud.ActionRecord) string) error {
	open, err := openActions(tx, server.ID)
	if err != nil {
		return err
	}
	for _, a := range open {
		if err := k.endAction(tx, server, a, why(a)); err != nil {
			return err
		}
	}
	return nil
}

// openActions are what was asked for last and is not over, newest first.
func openActions(tx *store.Tx, id string) ([]cloud.ActionRecord, error) {
	const few = 4 // actions follow one another: only the last ones can be open
	last, err := tx.Actions.List(store.Query{
		Where: []store.Cond{store.Eq("server_id", id)}, Order: []store.Order{{Column: "started_at", Desc: true}}, Limit: few,
	})
	if i := slices.IndexFunc(last, func(a cloud.ActionRecord) bool { return a.FinishedAt != nil }); i >= 0 {
		last = last[:i]
	}
	return last, err
}

func (k *Housekeeper) endAction(tx *store.Tx, server cloud.Server, a cloud.ActionRecord, why string) (err error) {
	now := k.Clock.Now()
	a.FinishedAt, a.UpdatedAt, a.Node = &now, now, server.Node
	if a.Message, err = untaken(tx, server, a.Action); err != nil {
		return err
	}
	if why != "" {
		a.Error, a.Message = why, "Error"
	}
	if err := tx.Actions.Update(a); err != nil {
		return err
	}
	k.Log.Info("what was asked of a server is over", "server", server.ID, "node", a.Node, "action", a.Action, "state", server.Seen.State, "request", a.RequestID, "error", a.Error)
	return nil
}
