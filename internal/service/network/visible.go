package network

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// seeNetwork gives a network that the caller may see: its own, a shared or an
// external one, as the caller sees it (see grants.personal).
func seeNetwork(tx *store.Tx, c cloud.Caller, id string) (cloud.Network, error) {
	n, err := tx.Networks.Get(id)
	if err == nil && !c.Owns(n.ProjectID) && (!n.Shared || !n.External) {
		var g grants
		g, err = granted(tx, c, objectNetwork)
		n = g.personal(c, n)
	}
	if err == nil && !c.Owns(n.ProjectID) && !n.Shared && !n.External {
		err = noNetwork(id)
	}
	return got(n, err, noNetwork(id))
}

// ownNetwork gives a network that the caller may change.
func ownNetwork(tx *store.Tx, c cloud.Caller, id, rule string) (cloud.Network, error) {
	n, err := seeNetwork(tx, c, id)
	if err == nil && !c.Owns(n.ProjectID) {
		err = forbidden("rule:" + rule)
	}
	return n, err
}

// seeSubnet gives a subnet that the caller may see: its own, or one of its own
// or of a shared network.
func seeSubnet(tx *store.Tx, c cloud.Caller, id string) (cloud.Subnet, error) {
	sub, err := tx.Subnets.Get(id)
	if err != nil {
		return got(sub, err, noSubnet(id))
	}
	if c.Owns(sub.ProjectID) {
		return sub, nil
	}
	n, err := seeNetwork(tx, c, sub.NetworkID)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(n.ProjectID) && !n.Shared {
		err = noSubnet(id)
	}
	return got(sub, err, noSubnet(id))
}

func ownSubnet(tx *store.Tx, c cloud.Caller, id, rule string) (cloud.Subnet, error) {
	sub, err := seeSubnet(tx, c, id)
	if err == nil && !c.Owns(sub.ProjectID) {
		n, nerr := tx.Networks.Get(sub.NetworkID)
		if nerr != nil || !c.Owns(n.ProjectID) {
			err = forbidden("rule:" + rule)
		}
	}
	return sub, err
}

// seePort gives a port that the caller may see: its own, or one on its network.
func seePort(tx *store.Tx, c cloud.Caller, id string) (cloud.Port, error) {
	p, err := tx.Ports.Get(id)
	if err != nil || c.Owns(p.ProjectID) {
		return got(p, err, noPort(id))
	}
	n, err := tx.Networks.Get(p.NetworkID)
	if err == nil && !c.Owns(n.ProjectID) {
		err = noPort(id)
	}
	return got(p, err, noPort(id))
}

func ownRouter(tx *store.Tx, c cloud.Caller, id string) (cloud.Router, error) {
	r, err := tx.Routers.Get(id)
	if err == nil && !c.Owns(r.ProjectID) {
		err = noRouter(id)
	}
	return got(r, err, noRouter(id))
}

func ownFloatingIP(tx *store.Tx, c cloud.Caller, id string) (cloud.FloatingIP, error) {
	f, err := tx.FloatingIPs.Get(id)
	if err == nil && !c.Owns(f.ProjectID) {
		err = noFloatingIP(id)
	}
	return got(f, err, noFloatingIP(id))
}

func ownGroup(tx *store.Tx, c cloud.Caller, id string) (cloud.SecurityGroup, error) {
	g, err := tx.SecurityGroups.Get(id)
	if err == nil && !c.Owns(g.ProjectID) {
		err = noGroup(id)
	}
	return got(g, err, noGroup(id))
}

// project is whose a new thing is: the one asked for, if the caller may give it
// away, else the caller's own.
func project(c cloud.Caller, asked string) (string, error) {
	switch {
	case asked != "" && asked != c.ProjectID && !c.IsAdmin():
		return "", refuse(cloud.Invalid, "HTTPBadRequest", "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges")
	case asked != "":
		return asked, nil
	case c.ProjectID == "":
		return "", refuse(cloud.Invalid, "HTTPBadRequest", "the token has no project: name one with 'project_id'")
	}
	return c.ProjectID, nil
}
