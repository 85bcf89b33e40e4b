package nova

import (
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) serverRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/servers", wire.Reader, "servers:index", a.listServers(false)),
		route("GET", "/servers/detail", wire.Reader, "servers:detail", a.listServers(true)),
		route("POST", "/servers", wire.Member, "servers:create", a.createServer),
		route("GET", "/servers/{id}", wire.Reader, "servers:show", a.showServer),
		route("PUT", "/servers/{id}", wire.Member, "servers:update", a.updateServer),
		route("DELETE", "/servers/{id}", wire.Member, "servers:delete", a.deleteServer),
		route("POST", "/servers/{id}/action", wire.Member, "servers:action", a.serverAction),
	}
}

// volumesBoot are the routes of servers under the name that they had once for those
// that boot from volumes: nova has them as a clone to this day, links and Location of
// /servers included.
func volumesBoot(servers []wire.Route) []wire.Route {
	clone := slices.Clone(servers)
	for i := range clone {
		clone[i].Path = strings.Replace(clone[i].Path, "/servers", "/os-volumes_boot", 1)
	}
	return clone
}

// briefView is a server in a list without details.
type briefView struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Links []link `json:"links"`
}

// briefList is the body of such a list.
type briefList struct {
	Servers []briefView `json:"servers"`
	Links   []link      `json:"servers_links,omitempty"`
}

func (a *api) listServers(details bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		f, none, err := serverFilter(r)
		if err != nil {
			return nil, err
		}
		var found compute.Page
		if !none {
			if found, err = a.svc.Servers(r.Context(), r.Caller, f, details); err != nil {
				return nil, err
			}
		}
		var next []link
		if n := len(found.Servers); found.More && n > 0 {
			next = nextLinks(r, found.Servers[n-1].ID)
		}
		if details {
			views := make([]*serverView, len(found.Servers))
			for i := range found.Servers {
				views[i] = renderServer(r, &found.Servers[i], viewList)
			}
			return wire.JSON(&serverList{views, next}), nil
		}
		views := make([]briefView, len(found.Servers))
		for i := range found.Servers {
			s := &found.Servers[i]
			views[i] = briefView{s.ID, s.Name, linksTo(r, "/servers/"+s.ID)}
		}
		return wire.JSON(&briefList{views, next}), nil
	}
}

func (a *api) showServer(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"server": renderServer(r, &d, viewShow)}), nil
}

func (a *api) updateServer(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Server struct {
			Name, Hostname         *string
			Description            wire.Opt[string]
			DiskConfig             *string `json:"OS-DCF:diskConfig"`
			AccessIPv4, AccessIPv6 *string
		}
	}
	if err := a.schemas.decode(r, "servers.json#/update", &in); err != nil {
		return nil, err
	}
	v := in.Server
	u := compute.ServerUpdate{Name: v.Name, Hostname: v.Hostname, DiskConfig: v.DiskConfig, AccessIPv4: v.AccessIPv4, AccessIPv6: v.AccessIPv6}
	for _, address := range []*string{v.AccessIPv4, v.AccessIPv6} {
		if address != nil {
			*address = canonical(*address)
		}
	}
	if v.Description.Set {
		text := v.Description.Or("")
		u.Description = &text
	}
	d, err := a.svc.UpdateServer(r.Context(), actor(r), r.PathValue("id"), u)
	if err != nil {
		return nil, err
	}
	mode := viewUpdate
	if r.Version.AtLeast(75) {
		mode = viewShow
	}
	return wire.JSON(wire.M{"server": renderServer(r, &d, mode)}), nil
}

func (a *api) deleteServer(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteServer(r.Context(), actor(r), r.PathValue("id"))
}

// statuses are those that nova knows: one that is not among them is a mistake
// from 2.38 on, and before finds nothing.
var statuses = strings.Fields("ACTIVE BUILD DELETED ERROR HARD_REBOOT MIGRATING PASSWORD PAUSED REBOOT REBUILD RESCUE RESIZE " +
	"REVERT_RESIZE SHELVED SHELVED_OFFLOADED SHUTOFF SOFT_DELETED SUSPENDED UNKNOWN VERIFY_RESIZE")

func knownStatus(s string) bool {
	for _, k := range statuses {
		if strings.EqualFold(k, s) {
			return true
		}
	}
	return false
}

// noAction says that a server or a flavor has no such action.
func noAction(name string) error {
	return cloud.E("nova.action", cloud.Invalid, "There is no such action: %s", name)
}
