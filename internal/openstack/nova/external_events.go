package nova

import (
	"net/http"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) eventRoutes() []wire.Route {
	return []wire.Route{
		route("POST", "/os-server-external-events", wire.Admin, "os-server-external-events:create", a.externalEvents),
	}
}

// externalEvents takes what other services have to say of servers. Each event is
// answered by itself: 207 when one of them was not taken.
func (a *api) externalEvents(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Events []struct {
			Name, Status, Tag string
			Server            string `json:"server_uuid"`
		}
	}
	if err := a.schemas.decode(r, "verbs.json#/events", &in); err != nil {
		return nil, err
	}
	events := make([]compute.ExternalEvent, len(in.Events))
	for i, e := range in.Events {
		events[i] = compute.ExternalEvent{ServerID: e.Server, Name: e.Name, Status: e.Status, Tag: e.Tag}
	}
	outcome, err := a.svc.ExternalEvents(r.Context(), actor(r), events)
	if err != nil {
		return nil, err
	}
	status, views := http.StatusOK, []wire.M{}
	for i, e := range outcome {
		v := wire.M{"server_uuid": e.ServerID, "name": e.Name, "status": e.Status, "code": e.Code}
		if e.Tag != "" || in.Events[i].Tag != "" {
			v["tag"] = e.Tag
		}
		if e.Code != http.StatusOK {
			status = http.StatusMultiStatus
		}
		views = append(views, v)
	}
	return &wire.Response{Status: status, Body: wire.M{"events": views}}, nil
}
