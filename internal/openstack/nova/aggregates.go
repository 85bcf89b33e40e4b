package nova

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) aggregateRoutes() []wire.Route {
	all, one := "/os-aggregates", "/os-aggregates/{id}"
	return []wire.Route{
		route("GET", all, wire.Admin, "os-aggregates:index", a.listAggregates),
		route("POST", all, wire.Admin, "os-aggregates:create", a.createAggregate),
		route("GET", one, wire.Admin, "os-aggregates:show", a.showAggregate),
		route("PUT", one, wire.Admin, "os-aggregates:update", a.updateAggregate),
		route("DELETE", one, wire.Admin, "os-aggregates:delete", a.deleteAggregate),
		route("POST", one+"/action", wire.Admin, "os-aggregates:set_metadata", a.aggregateAction),
		since(81, route("POST", one+"/images", wire.Admin, "compute:aggregates:images", a.cacheImages)),
	}
}

// aggregateView is an aggregate. The answer to its creation is without hosts and
// metadata.
func aggregateView(r *wire.Request, g cloud.Aggregate, whole bool) wire.M {
	m := wire.M{
		"id": g.Number, "name": g.Name, "availability_zone": orNull(g.Zone()), "created_at": stampMicro(g.CreatedAt),
		"updated_at": microOrNull(g.UpdatedAt), "deleted": false, "deleted_at": nil,
	}
	if r.Version.AtLeast(41) {
		m["uuid"] = g.UUID
	}
	if whole {
		hosts := g.Hosts
		if hosts == nil {
			hosts = []string{}
		}
		m["hosts"], m["metadata"] = hosts, orEmpty(g.Metadata)
	}
	return m
}

// microOrNull is a moment with its fraction, or null for none.
func microOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stampMicro(t)
}

// aggregateNumber reads the id in the path.
func aggregateNumber(r *wire.Request) (int, error) {
	text := r.PathValue("id")
	n, err := strconv.Atoi(text)
	if err != nil || n > 1<<31-1 {
		return 0, cloud.E("nova.aggregate", cloud.Invalid, "Invalid input received: id must be an integer, not %s", text)
	}
	return n, nil
}

func aggregateAnswer(r *wire.Request, g cloud.Aggregate, err error) (*wire.Response, error) {
	return wire.JSON(wire.M{"aggregate": aggregateView(r, g, true)}), err
}

func (a *api) listAggregates(r *wire.Request) (*wire.Response, error) {
	list, err := a.svc.Aggregates(r.Context())
	views := make([]wire.M, len(list))
	for i := range list {
		views[i] = aggregateView(r, list[i], true)
	}
	return wire.JSON(wire.M{"aggregates": views}), err
}

func (a *api) showAggregate(r *wire.Request) (*wire.Response, error) {
	n, err := aggregateNumber(r)
	if err != nil {
		return nil, err
	}
	g, err := a.svc.Aggregate(r.Context(), n)
	return aggregateAnswer(r, g, err)
}

func (a *api) createAggregate(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Aggregate struct {
			Name string
			Zone string `json:"availability_zone"`
		}
	}
	if err := a.schemas.decode(r, "aggregates.json#/create", &in); err != nil {
		return nil, err
	}
	g, err := a.svc.CreateAggregate(r.Context(), strings.TrimSpace(in.Aggregate.Name), strings.TrimSpace(in.Aggregate.Zone))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"aggregate": aggregateView(r, g, false)}), nil
}

func (a *api) updateAggregate(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Aggregate struct {
			Name string
			Zone wire.Opt[string] `json:"availability_zone"`
		}
	}
	n, err := aggregateNumber(r)
	if err := wire.First(a.schemas.decode(r, "aggregates.json#/update", &in), err); err != nil {
		return nil, err
	}
	var zone *string
	if in.Aggregate.Zone.Set {
		zone = &in.Aggregate.Zone.Value
	}
	g, err := a.svc.RenameAggregate(r.Context(), n, strings.TrimSpace(in.Aggregate.Name), zone)
	return aggregateAnswer(r, g, err)
}

func (a *api) deleteAggregate(r *wire.Request) (*wire.Response, error) {
	n, err := aggregateNumber(r)
	if err != nil {
		return nil, err
	}
	return wire.JSON(nil), a.svc.DeleteAggregate(r.Context(), n)
}

func (a *api) aggregateAction(r *wire.Request) (*wire.Response, error) {
	raw, name, err := actionName(r)
	if err != nil {
		return nil, err
	}
	n, err := aggregateNumber(r)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"add_host", "remove_host", "set_metadata"}, name) {
		return nil, noAction(name)
	}
	var in map[string]struct {
		Host     string
		Metadata map[string]*string
	}
	if err := a.schemas.decodeBytes(r, raw, "aggregates.json#/"+name, &in); err != nil {
		return nil, err
	}
	var g cloud.Aggregate
	switch name {
	case "add_host":
		g, err = a.svc.AddAggregateHost(r.Context(), n, in[name].Host)
	case "remove_host":
		g, err = a.svc.RemoveAggregateHost(r.Context(), n, in[name].Host)
	default:
		g, err = a.svc.SetAggregateMetadata(r.Context(), n, in[name].Metadata)
	}
	return aggregateAnswer(r, g, err)
}

// cacheImages has the nodes of an aggregate fetch images, some time after the answer.
func (a *api) cacheImages(r *wire.Request) (*wire.Response, error) {
	const op = "nova.cacheImages"
	var in struct{ Cache []struct{ ID string } }
	n, err := aggregateNumber(r)
	if err := wire.First(a.schemas.decode(r, "aggregates.json#/images", &in), err); err != nil {
		return nil, err
	}
	seen, ids := map[string]bool{}, []string{}
	for _, image := range in.Cache {
		if seen[image.ID] {
			return nil, cloud.E(op, cloud.Invalid, "Duplicate images in request")
		}
		seen[image.ID] = true
		ids = append(ids, image.ID)
	}
	return wire.Accepted(nil), a.svc.CacheImages(r.Context(), r.Caller, n, ids)
}

// rawNumber reads a number that may be written as text.
func rawNumber(raw json.RawMessage) (int, error) {
	var n wire.Int
	err := n.UnmarshalJSON(raw)
	return int(n), err
}
