package placement

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/schedule"
)

// inventoryView is an inventory; its generation is said beside it, or not at all.
func inventoryView(i cloud.Inventory) wire.M {
	return wire.M{"total": i.Total, "reserved": i.Reserved, "min_unit": i.MinUnit, "max_unit": i.MaxUnit, "step_size": i.StepSize, "allocation_ratio": i.Ratio}
}

func inventoriesView(p schedule.Provider) *wire.Response {
	m := wire.M{}
	for class, i := range p.Inventories {
		m[class] = inventoryView(i)
	}
	return wire.JSON(wire.M{"inventories": m, "resource_provider_generation": p.Generation})
}

// oneInventory answers with one inventory of a provider.
func oneInventory(p schedule.Provider, class string) *wire.Response {
	m := inventoryView(p.Inventories[class])
	m["resource_provider_generation"] = p.Generation
	return wire.JSON(m)
}

// inventoryBody is an inventory as clients write it, with placement's defaults.
type inventoryBody struct {
	Generation *int64   `json:"resource_provider_generation"`
	Class      string   `json:"resource_class"`
	Total      *int     `json:"total"`
	Reserved   *int     `json:"reserved"`
	MinUnit    *int     `json:"min_unit"`
	MaxUnit    *int     `json:"max_unit"`
	StepSize   *int     `json:"step_size"`
	Ratio      *float64 `json:"allocation_ratio"`
}

// inventoryMembers are the members of an inventory's body.
var inventoryMembers = []string{"total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio"}

// inventory checks a body and fills it up.
func (b inventoryBody) inventory() (cloud.Inventory, error) {
	i := cloud.Inventory{MinUnit: 1, MaxUnit: math.MaxInt32, StepSize: 1, Ratio: 1}
	if b.Total == nil {
		return i, missing("total")
	}
	for _, f := range []struct {
		from  *int
		to    *int
		least int
	}{{b.Total, &i.Total, 1}, {b.Reserved, &i.Reserved, 0}, {b.MinUnit, &i.MinUnit, 1}, {b.MaxUnit, &i.MaxUnit, 1}, {b.StepSize, &i.StepSize, 1}} {
		if f.from == nil {
			continue
		}
		if err := within(*f.from, f.least, math.MaxInt32); err != nil {
			return i, err
		}
		*f.to = *f.from
	}
	if b.Ratio != nil {
		if i.Ratio = *b.Ratio; math.IsNaN(i.Ratio) || i.Ratio > 3.40282e+38 {
			return i, unfit("maximum", "%v is greater than the maximum of 3.40282e+38", *b.Ratio)
		}
	}
	return i, nil
}

// classPattern is what a class or a trait is written like.
var classPattern = regexp.MustCompile(`^[A-Z0-9_]+$`)

func (a *api) listInventories(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.Provider(r.Context(), r.PathValue("id"))
	return inventoriesView(p), err
}

func (a *api) showInventory(r *wire.Request) (*wire.Response, error) {
	id, class := r.PathValue("id"), r.PathValue("class")
	p, err := a.svc.Provider(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if _, ok := p.Inventories[class]; !ok {
		return nil, cloud.E("placement.showInventory", cloud.NotFound, "No inventory of class %s for %s", class, id)
	}
	return oneInventory(p, class), nil
}

func (a *api) createInventory(r *wire.Request) (*wire.Response, error) {
	if _, err := a.svc.Provider(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	var in inventoryBody
	if err := decode(r, &in, append(inventoryMembers, "resource_class", "resource_provider_generation")...); err != nil {
		return nil, err
	}
	i, err := in.inventory()
	if err != nil {
		return nil, err
	}
	if !classPattern.MatchString(in.Class) {
		return nil, unfit("pattern", "'%s' does not match '%s'", in.Class, classPattern)
	}
	id := r.PathValue("id")
	p, err := a.svc.SetInventory(r.Context(), id, in.Generation, in.Class, i, true, r.Version.AtLeast(26))
	if err != nil {
		return nil, err
	}
	resp := oneInventory(p, in.Class)
	resp.Status, resp.Header = http.StatusCreated, http.Header{"Location": {noted(r, "resource_providers", id, "inventories", in.Class)}}
	return resp, nil
}

func (a *api) updateInventory(r *wire.Request) (*wire.Response, error) {
	if _, err := a.svc.Provider(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	var in inventoryBody
	if err := decode(r, &in, append(inventoryMembers, "resource_provider_generation")...); err != nil {
		return nil, err
	}
	i, err := in.inventory()
	if err == nil && in.Generation == nil {
		err = missing("resource_provider_generation")
	}
	if err != nil {
		return nil, err
	}
	class := r.PathValue("class")
	p, err := a.svc.SetInventory(r.Context(), r.PathValue("id"), in.Generation, class, i, false, r.Version.AtLeast(26))
	if err != nil {
		return nil, err
	}
	return oneInventory(p, class), nil
}

// inventoriesBody is all inventories of a provider as clients write them.
type inventoriesBody struct {
	Generation  *int64                     `json:"resource_provider_generation"`
	Inventories map[string]json.RawMessage `json:"inventories"`
}

// all checks every inventory of a body.
func (b inventoriesBody) all() (map[string]cloud.Inventory, error) {
	if b.Generation == nil {
		return nil, missing("resource_provider_generation")
	}
	if b.Inventories == nil {
		return nil, missing("inventories")
	}
	out := map[string]cloud.Inventory{}
	for _, class := range slices.Sorted(maps.Keys(b.Inventories)) {
		var one inventoryBody
		if !classPattern.MatchString(class) {
			return nil, unfit("additionalProperties", "'%s' does not match any of the regexes: '%s'", class, classPattern)
		}
		if err := decodeObject(b.Inventories[class], &one, inventoryMembers...); err != nil {
			return nil, err
		}
		i, err := one.inventory()
		if err != nil {
			return nil, err
		}
		out[class] = i
	}
	return out, nil
}

func (a *api) setInventories(r *wire.Request) (*wire.Response, error) {
	if _, err := a.svc.Provider(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	var in inventoriesBody
	if err := decode(r, &in, "resource_provider_generation", "inventories"); err != nil {
		return nil, err
	}
	set, err := in.all()
	if err != nil {
		return nil, err
	}
	p, err := a.svc.SetInventories(r.Context(), r.PathValue("id"), in.Generation, set, r.Version.AtLeast(26))
	if err != nil {
		return nil, err
	}
	return inventoriesView(p), nil
}

func (a *api) deleteInventories(r *wire.Request) (*wire.Response, error) {
	_, err := a.svc.SetInventories(r.Context(), r.PathValue("id"), nil, nil, true)
	return wire.NoContent(), err
}

func (a *api) deleteInventory(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteInventory(r.Context(), r.PathValue("id"), r.PathValue("class"))
}

// providerUsages says what is claimed of every class that the provider has.
func (a *api) providerUsages(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.Provider(r.Context(), r.PathValue("id"))
	usages := wire.M{}
	for class := range p.Inventories {
		usages[class] = p.Used[class]
	}
	return wire.JSON(wire.M{"usages": usages, "resource_provider_generation": p.Generation}), err
}
