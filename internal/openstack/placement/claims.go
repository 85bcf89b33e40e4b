package placement

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/placement"
)

func (a *api) claimRoutes() []wire.Route {
	usages := wire.Route{Method: "GET", Path: "/usages", Policy: wire.Allow(wire.Reader, "placement:usages"), Handler: dated(a.svc.Now, a.usages)}
	return []wire.Route{
		a.route("GET", "/allocations/{id}", "allocations:list", a.showClaims),
		a.route("PUT", "/allocations/{id}", "allocations:update", a.putClaims),
		a.route("DELETE", "/allocations/{id}", "allocations:delete", a.deleteClaims),
		since(13, a.route("POST", "/allocations", "allocations:manage", a.postClaims)),
		since(10, a.route("GET", "/allocation_candidates", "allocation_candidates:list", a.candidates)),
		since(30, a.route("POST", "/reshaper", "reshaper:reshape", a.reshape)),
		since(9, usages),
	}
}

func conflict(format string, args ...any) error {
	return cloud.E("placement", cloud.Conflict, format, args...)
}

func (a *api) showClaims(r *wire.Request) (*wire.Response, error) {
	c, generations, err := a.svc.Consumer(r.Context(), dashed(r.PathValue("id")))
	if err != nil {
		return nil, err
	}
	claims := wire.M{}
	for _, id := range providersOf(c.Claims) {
		claims[id] = wire.M{"generation": generations[id], "resources": resourcesView(c.Claims, id)}
	}
	m := wire.M{"allocations": claims}
	if len(c.Claims) > 0 && r.Version.AtLeast(12) {
		m["project_id"], m["user_id"] = c.ProjectID, c.UserID
		if r.Version.AtLeast(28) {
			m["consumer_generation"] = c.Generation
		}
		if r.Version.AtLeast(38) {
			m["consumer_type"] = c.Type
		}
	}
	return wire.JSON(m), nil
}

func (a *api) providerClaims(r *wire.Request) (*wire.Response, error) {
	p, list, err := a.svc.ConsumersOf(r.Context(), r.PathValue("id"))
	claims := wire.M{}
	for _, c := range list {
		m := wire.M{"resources": resourcesView(c.Claims, p.ID)}
		if r.Version.AtLeast(28) {
			m["consumer_generation"] = c.Generation
		}
		claims[c.ID] = m
	}
	return wire.JSON(wire.M{"allocations": claims, "resource_provider_generation": p.Generation}), err
}

// resources are amounts by class, as clients write them.
type resources struct {
	Provider   struct{ UUID string } `json:"resource_provider"` // before 1.12
	Generation *int64                `json:"generation"`
	Resources  map[string]int        `json:"resources"`
}

// claimBody is what a consumer claims.
type claimBody struct {
	Allocations json.RawMessage      `json:"allocations"`
	ProjectID   *string              `json:"project_id"`
	UserID      *string              `json:"user_id"`
	Generation  wire.Opt[int64]      `json:"consumer_generation"`
	Mappings    *map[string][]string `json:"mappings"`
	Type        *string              `json:"consumer_type"`
}

// members are those of a claim's body in a microversion: all, and those that must
// be there.
func claimMembers(r *wire.Request) (all, required []string) {
	required = []string{"allocations"}
	if r.Version.AtLeast(8) {
		required = append(required, "project_id", "user_id")
	}
	if r.Version.AtLeast(28) {
		required = append(required, "consumer_generation")
	}
	if r.Version.AtLeast(38) {
		required = append(required, "consumer_type")
	}
	if all = required; r.Version.AtLeast(34) {
		all = append(slices.Clone(required), "mappings")
	}
	return all, required
}

// readClaims reads one consumer's body, checked by its microversion.
func readClaims(r *wire.Request, id string, raw json.RawMessage, empty bool) (ch placement.Change, err error) {
	all, required := claimMembers(r)
	var members map[string]json.RawMessage
	var in claimBody
	if members, err = object(raw); err != nil {
		return ch, err
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return ch, missing(name)
		}
	}
	if err := decodeObject(raw, &in, all...); err != nil {
		return ch, err
	}
	ch = placement.Change{Consumer: cloud.Consumer{ID: dashed(id), ProjectID: incomplete, UserID: incomplete}, Checked: r.Version.AtLeast(28)}
	if in.Generation.Set && !in.Generation.Null {
		ch.Known = &in.Generation.Value
	}
	for _, f := range []struct {
		name string
		from *string
		to   *string
	}{{"project_id", in.ProjectID, &ch.ProjectID}, {"user_id", in.UserID, &ch.UserID}, {"consumer_type", in.Type, &ch.Type}} {
		if f.from == nil {
			continue
		}
		if err := text(*f.from, 255); err != nil {
			return ch, err
		}
		if f.name == "consumer_type" && !classPattern.MatchString(*f.from) {
			return ch, unfit("pattern", "'%s' does not match '%s'", *f.from, classPattern)
		}
		*f.to = *f.from
	}
	if err := in.mapped(); err != nil {
		return ch, err
	}
	ch.Claims, err = in.claims(r, empty || ch.Checked)
	return ch, err
}

// mapped judges which group of a request each provider was found for. Nothing is made
// of it.
func (b claimBody) mapped() error {
	if b.Mappings == nil {
		return nil
	}
	if len(*b.Mappings) == 0 {
		return unfit("minProperties", "{} does not have enough properties")
	}
	for _, suffix := range slices.Sorted(maps.Keys(*b.Mappings)) {
		if !namedGroup.MatchString("resources" + suffix) {
			return unfit("additionalProperties", "'%s' does not match any of the regexes: '^([a-zA-Z0-9_-]{1,64})?$'", suffix)
		}
		ids := (*b.Mappings)[suffix]
		if len(ids) == 0 {
			return unfit("minItems", "[] is too short")
		}
		for _, id := range ids {
			if err := uuid(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// incomplete is the project and the user of consumers that were written before
// they had any.
const incomplete = "00000000-0000-0000-0000-000000000000"

// claims reads the claims: a list before 1.12, an object since.
func (b claimBody) claims(r *wire.Request, empty bool) (out []cloud.Claim, err error) {
	byProvider := map[string]resources{}
	if r.Version.AtLeast(12) {
		if err := fill(b.Allocations, &byProvider); err != nil {
			return nil, err
		}
	} else {
		var list []resources
		if err := fill(b.Allocations, &list); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, unfit("minItems", "[] is too short")
		}
		for _, one := range list {
			byProvider[one.Provider.UUID] = one
		}
		empty = false
	}
	if len(byProvider) == 0 && !empty {
		return nil, unfit("minProperties", "{} does not have enough properties")
	}
	for _, id := range slices.Sorted(maps.Keys(byProvider)) {
		one := byProvider[id]
		switch {
		case !cloud.IsID(id):
			return nil, unfit("additionalProperties", "'%s' does not match any of the regexes: '^[0-9a-fA-F-]{36}$'", id)
		case one.Resources == nil:
			return nil, missing("resources")
		case len(one.Resources) == 0:
			return nil, unfit("minProperties", "{} does not have enough properties")
		}
		for _, class := range slices.Sorted(maps.Keys(one.Resources)) {
			if !classPattern.MatchString(class) {
				return nil, unfit("additionalProperties", "'%s' does not match any of the regexes: '%s'", class, classPattern)
			}
			if err := within(one.Resources[class], 1, math.MaxInt); err != nil {
				return nil, err
			}
			out = append(out, cloud.Claim{ProviderID: dashed(id), Class: class, Amount: one.Resources[class]})
		}
	}
	return out, nil
}

func (a *api) putClaims(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	if !cloud.IsID(id) {
		return nil, invalid("Malformed consumer_uuid: %s", id)
	}
	raw, err := bytesOf(r)
	if err != nil {
		return nil, err
	}
	ch, err := readClaims(r, id, raw, false)
	if err != nil {
		return nil, err
	}
	return wire.NoContent(), a.svc.SetClaims(r.Context(), ch)
}

// readAll reads the bodies of several consumers.
func readAll(r *wire.Request, all map[string]json.RawMessage) (list []placement.Change, err error) {
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if !cloud.IsID(id) {
			return nil, unfit("additionalProperties", "'%s' does not match any of the regexes: '^[0-9a-fA-F-]{36}$'", id)
		}
		ch, err := readClaims(r, id, all[id], true)
		if err != nil {
			return nil, err
		}
		list = append(list, ch)
	}
	return list, nil
}

func (a *api) postClaims(r *wire.Request) (*wire.Response, error) {
	raw, err := bytesOf(r)
	if err != nil {
		return nil, err
	}
	in, err := object(raw)
	if err == nil && len(in) == 0 {
		err = unfit("minProperties", "{} does not have enough properties")
	}
	if err != nil {
		return nil, err
	}
	list, err := readAll(r, in)
	if err != nil {
		return nil, err
	}
	return wire.NoContent(), a.svc.SetClaims(r.Context(), list...)
}

func (a *api) deleteClaims(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteConsumer(r.Context(), dashed(r.PathValue("id")))
}

func (a *api) reshape(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Inventories map[string]inventoriesBody
		Allocations map[string]json.RawMessage
	}
	if err := decode(r, &in, "inventories", "allocations"); err != nil {
		return nil, err
	}
	switch {
	case in.Inventories == nil:
		return nil, missing("inventories")
	case in.Allocations == nil:
		return nil, missing("allocations")
	case len(in.Inventories) == 0:
		return nil, unfit("minProperties", "{} does not have enough properties")
	}
	changes, err := readAll(r, in.Allocations)
	if err != nil {
		return nil, err
	}
	shapes := map[string]placement.Reshaped{}
	for id, body := range in.Inventories {
		set, err := body.all()
		if err != nil {
			return nil, err
		}
		shapes[dashed(id)] = placement.Reshaped{Generation: *body.Generation, Inventories: set}
	}
	return wire.NoContent(), a.svc.Reshape(r.Context(), shapes, changes)
}

// usageType is what a type of consumers may be asked for as.
var usageType = regexp.MustCompile(`^([A-Z0-9_]+|all|unknown)$`)

// usages adds up what a project claims, from 1.38 on by the type of its consumers.
func (a *api) usages(r *wire.Request) (*wire.Response, error) {
	known := []string{"project_id", "user_id"}
	if r.Version.AtLeast(38) {
		known = append(known, "consumer_type")
	}
	q := r.URL.Query()
	kind := q.Get("consumer_type")
	switch err := allowed(r, known...); {
	case err != nil:
		return nil, err
	case !q.Has("project_id"):
		return nil, invalid("Invalid query string parameters: %s", cloud.Message(missing("project_id")))
	case q.Has("consumer_type") && !usageType.MatchString(kind):
		return nil, invalid("Invalid query string parameters: '%s' is no type of consumers", kind)
	}
	for _, name := range known[:2] {
		if err := text(q.Get(name), 255); q.Has(name) && err != nil {
			return nil, invalid("Invalid query string parameters: %s", cloud.Message(err))
		}
	}
	list, err := a.svc.Consumers(r.Context(), r.Caller, q.Get("project_id"), q.Get("user_id"))
	if err != nil {
		return nil, err
	}
	total, byType := map[string]int{}, map[string]map[string]int{}
	for _, c := range list {
		as := c.Type
		if kind == "all" {
			as = kind
		}
		if kind != "" && as != kind {
			continue
		}
		if byType[as] == nil {
			byType[as] = map[string]int{}
		}
		byType[as]["consumer_count"]++
		for _, claim := range c.Claims {
			total[claim.Class] += claim.Amount
			byType[as][claim.Class] += claim.Amount
		}
	}
	if r.Version.AtLeast(38) {
		return wire.JSON(wire.M{"usages": byType}), nil
	}
	return wire.JSON(wire.M{"usages": total}), nil
}
