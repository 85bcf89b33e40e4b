package placement

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/placement"
)

func (a *api) nameRoutes() []wire.Route {
	return []wire.Route{
		since(6, a.route("GET", "/traits", "traits:list", a.listTraits)),
		since(6, a.route("GET", "/traits/{name}", "traits:show", a.showTrait)),
		since(6, a.route("PUT", "/traits/{name}", "traits:update", a.putTrait)),
		since(6, a.route("DELETE", "/traits/{name}", "traits:delete", a.deleteTrait)),
		since(2, a.route("GET", "/resource_classes", "resource_classes:list", a.listClasses)),
		since(2, a.route("POST", "/resource_classes", "resource_classes:create", a.createClass)),
		since(2, a.route("GET", "/resource_classes/{name}", "resource_classes:show", a.showClass)),
		since(2, until(6, a.route("PUT", "/resource_classes/{name}", "resource_classes:update", a.renameClass))),
		since(7, a.route("PUT", "/resource_classes/{name}", "resource_classes:update", a.putClass)),
		since(2, a.route("DELETE", "/resource_classes/{name}", "resource_classes:delete", a.deleteClass)),
	}
}

// customPattern is what a client's own trait or class is written like.
var customPattern = regexp.MustCompile(`^CUSTOM_[A-Z0-9_]+$`)

func custom(name string) bool { return len(name) <= 255 && customPattern.MatchString(name) }

func (a *api) listTraits(r *wire.Request) (*wire.Response, error) {
	if err := allowed(r, "name", "associated"); err != nil {
		return nil, err
	}
	q := r.URL.Query()
	list, err := a.svc.Names(r.Context(), placement.KindTrait)
	if err != nil {
		return nil, err
	}
	if q.Has("associated") {
		used, err := a.svc.UsedTraits(r.Context())
		if err != nil {
			return nil, err
		}
		want := strings.ToLower(q.Get("associated"))
		if want != "true" && want != "false" {
			return nil, invalid(`The query parameter "associated" only accepts "true" or "false"`)
		}
		list = slices.DeleteFunc(list, func(t string) bool { return slices.Contains(used, t) != (want == "true") })
	}
	if q.Has("name") {
		op, value, _ := strings.Cut(q.Get("name"), ":")
		switch op {
		case "in":
			list = slices.DeleteFunc(list, func(t string) bool { return !slices.Contains(strings.Split(value, ","), t) })
		case "startswith":
			list = slices.DeleteFunc(list, func(t string) bool { return !strings.HasPrefix(t, value) })
		default:
			return nil, invalid("Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix]. Got: \"%s\"", q.Get("name"))
		}
	}
	return wire.JSON(wire.M{"traits": orNone(list)}), nil
}

func (a *api) showTrait(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.HasName(r.Context(), placement.KindTrait, r.PathValue("name"))
}

// put makes a name of a kind: 201 for a new one, 204 for one that is there.
func (a *api) put(r *wire.Request, kind, where string) (*wire.Response, error) {
	name := r.PathValue("name")
	made, err := a.svc.AddName(r.Context(), kind, name)
	if err != nil {
		return nil, err
	}
	status := http.StatusNoContent
	if made {
		status = http.StatusCreated
	}
	return created(status, noted(r, where, name)), nil
}

func (a *api) putTrait(r *wire.Request) (*wire.Response, error) {
	if !custom(r.PathValue("name")) {
		return nil, invalid(`The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"`)
	}
	return a.put(r, placement.KindTrait, "traits")
}

func (a *api) deleteTrait(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteName(r.Context(), placement.KindTrait, r.PathValue("name"))
}

func classView(r *wire.Request, name string) wire.M {
	return wire.M{"name": name, "links": []wire.M{{"rel": "self", "href": href(r, "resource_classes", name)}}}
}

func (a *api) listClasses(r *wire.Request) (*wire.Response, error) {
	list, err := a.svc.Names(r.Context(), placement.KindClass)
	views := make([]wire.M, len(list))
	for i := range list {
		views[i] = classView(r, list[i])
	}
	return wire.JSON(wire.M{"resource_classes": views}), err
}

func (a *api) showClass(r *wire.Request) (*wire.Response, error) {
	name := r.PathValue("name")
	return wire.JSON(classView(r, name)), a.svc.HasName(r.Context(), placement.KindClass, name)
}

// className reads {"name": "CUSTOM_…"}.
func className(r *wire.Request) (string, error) {
	var in struct{ Name string }
	if err := decode(r, &in, "name"); err != nil {
		return "", err
	}
	return in.Name, customName(in.Name)
}

// customName wants the name of a client's own class.
func customName(name string) error {
	switch {
	case name == "":
		return missing("name")
	case len(name) > 255:
		return unfit("maxLength", "'%s' is too long", name)
	case !custom(name):
		return unfit("pattern", "'%s' does not match '%s'", name, customPattern)
	}
	return nil
}

func (a *api) createClass(r *wire.Request) (*wire.Response, error) {
	name, err := className(r)
	if err != nil {
		return nil, err
	}
	made, err := a.svc.AddName(r.Context(), placement.KindClass, name)
	if err == nil && !made {
		err = conflict("Conflicting resource class already exists: %s", name)
	}
	return created(http.StatusCreated, noted(r, "resource_classes", name)), err
}

func (a *api) renameClass(r *wire.Request) (*wire.Response, error) {
	to, err := className(r)
	if err != nil {
		return nil, err
	}
	return wire.JSON(classView(r, to)), a.svc.RenameClass(r.Context(), r.PathValue("name"), to)
}

func (a *api) putClass(r *wire.Request) (*wire.Response, error) {
	if err := customName(r.PathValue("name")); err != nil {
		return nil, err
	}
	return a.put(r, placement.KindClass, "resource_classes")
}

func (a *api) deleteClass(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.DeleteName(r.Context(), placement.KindClass, r.PathValue("name"))
}
