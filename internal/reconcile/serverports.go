package reconcile

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// portsSeen takes NICs back that a guest could not be given: as nova does, the port
// is its owner's again, or goes if it was made for this, and the server's history
// says why. A NIC of the guest's start is none of these: without it there is no
// guest.
func (k *Housekeeper) portsSeen(tx *store.Tx, server *cloud.Server) error {
	if len(server.Seen.Refused) == 0 || server.LaunchedAt == nil || server.Seen.Generation < server.Intent.Generation {
		return nil
	}
	ports, err := tx.Ports.List(store.Where(store.Eq("device_id", server.ID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		why := server.Seen.Refused[p.ID]
		if why == "" || slices.Contains(server.Seen.Ports, p.ID) {
			continue
		}
		if err := k.notPlugged(tx, server, p, "attach interface: port "+p.ID+": "+why); err != nil {
			return err
		}
	}
	return nil
}

func (k *Housekeeper) notPlugged(tx *store.Tx, server *cloud.Server, p cloud.Port, why string) error {
	release := k.Ports.DeletePortTx
	if p.Preserve {
		release = k.Ports.UnbindPortTx
	}
	if err := release(tx, p); err != nil {
		return err
	}
	server.PortOrder = slices.DeleteFunc(slices.Clone(server.PortOrder), func(id string) bool { return id == p.ID })
	tags := map[string]string{}
	for id, tag := range server.NICTags {
		if id != p.ID {
			tags[id] = tag
		}
	}
	server.NICTags = tags
	k.Log.Warn("a NIC that a guest could not be given is taken back", "server", server.ID, "port", p.ID, "why", why)
	if err := k.endActions(tx, *server, why); err != nil {
		return err
	}
	k.respecify(server)
	return nil
}
